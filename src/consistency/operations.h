// The operations in flight on storage, key by key, and what they say about caching: pure bookkeeping, no I/O.
//
// Protocol. A read or a write is registered before it is sent and settled when its outcome is known. A write marks every
// operation then in flight on its key as overlapped, and is overlapped itself if another write is in flight; a read that
// begins while a write is in flight (or of unknown outcome) is overlapped from the start. What is overlapped is not cached:
// its result may be older than what the other write leaves behind.
//
// Overlapping writes form a group, from the moment when the first begins until none is in flight. Values carry versions in
// storage's order, so the newest of a group may be cached once the last of them has its outcome, if every outcome is known.
//
// May use storage's words, ownership, the guards. A shard's members are touched only with its mutex held.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "consistency/guards.h"
#include "storage/storage.h"

namespace freshet::consistency {

struct ReadAnswer {
  storage::KeyState state;
  std::int64_t database_ms = 0;
};

struct ReadWaiter {
  base::Nanoseconds deadline;
  std::function<void(const Result<ReadAnswer>&)> done;
};

// One read of one key in flight, with everyone who waits for it.
struct Fill {
  std::string key;
  std::uint64_t hash = 0;
  GuardRef guard;            // Present when the read began; null: nothing may be concluded from it later.
  bool overlapped = false;
  base::Nanoseconds deadline = 0;
  std::vector<ReadWaiter> waiters;

  // Whether a read that arrives at `now`, after this one was sent, may take its answer: no write through this node has begun
  // since, and no other node could have written, so what storage returns is current at `now` too.
  bool may_be_joined(base::Nanoseconds now) const {
    return guard && !overlapped && guard->slice()->is_still_assigned(now);
  }
};

// The part of one write that concerns one key.
struct WritePart {
  std::string key;
  std::uint64_t hash = 0;
  base::Slot slot = 0;
  GuardRef guard;
  bool overlapped = false;   // Another write on the key was in flight at some moment of this one's.
  // Of a row, which does not remember who wrote it: what it was when the write began, if this node could prove that.
  std::optional<storage::KeyState> before = {};
};

struct WriteGroup {
  bool cacheable = true;                     // All under one ownership period, all outcomes known so far.
  ownership::SliceRef slice;
  std::optional<storage::KeyState> newest;   // By version, among the outcomes so far.
};

// Locks on keys that one transaction holds, or waits for: consistency/key_locks.h.
class KeyLocks;

struct KeyOperations {
  std::vector<std::shared_ptr<Fill>> fills;
  std::vector<WritePart*> writes;
  int unknown = 0;                                // Of `writes`: those whose outcome is being found out.
  const KeyLocks* locked_by = nullptr;            // Others' writes wait meanwhile.
  // Who waits, in the order of their tickets: transactions, until no write is in flight; and writes, held back until an
  // outcome is known, a lock ends, or a transaction that came before them has had its turn.
  struct Locker {
    std::uint64_t ticket;
    std::shared_ptr<KeyLocks> locks;
  };
  struct Held {
    std::uint64_t ticket;
    std::function<void()> run;
  };
  // Nearly always empty, and then lists allocate nothing.
  std::list<Locker> lockers;
  std::list<Held> held;
  std::uint64_t last_ticket = 0;
  WriteGroup group;
  storage::Version tombstone = 0;                 // Of the last delete, if that is what storage holds; else 0.

  // Whether a write, of the transaction that holds `locks` (null: of none), may be sent. `had_its_turn`: it has waited here.
  bool admits(const KeyLocks* locks, bool had_its_turn) const {
    if (unknown > 0) return false;
    return locked_by != nullptr ? locked_by == locks : lockers.empty() || had_its_turn;
  }
  bool may_be_locked() const { return locked_by == nullptr && writes.empty() && unknown == 0; }
  bool idle() const {
    return fills.empty() && writes.empty() && held.empty() && locked_by == nullptr && lockers.empty();
  }
};

// One shard of the map from keys to their operations.
class OperationShard {
 public:
  std::mutex mutex;
  std::uint64_t writes_begun = 0;

  KeyOperations& at(const std::string& key) { return keys_[key]; }
  KeyOperations* find(const std::string& key) {
    const auto it = keys_.find(key);
    return it == keys_.end() ? nullptr : &it->second;
  }
  void remove_if_idle(const std::string& key) {
    const auto it = keys_.find(key);
    if (it != keys_.end() && it->second.idle()) keys_.erase(it);
  }
  std::size_t size() const { return keys_.size(); }
  // Calls visit(key, operations) for each.
  template <typename Visit>
  void for_each(Visit visit) {
    for (auto& [key, operations] : keys_) visit(key, operations);
  }

 private:
  std::unordered_map<std::string, KeyOperations> keys_;
};

void begin_fill(KeyOperations& key, const std::shared_ptr<Fill>& fill);
void end_fill(KeyOperations& key, const std::shared_ptr<Fill>& fill);

// Registers a write: everything in flight on the key is overlapped from here on.
void begin_write(KeyOperations& key, WritePart& part);

// Somebody whom this node does not know may write the key from here on: nothing in flight on it is cached.
void begin_outside_write(KeyOperations& key);

// Settles a write. `state` is what storage held after it, if that is known; `definite` is false if its outcome never became
// known. Returns the state to cache when this was the last of its group and the group allows it.
struct Settled {
  std::optional<storage::KeyState> cache;
  ownership::SliceRef slice;
};
Settled end_write(KeyOperations& key, WritePart& part, const storage::KeyState* state, bool definite);

}  // namespace freshet::consistency
