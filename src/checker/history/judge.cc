// Both checkers over finished histories.
#include "checker/history/judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "checker/history/value_history.h"

namespace freshet::checker {
namespace {

// Reads that may be old overlap more others than the search can carry: the value-history checker judges them.
bool is_bounded(const std::vector<Operation>& history) {
  return std::ranges::any_of(history, [](const Operation& operation) { return operation.slack_ns != 0; });
}

}  // namespace

std::string report_of(const std::string& reason, const std::vector<Operation>& offending, const std::string& before) {
  const std::string start = before.empty() ? std::string() : fmt::format("  before that {}\n", before);
  return fmt::format("{}\n{}{}", reason, start, render_timeline(offending));
}

void judge_key(const std::vector<Operation>& history, const CheckLimits& limits, Judgement& judgement) {
  if (history.empty()) return;
  ++judgement.keys;
  judgement.contention += contention_of(history);
  KeyVerdict verdict = is_bounded(history) ? KeyVerdict() : check_key(history, limits);
  if (verdict.verdict != Verdict::violation && has_unique_values(history)) {
    // Also where the search found nothing: two versions of one value, say.
    if (auto found = replay(history)) verdict = {Verdict::violation, found->reason, found->offending, {}};
  }
  if (verdict.verdict == Verdict::violation) {
    ++judgement.violations;
    if (judgement.reports.size() < kReportsMax) {
      judgement.reports.push_back(report_of(verdict.reason, verdict.offending, verdict.before));
    }
  } else if (verdict.verdict == Verdict::inconclusive) {
    ++judgement.inconclusive_keys;
    if (judgement.inconclusive.size() < kReportsMax) judgement.inconclusive.push_back(verdict.reason);
  }
}

Judgement judge(const Histories& histories, const CheckLimits& limits) {
  Judgement judgement;
  for (const auto& [key, history] : histories) judge_key(history, limits, judgement);
  return judgement;
}

}  // namespace freshet::checker
