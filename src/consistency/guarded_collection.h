// Linearizable reads and writes over one guarded collection: the algorithms of WriteGuards (OSDI 2026), with what Freshet
// adds (shared fills, versions, unknown outcomes, narrow renewal). docs/CONSISTENCY.md carries the argument; the names here
// are its names.
//
// May use memory, storage, ownership, net. Thread-safe. Callbacks run on storage's threads or the loop's, without locks
// held.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "consistency/guards.h"
#include "consistency/operations.h"
#include "consistency/outside_writers.h"
#include "consistency/protections.h"
#include "memory/table.h"

namespace freshet::consistency {

struct CollectionLimits {
  GuardLimits guards;
  OutsideLimits outside;
  int write_attempts_max = 16;              // Times a write is sent again after guard mismatches and fenced losses.
  std::size_t held_writes_max = 10'000;     // A key's writes held back while an outcome is being found out.
  int expiry_rounds_max = 8;                // Reads that find a key due, whose removal finds it extended, and again.
  base::Nanoseconds clock_period = 5 * base::kSecond;          // The database's clock is asked for at least so often.
  base::Nanoseconds forget_period = 100 * base::kMillisecond;  // Tombstones are dropped in batches.
  std::size_t tombstones_max = 65'536;      // More are left to storage's own sweep.
};

struct CollectionStats {
  std::uint64_t misses = 0;
  std::uint64_t joined_fills = 0;
  std::uint64_t fills_cached = 0;
  std::uint64_t fills_not_cached = 0;
  std::uint64_t writes = 0;
  std::uint64_t writes_cached = 0;
  std::uint64_t guard_mismatches = 0;
  std::uint64_t unknown_outcomes = 0;
  std::uint64_t unknown_resolved = 0;
  std::uint64_t held_writes = 0;
  std::uint64_t operations_in_flight = 0;  // Keys with an operation in flight.
  GuardStats guards;
  OutsideStats outside;
};

class LentGuards;

class GuardedCollection {
 public:
  // To end: stop(), destroy the storage, destroy the loop, then this object.
  GuardedCollection(memory::Table& table, storage::Storage& storage, net::Loop& loop, Protections protections = {},
                    CollectionLimits limits = {});

  // Called on the loop's thread when slices were lost: others may write their keys now. Set once, before follow().
  void on_loss(std::function<void()> listener) { loss_listener_ = std::move(listener); }
  // Called on the loop's thread when transactions of plain SQL are over: they may have changed rows. Set once, before
  // follow().
  void on_outside_writes(std::function<void()> listener) { outside_listener_ = std::move(listener); }
  // Takes over the ownership's changes. Call once.
  void follow(ownership::Ownership& ownership);
  void stop();

  // True if the entry was current at `now`: its slice has been this node's ever since it was cached. The caller read `now`
  // from the clock during its operation. Entries of a time when the key's collection was observed prove nothing here.
  bool is_proven(const memory::Entry& entry, base::Nanoseconds now) const {
    if (entry.witness()->kind() != memory::WitnessKind::slice) return false;
    if (!protections_.lease_check) return true;
    return static_cast<const ownership::SliceHandle*>(entry.witness())->is_still_assigned(now);
  }
  // The same for a copy taken without a lock, by the witness that it came with (memory::Table::copy).
  bool is_proven(const memory::Witness* witness, base::Nanoseconds now) const {
    if (!protections_.lease_check) return true;
    return ownership::SliceHandle::seems_still_assigned(witness, now);
  }
  // True if the record's deadline has passed, as far as this node knows the database's clock.
  bool seems_due(std::int64_t expires_at_ms) const {
    if (expires_at_ms == 0) return false;
    return clock_offset_ms_.load(std::memory_order_relaxed) == kClockUnknown || expires_at_ms <= database_now_ms();
  }
  // A lower bound of the database's clock (ms since 1970), from its last answer and the time since; drift aside. Before its
  // first answer: this machine's clock.
  std::int64_t database_now_ms() const;

  // Reads keys from storage, caching what may be cached. `done` runs once for each key, with its index.
  // `locks`: of the transaction that reads them; it removes the keys whose deadline has passed itself.
  using ReadDone = std::function<void(std::size_t index, const Result<ReadAnswer>&)>;
  void read(std::vector<std::string> keys, base::Nanoseconds deadline, ReadDone done,
            std::shared_ptr<KeyLocks> locks = nullptr);

  // Writes as one transaction. Tokens, operation id and attempt deadlines are filled in here.
  void write(std::vector<storage::Mutation> mutations, bool all_or_nothing, base::Nanoseconds deadline,
             storage::Callback<storage::WriteReply> done);
  // The same of a transaction that holds its keys' locks: only if this node has owned every key of
  // `locks` ever since they were taken. The keys that it does not write are still what it read when it is applied.
  void write(std::vector<storage::Mutation> mutations, std::shared_ptr<KeyLocks> locks, base::Nanoseconds deadline,
             storage::Callback<storage::WriteReply> done);
  // Takes the keys' locks (ascending, distinct): waits until nobody else writes them, and lets nobody begin. Writes that
  // wait meanwhile go on when the locks end. Errors: deadline_exceeded, unavailable.
  void lock(std::vector<std::string> keys, base::Nanoseconds deadline, storage::Callback<std::shared_ptr<KeyLocks>> done);

  // Lends the keys' guards to a transaction that somebody else runs in the database: to the rest of this node it is a
  // write in flight, of each key, until it ends (consistency/lent_guards.h). `limit`: how long it may take. Errors: as of
  // write().
  void lend(std::vector<std::string> keys, base::Nanoseconds deadline, base::Nanoseconds limit,
            storage::Callback<std::shared_ptr<LentGuards>> done);

  // Somebody wrote the key, or any key of the collection, past this node: what is cached of it is dropped, and what is under
  // way is not cached.
  void drop_bypassed(const std::string& key);
  void drop_bypassed_of(std::string_view collection);

  // True: a transaction of plain SQL may be writing the row, unknown to this node. It is not cached meanwhile.
  bool is_open_to_others(std::string_view key) const { return is_open_to_others(key, base::slot_of(key)); }

  // Waits until nothing is under way on the rows of a collection that storage has retired, and drops what is cached of it:
  // from then on nothing of it is cached here, and nothing begins, until storage takes it back. Blocks. Errors:
  // deadline_exceeded (then nothing was dropped).
  Result<void> clear_retired(std::string_view collection, base::Nanoseconds deadline);
  // Whoever waits there is answered at once, and so are those who come: unavailable.
  void stop_clearing();
  // Storage's rows are others after `change`: no guard from before counts then. `change` must be short.
  void change_rows(base::FunctionRef<void()> change) { guards_.renew_all(change); }
  // What is cached of a collection, or is being read of it, was planned otherwise than it is now: it goes.
  void drop_outdated(std::string_view collection) { drop_bypassed_of(collection); }

  // Two equal marks: this node has owned the key between them, and no write of it has begun (of other keys perhaps).
  // Nullopt: it does not own the key, or is not the only one that may write it. For what has no versions to compare: keys
  // that storage does not remember.
  struct WriteMark {
    ownership::SliceRef slice;
    std::uint64_t writes_begun = 0;
    std::uint64_t outside = 0;
    friend bool operator==(const WriteMark&, const WriteMark&) = default;
  };
  std::optional<WriteMark> write_mark(std::string_view key);

  GuardRef guard_of(std::string_view key) const { return guards_.current(base::slot_of(key), base::now()); }
  CollectionStats stats() const;

 private:
  struct Write;
  using WriteRef = std::shared_ptr<Write>;

  static constexpr std::size_t kShards = 64;
  static constexpr std::int64_t kClockUnknown = INT64_MIN;
  static constexpr std::int64_t kClockStepMs = 2000;  // Samples lower by less are slow answers, or drift.
  OperationShard& shard_of(std::uint64_t hash) { return shards_[hash >> 58]; }
  void note_database_clock(std::int64_t database_ms);
  void follow_database_clock();

  // locking.cc
  friend class KeyLocks;
  void await_guards(const std::shared_ptr<KeyLocks>& locks, std::size_t place);
  void take_next(const std::shared_ptr<KeyLocks>& locks);
  std::vector<std::function<void()>> next_of(const std::string& key, KeyOperations& operations);
  void look_for_next(const std::string& key);
  void release(const KeyLocks& locks);
  void go_on(std::vector<std::function<void()>> next);

  // reading.cc
  void read_once(std::vector<std::string> keys, base::Nanoseconds deadline, ReadDone done);
  enum class Begun : std::uint8_t { begun, joined, refused };
  Begun join_or_begin(const std::string& key, ReadWaiter waiter, std::vector<std::shared_ptr<Fill>>& begun);
  void on_fill(const std::shared_ptr<Fill>& fill, Result<ReadAnswer> answer);
  void expire_then_answer(std::string key, ReadAnswer found, base::Nanoseconds deadline, int round,
                          std::shared_ptr<KeyLocks> locks, std::function<void(const Result<ReadAnswer>&)> done);

  // writing.cc
  static WritePart part_of_key(const std::string& key);
  void begin(const WriteRef& write, std::vector<storage::Mutation> mutations, base::Nanoseconds deadline,
             storage::Callback<storage::WriteReply> done);
  bool needs_locks(const std::vector<storage::Mutation>& mutations) const;
  void begin_locked(const WriteRef& write, std::shared_ptr<KeyLocks> locks, std::vector<storage::Mutation> mutations,
                    base::Nanoseconds deadline, storage::Callback<storage::WriteReply> done);
  void start(const WriteRef& write);
  bool falls_under_its_locks(const Write& write) const;
  void wait_for_guard(const WriteRef& write, base::Slot slot);
  bool register_parts(const WriteRef& write);
  bool register_part(WritePart& part, const Write& write);
  bool may_begin(const KeyOperations& operations, const std::string& key, const Write& write) const;
  bool hold_back(const WriteRef& write, const WritePart& part);
  void send(const WriteRef& write);
  void on_written(const WriteRef& write, Result<storage::WriteReply> reply);
  void tell_before(const Write& write, std::vector<storage::Mutation>& mutations) const;
  static void add_before(const Write& write, storage::WriteReply& reply);
  void on_applied(const WriteRef& write, storage::WriteReply reply);
  // True: the key is a row's. What a write of it then compares with, if its answer is lost.
  bool is_row(std::string_view key) const {
    const auto* const rows = storage_.rows();
    return rows && rows->find(key);
  }
  bool takes_turns(std::string_view key) const { return protections_.rows_in_turn && is_row(key); }
  void note_before(WritePart& part);
  void settle(WritePart& part, const storage::KeyState* state, bool definite, bool was_unknown);
  void settle_all(const WriteRef& write, bool definite, bool was_unknown);
  void cache_write(const WritePart& part, const Settled& settled);
  void leave_if_idle(OperationShard& shard, const std::string& key, const KeyOperations& operations);
  void note_tombstone(storage::Tombstone tombstone);
  void forget_tombstones();

  // moving.cc
  // Nothing new may begin on the key: its collection is no longer guarded. Asked under its shard's mutex.
  bool is_retired(std::string_view key) const {
    const auto* const rows = storage_.rows();
    return rows && protections_.retire_first && rows->is_retired(key);
  }
  // Anybody may be writing the row: it is not cached.
  bool is_unsealed(std::string_view key) const {
    const auto* const rows = storage_.rows();
    return rows && rows->is_unsealed(key);
  }
  bool any_in_flight(std::string_view collection);
  bool await_end_of(std::string_view collection, base::Nanoseconds deadline);
  void tell_cleared();
  static Error moved(std::string_view key);

  // outside.cc
  bool is_open_to_others(std::string_view key, base::Slot slot) const {
    return outside_ && outside_->is_marked(slot) && is_row(key);
  }
  std::uint64_t outside_mark(std::string_view key, base::Slot slot) const {
    return outside_ && is_row(key) ? outside_->mark_of(slot) : 0;
  }
  void void_where(base::FunctionRef<bool(std::string_view key)> concerns);
  void open_to_others(const CellSet& cells);

  // lending.cc
  friend class LentGuards;
  void register_lent(const std::shared_ptr<KeyLocks>& locks, base::Nanoseconds deadline, base::Nanoseconds limit,
                     storage::Callback<std::shared_ptr<LentGuards>> done);
  void fence_lent(const WriteRef& write, std::size_t next_part);

  // resolving.cc
  void resolve(const WriteRef& write);
  void note_unknown(const WriteRef& write);
  enum class Landed : std::uint8_t { no, yes, unclear };
  Landed has_landed(const Write& write, const std::vector<storage::KeyState>& states, bool undisturbed) const;
  void await_fence(const WriteRef& write, std::size_t next_part);
  void find_out(const WriteRef& write, bool owned);
  void conclude(const WriteRef& write, const std::vector<storage::KeyState>& states, bool owned);
  void give_up(const WriteRef& write, std::string why);

  memory::Table& table_;
  storage::Storage& storage_;
  net::Loop& loop_;
  const Protections protections_;
  const CollectionLimits limits_;
  Guards guards_;
  std::unique_ptr<OutsideWriters> outside_;  // Null before follow().
  std::function<void()> loss_listener_;
  std::function<void()> outside_listener_;
  std::array<OperationShard, kShards> shards_;
  std::atomic<bool> stopped_{false};
  // Somebody waits for the end of what is in flight: clear_retired().
  std::atomic<int> clearing_{0};
  std::atomic<bool> stopped_clearing_{false};
  std::mutex cleared_mutex_;
  std::condition_variable cleared_;
  std::uint64_t left_ = 0;  // Keys on which nothing is in flight any more.
  std::atomic<std::int64_t> clock_offset_ms_{kClockUnknown};

  std::mutex tombstones_mutex_;
  std::vector<storage::Tombstone> tombstones_;
  bool forget_armed_ = false;

  struct Counters {
    std::atomic<std::uint64_t> misses{0}, joined_fills{0}, fills_cached{0}, fills_not_cached{0}, writes{0}, writes_cached{0},
        guard_mismatches{0}, unknown_outcomes{0}, unknown_resolved{0}, held_writes{0};
  } counters_;
};

}  // namespace freshet::consistency
