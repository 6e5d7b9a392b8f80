// See eviction/ghost_queue.h.
#include "eviction/ghost_queue.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

namespace freshet::eviction {

void GhostQueue::push(std::uint32_t fingerprint, std::size_t limit) {
  limit = std::min(limit, kRingMax);
  take(fingerprint);
  trim(limit == 0 ? 0 : limit - 1);
  if (limit == 0) return;
  // If one place in eight is a hole, closing them makes enough room.
  const bool enough = !ring_.empty() && ring_.size() - size_ >= ring_.size() / 8;
  if (full()) rebuild(enough ? ring_.size() : std::max(kRingMin, ring_.size() * 2));
  append(fingerprint);
}

bool GhostQueue::take(std::uint32_t fingerprint) {
  if (size_ == 0) return false;
  for (std::size_t slot = fingerprint & slot_mask(); table_[slot] != kEmpty; slot = (slot + 1) & slot_mask()) {
    if (ring_[table_[slot]] != fingerprint) continue;
    unlink(slot);
    return true;
  }
  return false;
}

void GhostQueue::trim(std::size_t limit) {
  while (size_ > limit) drop_tail();
  if (size_ == 0 && limit == 0) {
    rebuild(0);
  } else if (ring_.size() > kRingMin && limit < ring_.size() / 8) {
    rebuild(std::max(kRingMin, std::bit_ceil(limit * 2)));
  }
}

void GhostQueue::append(std::uint32_t fingerprint) {
  assert(!full());
  const auto place = static_cast<std::uint32_t>(head_++ & place_mask());
  ring_[place] = fingerprint;
  std::size_t slot = fingerprint & slot_mask();
  while (table_[slot] != kEmpty) slot = (slot + 1) & slot_mask();
  table_[slot] = place;
  ++size_;
}

void GhostQueue::drop_tail() {
  assert(tail_ != head_);
  const auto place = static_cast<std::uint32_t>(tail_++ & place_mask());
  for (std::size_t slot = ring_[place] & slot_mask(); table_[slot] != kEmpty; slot = (slot + 1) & slot_mask()) {
    if (table_[slot] == place) return unlink(slot);
  }
}

// Empties the slot and moves those behind it up, so that each is reachable from its home without crossing an empty slot.
void GhostQueue::unlink(std::size_t gap) {
  const std::size_t mask = slot_mask();
  for (std::size_t slot = (gap + 1) & mask; table_[slot] != kEmpty; slot = (slot + 1) & mask) {
    const std::size_t home = ring_[table_[slot]] & mask;
    if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
    table_[gap] = table_[slot];
    gap = slot;
  }
  table_[gap] = kEmpty;
  --size_;
}

// Moves the ghosts, without the holes, to a ring of `ring_size` places, a power of two or none.
void GhostQueue::rebuild(std::size_t ring_size) {
  assert(size_ <= ring_size);
  std::vector<std::uint32_t> ghosts;
  ghosts.reserve(size_);
  while (size_ > 0) {
    const std::uint32_t fingerprint = ring_[tail_ & place_mask()];
    const std::size_t before = size_;
    drop_tail();
    if (size_ < before) ghosts.push_back(fingerprint);
  }
  head_ = tail_ = 0;
  ring_ = std::vector<std::uint32_t>(ring_size);
  table_ = std::vector<std::uint32_t>(ring_size * 2, kEmpty);
  for (const std::uint32_t fingerprint : ghosts) append(fingerprint);
}

}  // namespace freshet::eviction
