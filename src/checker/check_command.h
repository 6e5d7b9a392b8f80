// `freshet check`: points the checkers at a running deployment. The command line fills CheckOptions and calls run_check().
// May use the checker, client and protocol rooms.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "base/clock.h"

namespace freshet::checker {

struct CheckOptions {
  std::string target = "127.0.0.1:6380";  // HOST:PORT of anything that speaks the Redis protocol. IPv6 as [::1]:6380.
  std::string password;                   // Sent with AUTH if not empty.
  double seconds = 10;                    // How long the load runs; 0: until `operations`.
  std::uint64_t operations = 0;           // Stops after so many, whichever comes first; 0: by time only.
  int keys = 8;                           // Keys in use at a time; fewer means more contention.
  int clients = 8;                        // Concurrent connections, one thread each.
  std::string via_sql;                    // libpq URL: SQL readers of freshet.kv take part in the same history.
  int sql_clients = 2;                    // Threads that read by SQL, if via_sql is given.
  std::string rows;                       // Guarded collection: the load is on rows of its table, not on keys and values.
  std::string table;                      // Its table; empty: called as the collection.
  bool exclusive_writer = false;          // That table is not sealed, and accepts writes past the guard.
  double stale_ms = 0;                    // And such writes are noticed: reads through the target may be so much older.
  bool self_test = false;                 // Feed the checkers corrupted histories that they must reject; needs no target.
  bool json = false;                      // Print one JSON object instead of prose.
  std::uint64_t seed = 0;                 // Of the workload; 0: drawn from the system and printed.
  base::Nanoseconds call_deadline = base::kSecond;  // For one command; a write unanswered by then has an unknown outcome.
};

inline constexpr int kExitFine = 0;
inline constexpr int kExitViolation = 1;     // The shortest offending history has been printed.
inline constexpr int kExitInconclusive = 2;  // Too little contention, target out of reach, or the checker's limit reached.

// The largest values that the options may take; run_check() refuses more, with exit code kExitInconclusive.
inline constexpr int kKeysMax = 4096;
inline constexpr int kClientsMax = 256;
inline constexpr double kStaleMsMax = 60'000;

// Runs the check and prints its findings to `out`. Returns one of the exit codes above.
int run_check(const CheckOptions& options, std::ostream& out);

}  // namespace freshet::checker
