// The online checker of one key: judges every read when it returns, at full speed, by the legal values of its interval.
//
// For keys whose values are unique (no two writes of the same bytes) and written by writers that announce their writes:
// set, set-if-absent, compare-and-set and erase. A value is legal for a read if its write could be current at some moment
// of the read: it began before the read ended, and no other value is known to have been current after it and before the
// read began. Whatever shows a value (its acknowledged write, or a read that returned it) proves that it was current at
// a moment between its invocation and its return, and so ends every value that had taken effect before.
//
// Exact in one direction: it never raises a false alarm, writes of unknown outcome included (one that was never seen ends
// nothing; once it was seen it counts as applied). What it can miss: orders that only a search finds, such as a cycle
// between three values whose writes overlap; an erase or absent key that is seen while another erase is in flight or of
// unknown outcome; a value beyond kLiveValuesMax of unknown fate; counters and appended values, which are not unique. The
// linearizability checker finds those, later.
//
// Versions: what a read or write answers must lie at or above every version that had been answered before it was invoked,
// and one value has one version.
//
// Work for each operation is bounded by the writes in flight or of unknown outcome (kLiveValuesMax), not by the history.
// Thread-safe. May use the checker room's history.h.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checker/history/history.h"

namespace freshet::checker {

struct ValueViolation {
  std::string reason;                 // In one sentence.
  std::vector<Operation> offending;   // The few operations that contradict each other.
};

// Values that may still be current. Beyond it the oldest are taken off the list: they are then never called stale.
inline constexpr std::size_t kLiveValuesMax = 64;

class ValueHistory {
 public:
  ValueHistory();

  // Before any operation is sent: the version that its answer must reach.
  std::uint64_t version_floor() const;
  // Before a write is sent; its invoked_ns is set.
  void write_begins(const Operation& operation);
  // An operation has its answer (or is given up, or failed). `floor` is version_floor() from before it was invoked. Gives
  // the first contradiction found; the key goes on being judged.
  std::optional<ValueViolation> ended(const Operation& operation, std::uint64_t floor);

 private:
  struct Value {
    Operation write;                                     // As announced; its answer once it is known.
    base::Nanoseconds effective_by_ns = base::kForever;  // It had taken effect by then, if it ever did.
    base::Nanoseconds ended_by_ns = base::kForever;      // Another value had followed by then,
    Operation ended_by;                                  // as this shows.
    std::optional<Operation> seen_by;                    // The first read that returned it.
    std::uint64_t version = 0;
    bool refused = false;  // The write is known to have had no effect.
  };
  // Absence that may still be current: from the beginning, or from an erase.
  struct Absence {
    std::uint32_t client = UINT32_MAX;  // Who erases; nobody: the beginning.
    base::Nanoseconds effective_by_ns = base::kForever;
  };
  using Violation = std::optional<ValueViolation>;

  Violation write_ended(const Operation& operation);
  Violation erase_ended(const Operation& operation);
  Violation judge_value(const Operation& read);
  Violation judge_absent(const Operation& operation);
  Violation judge_version(const Operation& operation, std::uint64_t floor);
  Violation judge_value_version(const Operation& operation);
  // `operation` shows that the value `current` (null: absence) was current at a moment of its interval.
  void shows(const Operation& operation, const Value* current);

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Value> values_;
  std::vector<Value*> live_;
  std::vector<Absence> live_absences_;
  bool erase_lost_ = false;                    // One has an unknown outcome: absence is legal from then on.
  base::Nanoseconds absence_ended_by_ns_ = 0;  // The latest end of an absence that is over,
  Operation absence_ended_by_;                 // as this shows.
  std::vector<Operation> newest_;              // The answers that raised the highest version, ascending.
};

// Whether the online checker applies to a key's history: every value written is unique, and only the kinds above occur.
bool has_unique_values(const std::vector<Operation>& history);
// Judges a finished history as if it were online.
std::optional<ValueViolation> replay(const std::vector<Operation>& history);

}  // namespace freshet::checker
