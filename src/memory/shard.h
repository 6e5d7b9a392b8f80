// One shard of the table: its lock, its index, its policy, and the accounting of its bytes. Every operation takes the lock
// once. Entries that leave are handed to the caller in a list, so that memory is freed after the lock is released.
// May use base only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "base/function_ref.h"
#include "base/spin_lock.h"
#include "memory/entry_list.h"
#include "memory/index.h"
#include "memory/policy.h"

namespace freshet::memory {

// Entries that have left a shard, each with the reference that the shard held. Drops them when it goes.
class Leaving {
 public:
  Leaving() = default;
  ~Leaving() {
    while (Entry* entry = entries_.pop_back()) intrusive_ptr_release(entry);
  }
  void add(Entry& entry) { entries_.push_front(entry); }

 private:
  EntryList entries_;
};

struct ShardStats {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t inserted = 0;
  std::uint64_t evicted = 0;
  std::uint64_t erased = 0;
  std::uint64_t too_large = 0;
};

class alignas(64) Shard {
 public:
  Shard() = default;
  ~Shard();

  // Once, before any other call.
  void start(std::size_t capacity_bytes, std::unique_ptr<EvictionPolicy> policy);

  template <typename Visit>
  bool visit(std::string_view key, std::uint64_t hash, Visit&& visitor) {
    std::lock_guard hold(lock_);
    Entry* const entry = index_.find(key, hash);
    if (!entry) return false;
    policy_->on_hit(*entry);
    std::forward<Visit>(visitor)(static_cast<const Entry&>(*entry));
    return true;
  }

  // Takes `fresh` and the caller's reference to it, in place of the key's earlier entry. False if it does not fit even
  // alone; the earlier entry has left all the same.
  bool insert(Entry& fresh, Leaving& leaving);
  // The key has a value that is not to be taken: its earlier entry leaves.
  void refuse(std::string_view key, std::uint64_t hash, Leaving& leaving);
  bool erase(std::string_view key, std::uint64_t hash, Leaving& leaving);
  std::size_t erase_if(base::FunctionRef<bool(const Entry&)> leaves, Leaving& leaving);
  void set_capacity(std::size_t bytes, Leaving& leaving);
  void prefetch(std::uint64_t hash) const { index_.prefetch(hash); }
  void prefetch_entry(std::uint64_t hash) const {
    std::lock_guard hold(lock_);
    index_.prefetch_entry(hash);
  }
  ShardStats stats() const;

 private:
  std::size_t used_bytes() const { return entry_bytes_ + index_.bytes() + policy_->overhead_bytes(); }
  bool has_room_for(const Entry& fresh) const;
  void take_out(Entry& entry, Leaving& leaving);
  bool evict_one(Leaving& leaving);
  void settle(Leaving& leaving);

  mutable base::SpinLock lock_;
  Index index_;
  std::unique_ptr<EvictionPolicy> policy_;
  std::size_t entry_bytes_ = 0;
  std::size_t capacity_bytes_ = 0;
  std::uint64_t inserted_ = 0;
  std::uint64_t evicted_ = 0;
  std::uint64_t erased_ = 0;
  std::uint64_t too_large_ = 0;
};

}  // namespace freshet::memory
