// Both checkers and the contention count over finished histories: what a test or the tool asks after a run.
// May use the checker room.
#pragma once

#include <string>
#include <vector>

#include "checker/history/contention.h"
#include "checker/history/history.h"
#include "checker/history/linearizability.h"

namespace freshet::checker {

struct Judgement {
  Contention contention;
  std::uint64_t keys = 0;
  std::uint64_t violations = 0;              // Keys with one.
  std::vector<std::string> reports;          // Their offending histories, ready to print; the first kReportsMax.
  std::vector<std::string> inconclusive;     // Keys that the checker's limits left undecided; the first kReportsMax.
  std::uint64_t inconclusive_keys = 0;

  bool clean() const { return violations == 0 && inconclusive_keys == 0; }
};

inline constexpr std::size_t kReportsMax = 8;

// Judges one key's history and adds what it finds. Where the value-history checker applies its shorter verdict is taken
// too: both must agree that there is nothing.
void judge_key(const std::vector<Operation>& history, const CheckLimits& limits, Judgement& judgement);
Judgement judge(const Histories& histories, const CheckLimits& limits = {});

// A violation as text: the reason, the timeline, and what came before it.
std::string report_of(const std::string& reason, const std::vector<Operation>& offending, const std::string& before = {});

}  // namespace freshet::checker
