// See eviction/exact/slot_queue.h.
#include "eviction/exact/slot_queue.h"

#include <algorithm>
#include <bit>

namespace freshet::eviction::exact {
namespace {

constexpr std::size_t kRingMin = 64;

}  // namespace

// Moves up what still counts. Positions start again from the ring's beginning, so that they never run out.
void SlotQueue::pack() {
  const Position mask = mask_;
  const Position first = front_ & mask;
  const Position end = back_;
  const Position hand_before = hand_ == nullptr ? kNowhere : *hand_;
  Slot* const ring = ring_.data();
  Position* const places = place_.data();
  Position back = first;
  Position hand = kNowhere;
  for (Position position = front_; position != end; ++position) {
    if (position == hand_before) hand = back;
    const Slot slot = ring[position & mask];
    if (places[slot] != position) continue;
    ring[back & mask] = slot;
    places[slot] = back++;
  }
  if (hand_ != nullptr) *hand_ = hand == kNowhere ? back : hand;
  front_ = first;
  back_ = back;
}

void SlotQueue::grow() {
  if (!ring_.empty()) pack();
  std::vector<Slot> larger(std::max(kRingMin, std::bit_ceil(places_per_slot_ * size_)));
  const auto mask = static_cast<Position>(larger.size() - 1);
  for (Position position = front_; position != back_; ++position) larger[position & mask] = ring_[position & mask_];
  ring_.swap(larger);
  mask_ = mask;
}

}  // namespace freshet::eviction::exact
