// Changing a shard. See memory/shard.h.
#include "memory/shard.h"

#include <cassert>

namespace freshet::memory {

void Shard::start(std::size_t capacity_bytes, std::unique_ptr<EvictionPolicy> policy) {
  assert(policy && !policy_);
  policy_ = std::move(policy);
  capacity_bytes_ = capacity_bytes;
}

Shard::~Shard() {
  Leaving leaving;
  if (policy_) erase_if([](const Entry&) { return true; }, leaving);
}

bool Shard::has_room_for(const Entry& fresh) const {
  const std::size_t after = entry_bytes_ + fresh.footprint() + index_.bytes_after_insert() + policy_->overhead_bytes();
  return after <= capacity_bytes_ && index_.size() < Index::kEntriesMax;
}

bool Shard::insert(Entry& fresh, Leaving& leaving) {
  std::lock_guard hold(lock_);
  if (Entry* earlier = index_.find(fresh.key(), fresh.hash())) {
    index_.replace(*earlier, fresh);
    policy_->on_replace(*earlier, fresh);
    entry_bytes_ += fresh.footprint();
    entry_bytes_ -= earlier->footprint();
    leaving.add(*earlier);
  } else {
    while (!has_room_for(fresh)) {
      if (evict_one(leaving)) continue;
      leaving.add(fresh);
      ++too_large_;
      settle(leaving);
      return false;
    }
    index_.insert(fresh);
    policy_->on_insert(fresh);
    entry_bytes_ += fresh.footprint();
  }
  ++inserted_;
  settle(leaving);
  return true;
}

void Shard::refuse(std::string_view key, std::uint64_t hash, Leaving& leaving) {
  std::lock_guard hold(lock_);
  ++too_large_;
  if (Entry* entry = index_.find(key, hash)) take_out(*entry, leaving);
  settle(leaving);
}

bool Shard::erase(std::string_view key, std::uint64_t hash, Leaving& leaving) {
  std::lock_guard hold(lock_);
  Entry* entry = index_.find(key, hash);
  if (!entry) return false;
  take_out(*entry, leaving);
  settle(leaving);
  return true;
}

std::size_t Shard::erase_if(base::FunctionRef<bool(const Entry&)> leaves, Leaving& leaving) {
  std::lock_guard hold(lock_);
  const std::size_t before = index_.size();
  index_.erase_if([&](Entry& entry) {
    if (!leaves(entry)) return false;
    policy_->on_erase(entry);
    entry_bytes_ -= entry.footprint();
    leaving.add(entry);
    return true;
  });
  const std::size_t left = before - index_.size();
  erased_ += left;
  settle(leaving);
  return left;
}

void Shard::set_capacity(std::size_t bytes, Leaving& leaving) {
  std::lock_guard hold(lock_);
  capacity_bytes_ = bytes;
  policy_->set_capacity(bytes);
  settle(leaving);
}

void Shard::take_out(Entry& entry, Leaving& leaving) {
  policy_->on_erase(entry);
  index_.erase(entry);
  entry_bytes_ -= entry.footprint();
  leaving.add(entry);
  ++erased_;
}

bool Shard::evict_one(Leaving& leaving) {
  Entry* const victim = policy_->take_victim();
  if (!victim) return false;
  index_.erase(*victim);
  entry_bytes_ -= victim->footprint();
  leaving.add(*victim);
  ++evicted_;
  return true;
}

// What every change ends with. The index and the policy's own memory change in steps, so that even an erasure may leave
// the shard with more than it may hold.
void Shard::settle(Leaving& leaving) {
  index_.shrink_if_sparse();
  while (used_bytes() > capacity_bytes_) {
    if (!evict_one(leaving)) break;
    index_.shrink_if_sparse();
  }
}

ShardStats Shard::stats() const {
  std::lock_guard hold(lock_);
  return {index_.size(), used_bytes(), inserted_, evicted_, erased_, too_large_};
}

}  // namespace freshet::memory
