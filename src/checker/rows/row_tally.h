// What happened to the rows of a check, by the way it was done, and whether that is enough to conclude from. Thread-safe.
// May use the standard library only.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace freshet::checker {

enum class RowEvent : std::uint8_t {
  command_writes,       // Operations by commands, one by one.
  transactions,         // EXECs that were answered.
  pair_reads,           // Reads of both rows of a pair at one moment.
  guarded_committed,    // Of transactions behind FRESHET.GUARD: COMMIT was answered,
  guarded_rolled_back,
  guarded_abandoned,    // or nobody said how they ended.
  passed_committed,     // The same of those behind freshet.pass.
  passed_rolled_back,
  passed_abandoned,
  forbidden_refused,    // Writes that passed no guard: the table refused them,
  forbidden_accepted,   // or it did not,
  forbidden_unknown,    // or the answer was lost.
};
inline constexpr std::size_t kRowEvents = 12;

std::string_view name_of(RowEvent event);

// Fewer than these make a run inconclusive; those of SQL only where SQL clients take part.
inline constexpr std::uint64_t kRowTransactionsMin = 20;
inline constexpr std::uint64_t kPairReadsMin = 20;
inline constexpr std::uint64_t kGuardedMin = 20;
inline constexpr std::uint64_t kPassedMin = 5;
inline constexpr std::uint64_t kAbandonedMin = 2;
inline constexpr std::uint64_t kForbiddenMin = 20;

class RowTally {
 public:
  void count(RowEvent event) { counts_[static_cast<std::size_t>(event)].fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t of(RowEvent event) const { return counts_[static_cast<std::size_t>(event)].load(); }
  std::map<std::string, std::uint64_t> all() const;
  // Why this is too little; empty if it is enough. `by_sql`: SQL clients take part. `together`: so do several rows at once.
  std::string shortfall(bool by_sql, bool together) const;

 private:
  std::array<std::atomic<std::uint64_t>, kRowEvents> counts_{};
};

}  // namespace freshet::checker
