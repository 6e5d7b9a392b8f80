// One shard of the table: its lock, its index, its policy, and the accounting of its bytes. Every operation takes the lock
// once, but for copies: those of settled entries take none (memory/unlocked_reader.h), and whoever changes what they read
// says so by the sequence. Entries that leave are handed to the caller in a list, so that memory is freed after the lock is
// released. May use base only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "base/spin_lock.h"
#include "memory/entry_list.h"
#include "memory/index.h"
#include "memory/policy.h"
#include "memory/sequence.h"
#include "memory/unlocked_reader.h"

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
  std::uint64_t entry_bytes = 0;
  std::uint64_t index_bytes = 0;
  std::uint64_t inserted = 0;
  std::uint64_t evicted = 0;
  std::uint64_t erased = 0;
  std::uint64_t too_large = 0;
  std::uint64_t declined = 0;
};

class alignas(64) Shard {
 public:
  // A change takes some hundred nanoseconds: a reader that met two had better wait for the lock.
  static constexpr int kUnlockedTriesMax = 3;

  Shard() = default;
  ~Shard();

  // Once, before any other call.
  void start(std::size_t capacity_bytes, std::unique_ptr<EvictionPolicy> policy);

  // As Table::visit says.
  template <typename Visit>
  bool visit(std::string_view key, std::uint64_t hash, Visit&& visitor) {
    std::lock_guard hold(lock_);
    Entry* const entry = index_.find(key, hash);
    if (!entry) return false;
    if constexpr (std::is_void_v<std::invoke_result_t<Visit, const Entry&>>) {
      visitor(static_cast<const Entry&>(*entry));
    } else {
      if (!visitor(static_cast<const Entry&>(*entry))) return false;
    }
    policy_->on_hit(*entry);
    return true;
  }

  template <typename Visit>
  bool inspect(std::string_view key, std::uint64_t hash, Visit&& visitor) const {
    std::lock_guard hold(lock_);
    const Entry* const entry = index_.find(key, hash);
    if (entry) std::forward<Visit>(visitor)(*entry);
    return entry != nullptr;
  }

  // Copies an entry's value out if it is current, as Table::copy says.
  template <typename IsCurrent>
  bool copy(std::string_view key, std::uint64_t hash, std::span<char> to, EntryCopy& copied, IsCurrent&& is_current) {
    for (int tries = 0; tries < kUnlockedTriesMax; ++tries) {
      const Sight sight = UnlockedReader(index_, sequence_).copy(key, hash, to, copied, is_current);
      if (sight == Sight::found) return true;
      if (sight == Sight::absent || sight == Sight::refused) return false;
      if (sight == Sight::locked) break;
    }
    return copy_locked(key, hash, to, copied, is_current);
  }

  // Takes `fresh` and the caller's reference to it, in place of the key's earlier entry. False if it does not fit even
  // alone, or the policy declines it; the earlier entry has left all the same.
  bool insert(Entry& fresh, Leaving& leaving);
  // The key has a value that is not to be taken: its earlier entry leaves.
  void refuse(std::string_view key, std::uint64_t hash, Leaving& leaving);
  bool erase(std::string_view key, std::uint64_t hash, Leaving& leaving);
  std::size_t erase_if(base::FunctionRef<bool(const Entry&)> leaves, Leaving& leaving);
  void set_capacity(std::size_t bytes, Leaving& leaving);
  // `policy` takes over the entries, those first that the earlier policy would have evicted first. Returns the earlier one,
  // so that whatever its end takes is not waited for under the lock.
  std::unique_ptr<EvictionPolicy> set_policy(std::unique_ptr<EvictionPolicy> policy, Leaving& leaving);
  void prefetch(std::uint64_t hash) const { index_.prefetch(hash); }
  void prefetch_entry(std::uint64_t hash) const {
    const Sequence::Value begun = sequence_.now();
    index_.prefetch_entry(hash, [&] { return !Sequence::is_changing(begun) && sequence_.is_still(begun); });
  }
  ShardStats stats() const;
  std::vector<PolicyFact> describe_policy() const;

 private:
  // Holds the lock, and tells readers without it that what they read is changing.
  class Change {
   public:
    explicit Change(Shard& shard) : shard_(shard), hold_(shard.lock_) { shard_.sequence_.begin_change(); }
    ~Change() { shard_.sequence_.end_change(); }

   private:
    Shard& shard_;
    const std::lock_guard<base::SpinLock> hold_;
  };

  template <typename IsCurrent>
  [[gnu::noinline]] bool copy_locked(std::string_view key, std::uint64_t hash, std::span<char> to, EntryCopy& copied,
                                     IsCurrent& is_current) {
    return visit(key, hash, [&](const Entry& entry) {
      if (!is_current(entry.witness(), entry.expires_at_ms())) return false;
      copied = {entry.present(), entry.value().size(), entry.version()};
      if (entry.value().size() <= to.size()) entry.value().copy(to.data(), to.size());
      return true;
    });
  }

  std::size_t bytes_beside_entries() const { return index_.bytes() + policy_->overhead_bytes(); }
  bool has_room_for(const Entry& fresh) const;
  void take_out(Entry& entry, Leaving& leaving);
  bool evict_one(Leaving& leaving);
  void settle(Leaving& leaving);
  void tell_capacity(std::size_t bytes_beside_entries);

  mutable base::SpinLock lock_;
  Sequence sequence_;
  Index index_;
  std::unique_ptr<EvictionPolicy> policy_;
  std::size_t entry_bytes_ = 0;
  std::size_t capacity_bytes_ = 0;
  std::size_t told_bytes_ = 0;  // The capacity that the policy knows.
  std::uint64_t inserted_ = 0;
  std::uint64_t evicted_ = 0;
  std::uint64_t erased_ = 0;
  std::uint64_t too_large_ = 0;
  std::uint64_t declined_ = 0;
};

}  // namespace freshet::memory
