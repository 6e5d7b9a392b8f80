// Transactions of plain SQL that may write guarded rows: freshet.pass, called in the database and nowhere else. This node
// learns of them by asking, and lets each in by its word (docs/CONSISTENCY-ROWS.md, "The recipe in SQL").
//
// Protocol, for each cell that such a request stands on:
//  1. it is marked: from then on rows there are not cached, and what was cached has gone;
//  2. its guards are replaced: transactions of this node that had read there before are refused by the database;
//  3. every request on it up to the number that the poll brought is acknowledged: their transactions go on;
//  4. once a poll shows no request on it, whose transaction has then ended, and is visible, the mark is taken away.
// Marks are what the last answer said, whatever becomes of polls: without an answer nobody new is let in, and no mark ends.
//
// May use storage, net, the guards. The public functions from any thread; the rest on the loop's.
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "consistency/guards.h"

namespace freshet::consistency {

using CellSet = std::bitset<base::kCells>;

struct OutsideLimits {
  base::Nanoseconds poll_interval = 50 * base::kMillisecond;  // A transaction of plain SQL waits for about one.
  base::Nanoseconds call_timeout = 3 * base::kSecond;         // For one poll, and for one acknowledgement.
  std::size_t waiters_max = 10'000;                           // Transactions that wait for marks to end; more are refused.
  base::Nanoseconds fence_timeout = 3 * base::kSecond;        // For a cell's new guards; then the next poll tries again.
};

struct OutsideStats {
  std::uint64_t requests = 0;  // Seen.
  std::uint64_t cells = 0;     // Marks made,
  std::uint64_t open = 0;      // and those that stand.
};

class OutsideWriters {
 public:
  struct Listener {
    std::function<void(const CellSet&)> opened;  // Marked just now: their rows must have left the cache when it returns.
    std::function<void()> ended;                 // Some transactions are over, and may have changed rows.
  };

  // Polls from now on, while this node owns anything and storage has rows. To end: stop(), destroy the storage, destroy the
  // loop, then this object.
  OutsideWriters(storage::Storage& storage, net::Loop& loop, Guards& guards, Protections protections, OutsideLimits limits,
                 Listener listener);
  // Whoever waits goes on, and finds it stopped.
  void stop();

  // From the ownership's thread, after the guards were told.
  void on_assignment_change(const ownership::AssignmentChange& change);

  bool is_marked(base::Slot slot) const { return mark_of(slot) % 2 != 0; }
  // Odd: the slot's cell is marked. It grows with every mark that begins or ends, so two equal even ones say that there was
  // none between.
  std::uint64_t mark_of(base::Slot slot) const {
    return marks_[static_cast<std::size_t>(base::cell_of(slot))].load(std::memory_order_acquire);
  }

  // Calls `run` once the slot's cell has no mark: within the call, or on the loop's thread. False: it will not, because too
  // many wait, or this has been stopped.
  bool wait(base::Slot slot, std::function<void()> run);

  OutsideStats stats() const;

 private:
  struct Waiting {
    std::size_t cell;
    std::function<void()> run;
  };
  void tick();
  void on_poll(Result<storage::PassRequests> reply);
  void note_number(const storage::PassRequests& reply);
  void apply(const CellSet& standing);
  void let_go(const CellSet& cells);
  void fence();
  void await_guards(int cell, int slot, std::uint64_t mark, base::Nanoseconds deadline);
  void on_guards(int cell, std::uint64_t mark, bool are_there);
  void acknowledge();
  void on_acknowledged(const storage::PassesHeard& heard, bool ok);

  storage::Storage& storage_;
  net::Loop& loop_;
  Guards& guards_;
  const Protections protections_;
  const OutsideLimits limits_;
  const Listener listener_;
  std::atomic<bool> stopped_{false};
  std::array<std::atomic<std::uint64_t>, base::kCells> marks_{};
  std::atomic<std::uint64_t> period_{0};  // Of what this node owns; 0: it owns nothing.
  std::atomic<std::uint64_t> requests_{0}, cells_{0}, open_{0};

  std::mutex waiters_mutex_;
  std::vector<Waiting> waiters_;

  // The loop's thread only.
  storage::PassRequests known_;  // What the last answer said, but for its cells:
  CellSet standing_;             // those that requests stand on,
  CellSet fenced_;               // those of them whose guards were replaced since,
  CellSet fencing_;              // and where that is under way.
  bool polling_ = false;
  int failures_ = 0;             // Polls in a row that had no answer.
  bool acknowledging_ = false;
  std::uint64_t acknowledged_period_ = 0;
  std::array<std::uint64_t, base::kCells> acknowledged_{};  // In that period: up to which number.
};

}  // namespace freshet::consistency
