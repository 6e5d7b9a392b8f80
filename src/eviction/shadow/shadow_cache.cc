// See eviction/shadow/shadow_cache.h.
#include "eviction/shadow/shadow_cache.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace freshet::eviction::shadow {
namespace {

exact::Access told(const Access& access) { return {access.hash, std::max(access.size, 1U), access.time_s, exact::kNever}; }

}  // namespace

ShadowCache::ShadowCache(std::unique_ptr<exact::Policy> policy, std::uint64_t capacity_bytes, std::uint32_t beside_bytes)
    : policy_(std::move(policy)), capacity_(capacity_bytes), beside_bytes_(beside_bytes), table_(kTableMin, exact::kNoSlot),
      shift_(64 - std::countr_zero(kTableMin)) {
  policy_->set_capacity(capacity_);
}

bool ShadowCache::read(const Access& access) {
  const exact::Access request = told(access);
  ++counts_.requests;
  counts_.bytes += request.size;
  const Slot slot = table_[find(request.key)];
  if (slot == exact::kNoSlot) {
    ++counts_.misses;
    counts_.missed_bytes += request.size;
    come_in(request);
    return false;
  }
  policy_->on_hit(slot, request);
  if (cached_[slot].size != request.size) resize(slot, request.size);
  return true;
}

void ShadowCache::write(const Access& access) {
  const exact::Access request = told(access);
  const Slot slot = table_[find(request.key)];
  if (slot == exact::kNoSlot) return come_in(request);
  if (cached_[slot].size != request.size) resize(slot, request.size);
}

void ShadowCache::erase(std::uint64_t hash) {
  const Slot slot = table_[find(hash)];
  if (slot != exact::kNoSlot) erase_slot(slot);
}

void ShadowCache::set_capacity(std::uint64_t bytes) {
  capacity_ = bytes;
  policy_->set_capacity(bytes);
  make_room(0);
}

void ShadowCache::keep_only(const base::KeySample& sample) {
  for (Slot slot = 0; slot < cached_.end(); ++slot) {
    if (cached_[slot].size != 0 && !sample.takes(cached_[slot].hash)) erase_slot(slot);
  }
}

std::size_t ShadowCache::overhead_bytes() const {
  return exact::bytes_of(table_) + cached_.bytes() + policy_->overhead_bytes();
}

void ShadowCache::come_in(const exact::Access& access) {
  if (!policy_->on_miss(access) || cost(access.size) > capacity_) return;
  make_room(cost(access.size));
  if (2 * (objects_ + 1) > table_.size()) grow_table();
  const std::size_t bucket = find(access.key);
  const Slot slot = cached_.take({access.key, access.size});
  table_[bucket] = slot;
  used_ += cost(access.size);
  ++objects_;
  policy_->on_insert(slot, access);
}

void ShadowCache::resize(Slot slot, std::uint32_t size) {
  if (cost(size) > capacity_) return erase_slot(slot);
  policy_->on_resize(slot, size);
  used_ += size - std::uint64_t{cached_[slot].size};
  cached_[slot].size = size;
  make_room(0);
}

void ShadowCache::make_room(std::uint64_t bytes) {
  while (used_ + bytes > capacity_) {
    const Slot victim = policy_->take_victim();
    assert(victim != exact::kNoSlot);
    release(victim);
  }
}

void ShadowCache::erase_slot(Slot slot) {
  policy_->on_erase(slot);
  release(slot);
}

void ShadowCache::release(Slot slot) {
  remove_at(find(cached_[slot].hash));
  used_ -= cost(cached_[slot].size);
  cached_.release(slot);
  --objects_;
}

std::size_t ShadowCache::find(std::uint64_t hash) const {
  std::size_t bucket = bucket_of(hash);
  while (table_[bucket] != exact::kNoSlot && cached_[table_[bucket]].hash != hash) bucket = next(bucket);
  return bucket;
}

void ShadowCache::grow_table() {
  const std::vector<Slot> before = std::move(table_);
  table_.assign(before.size() * 2, exact::kNoSlot);
  --shift_;
  for (const Slot slot : before) {
    if (slot != exact::kNoSlot) table_[find(cached_[slot].hash)] = slot;
  }
}

// What follows moves back, if its own bucket is not between the hole and where it stands.
void ShadowCache::remove_at(std::size_t hole) {
  const std::size_t mask = table_.size() - 1;
  for (std::size_t at = next(hole); table_[at] != exact::kNoSlot; at = next(at)) {
    const std::size_t home = bucket_of(cached_[table_[at]].hash);
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    table_[hole] = table_[at];
    hole = at;
  }
  table_[hole] = exact::kNoSlot;
}

}  // namespace freshet::eviction::shadow
