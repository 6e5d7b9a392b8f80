// Changing a shard. See memory/shard.h.
#include "memory/shard.h"

#include <algorithm>
#include <cassert>

namespace freshet::memory {

void Shard::start(std::size_t capacity_bytes, std::unique_ptr<EvictionPolicy> policy) {
  assert(policy && !policy_);
  policy_ = std::move(policy);
  capacity_bytes_ = capacity_bytes;
  tell_capacity(bytes_beside_entries());
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
  const Change change(*this);
  if (Entry* earlier = index_.find(fresh.key(), fresh.hash())) {
    index_.replace(*earlier, fresh);
    policy_->on_replace(*earlier, fresh);
    entry_bytes_ += fresh.footprint();
    entry_bytes_ -= earlier->footprint();
    leaving.add(*earlier);
  } else {
    if (!policy_->admit(fresh.hash(), fresh.footprint())) {
      leaving.add(fresh);
      ++declined_;
      settle(leaving);
      return false;
    }
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
  const Change change(*this);
  ++too_large_;
  if (Entry* entry = index_.find(key, hash)) take_out(*entry, leaving);
  settle(leaving);
}

bool Shard::erase(std::string_view key, std::uint64_t hash, Leaving& leaving) {
  const Change change(*this);
  Entry* entry = index_.find(key, hash);
  if (!entry) return false;
  take_out(*entry, leaving);
  settle(leaving);
  return true;
}

std::size_t Shard::erase_if(base::FunctionRef<bool(const Entry&)> leaves, Leaving& leaving) {
  const Change change(*this);
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
  const Change change(*this);
  capacity_bytes_ = bytes;
  tell_capacity(bytes_beside_entries());
  settle(leaving);
}

std::unique_ptr<EvictionPolicy> Shard::set_policy(std::unique_ptr<EvictionPolicy> policy, Leaving& leaving) {
  const Change change(*this);
  EntryList entries;
  while (Entry* const entry = policy_->take_victim()) entries.push_front(*entry);
  policy_.swap(policy);
  told_bytes_ = 0;
  tell_capacity(bytes_beside_entries());
  while (Entry* const entry = entries.pop_back()) {
    entry->frequency() = entry->queue() = 0;
    entry->set_settled(false);
    policy_->admit(entry->hash(), entry->footprint());  // Nobody is declined who is there already.
    policy_->on_insert(*entry);
  }
  settle(leaving);
  return policy;
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
  std::size_t beside = bytes_beside_entries();
  while (entry_bytes_ + beside > capacity_bytes_) {
    const bool evicted = evict_one(leaving);
    index_.shrink_if_sparse();
    beside = bytes_beside_entries();
    if (!evicted) break;
  }
  tell_capacity(beside);
}

void Shard::tell_capacity(std::size_t bytes_beside_entries) {
  const std::size_t bytes = capacity_bytes_ - std::min(capacity_bytes_, bytes_beside_entries);
  if (bytes == told_bytes_) return;
  told_bytes_ = bytes;
  policy_->set_capacity(bytes);
}

std::vector<PolicyFact> Shard::describe_policy() const {
  std::lock_guard hold(lock_);
  return policy_->describe();
}

ShardStats Shard::stats() const {
  std::lock_guard hold(lock_);
  return {.entries = index_.size(),
          .bytes = entry_bytes_ + bytes_beside_entries(),
          .entry_bytes = entry_bytes_,
          .index_bytes = index_.bytes(),
          .inserted = inserted_,
          .evicted = evicted_,
          .erased = erased_,
          .too_large = too_large_,
          .declined = declined_};
}

}  // namespace freshet::memory
