// Recorded operations on keys, as clients saw them: what the checkers judge.
//
// An operation is known by its interval: invoked before it was sent, returned after its answer was there, both on
// base::now()'s clock. One machine's clock serves every client of a history; histories of two machines cannot be merged.
// May use base only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace freshet::checker {

enum class Kind : std::uint8_t {
  get,              // result: the value, or absent.
  get_version,      // The same, with `version` (0: the answer did not tell one).
  set,              // value := argument.
  increment,        // value := decimal(value, or 0 if absent) + delta; result: the new value.
  append,           // value := value + argument; length: the new length, if the answer told it.
  erase,            // Removes the key; applied: whether it was there.
  set_if_absent,    // As set, only if the key is absent; applied: whether it was.
  compare_value,    // As set, only if the value is `expected`.
  compare_version,  // As set, only if the version is `expected_version` (0: the key is absent).
  set_if_present,   // As set, only if the key is present.
  exchange,         // As set; result: the value before.
};

enum class Outcome : std::uint8_t {
  ok,       // Answered. A conditional write whose condition did not hold is ok with applied = false.
  failed,   // Known to have had no effect. Such operations prove nothing and are left out.
  unknown,  // A write that was sent and not answered: it takes effect at any time after its invocation, or never.
};

enum class Source : std::uint8_t { untold, memory, storage, sql };

// How it reached the database.
enum class Via : std::uint8_t {
  command,        // A command of the Redis protocol.
  transaction,    // MULTI … EXEC.
  guarded_sql,    // SQL between FRESHET.GUARD and FRESHET.UNGUARD.
  passed_sql,     // SQL behind freshet.pass.
  forbidden_sql,  // SQL that passed no guard.
};

struct Operation {
  std::uint32_t client = 0;
  Kind kind = Kind::get;
  Outcome outcome = Outcome::ok;
  Source source = Source::untold;      // Who answered a read.
  Via via = Via::command;
  bool applied = true;                 // Writes with a condition, and erase: did it find what it asked for?
  std::string key;
  std::string argument;                // The value written or appended.
  std::string expected;                // compare_value.
  std::int64_t delta = 0;              // increment.
  std::uint64_t expected_version = 0;  // compare_version.
  std::optional<std::string> result;   // Reads, exchange: nothing means absent. increment: the new value.
  std::optional<bool> found;           // set: whether the key was there before, if the answer told it.
  std::uint64_t version = 0;           // The version answered by a read or a write; 0: not told.
  std::int64_t length = -1;            // append; -1: not told.
  base::Nanoseconds invoked_ns = 0;
  base::Nanoseconds returned_ns = 0;   // When the client gave up, if the outcome is unknown.
  base::Nanoseconds slack_ns = 0;      // A read that may be so much older than its invocation.
};

inline bool is_read(const Operation& operation) {
  return operation.kind == Kind::get || operation.kind == Kind::get_version;
}
// Whether it changed the value, or may have.
bool may_have_written(const Operation& operation);
std::string_view name_of(Kind kind);
// With the slack taken off the invocation: what a judge of bounded reads compares.
Operation with_slack(Operation operation);
// One line for people, without the times: "client 3  set 'c3-17'  -> ok".
std::string describe(const Operation& operation);
// A small timeline: one line an operation in the order of invocation, times in microseconds from the first, and a bar that
// shows which operations overlapped.
std::string render_timeline(const std::vector<Operation>& operations);

using Histories = std::map<std::string, std::vector<Operation>>;  // By key.

// Collects operations from any threads. Each client writes into a log of its own, so that recording takes an uncontended
// lock; `take` merges them by key, in the order of invocation.
class HistoryRecorder {
 public:
  explicit HistoryRecorder(std::size_t clients);

  // Records a finished operation. operation.client < clients.
  void record(Operation operation);
  // Everything recorded so far; the logs are empty afterwards.
  Histories take();

 private:
  struct Log {
    std::mutex mutex;
    std::vector<Operation> operations;
  };
  std::vector<std::unique_ptr<Log>> logs_;
};

}  // namespace freshet::checker
