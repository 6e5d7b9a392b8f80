// The load: clients and SQL readers on a few contended keys, judged while it runs and at its end.
// May use the checker and client rooms.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "checker/check_command.h"
#include "checker/history/judge.h"
#include "checker/clients/load_client.h"

namespace freshet::checker {

// What a load over rows adds.
struct RowsReport {
  std::map<std::string, std::uint64_t> events;  // By RowEvent's names.
  bool watched = false;                         // The target watches the table for writes past the guard,
  std::uint64_t noticed = 0;                    // and has noticed so many transactions of them.
  std::vector<std::string> violations;          // Of what is promised of the table as a whole.
  std::string shortfall;                        // Why too little happened.
};

struct LoadReport {
  std::string refused;              // Why no load was run; empty if one was.
  std::uint64_t seed = 0;
  Abilities abilities;
  double seconds = 0;               // Of load, judging not counted.
  std::uint64_t operations = 0;     // Begun, failed ones included.
  std::uint64_t reconnects = 0;
  std::map<std::string, std::uint64_t> errors;  // By their first word.
  std::string last_error;
  std::string online_violation;     // The first one that the value-history checker found, ready to print.
  Judgement judgement;              // Of both checkers, over every key's history.
  std::uint64_t left_behind = 0;    // Keys that could not be removed.
  std::optional<RowsReport> rows;   // Of a load over rows.

  bool violated() const {
    return !online_violation.empty() || judgement.violations > 0 || (rows && !rows->violations.empty());
  }
};

// Runs the load that the options describe (self_test and json are not looked at). A violation ends it early.
LoadReport run_load(const CheckOptions& options);

}  // namespace freshet::checker
