// Slots in order of arrival, as a ring with holes: first in, first out, with erasure from the middle. May use policy.h only.
//
// A slot's place is a position that only grows; the ring holds positions front to back, and an entry counts only while its
// slot still stands at that position. Erasing (and moving to the back) therefore costs one store, and walks are sequential
// reads. A ring that is full is packed in place; it has at least twice as many places as slots, so that packing pays for
// itself. Only push_back allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "eviction/exact/policy.h"

namespace freshet::eviction::exact {

class SlotQueue {
 public:
  using Position = std::uint32_t;
  static constexpr Position kNowhere = UINT32_MAX;

  // Growing gives the ring so many places a slot, at least two. More are worth it where holes are made all the time.
  explicit SlotQueue(std::size_t places_per_slot = 2) : places_per_slot_(places_per_slot) {}

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  void push_back(Slot slot) {
    make_room_for(place_, slot, kNowhere);
    ++size_;
    if (ring_.size() < 2 * size_) grow();
    if (full()) pack();
    put(slot);
  }
  // A slot that is here already goes to the back.
  void move_to_back(Slot slot) {
    if (full()) {
      place_[slot] = kNowhere;
      pack();
    }
    put(slot);
  }
  void erase(Slot slot) {
    place_[slot] = kNowhere;
    --size_;
  }
  // The front, taken out; the queue is not empty.
  Slot pop_front() {
    for (;;) {
      const Position position = front_++;
      const Slot slot = ring_[position & mask_];
      if (place_[slot] != position) continue;
      erase(slot);
      return slot;
    }
  }

  // For a hand that walks: the first slot at or after `position`, which moves past it; kNoSlot at the back.
  Slot next_from(Position& position) const {
    while (position != back_) {
      const Slot slot = ring_[position & mask_];
      if (place_[slot] == position++) return slot;
    }
    return kNoSlot;
  }
  // Moves `position` past places that are left empty; true: nothing stands at or after it.
  bool skip_holes(Position& position) const {
    while (position != back_ && place_[ring_[position & mask_]] != position) ++position;
    return position == back_;
  }
  Position front() const { return front_; }
  // A hand outlives packing: it then stands before the same slot as before.
  void follow(Position* hand) { hand_ = hand; }

  std::size_t bytes() const { return bytes_of(ring_) + bytes_of(place_); }

 private:
  bool full() const { return back_ - front_ > mask_ || back_ == kNowhere; }
  void put(Slot slot) {
    const Position position = back_++;
    ring_[position & mask_] = slot;
    place_[slot] = position;
  }
  void pack();
  void grow();

  const std::size_t places_per_slot_;
  std::vector<Slot> ring_;        // By position, modulo its size: a power of two.
  std::vector<Position> place_;   // By slot.
  Position front_ = 0;
  Position back_ = 0;
  Position mask_ = 0;
  std::size_t size_ = 0;
  Position* hand_ = nullptr;
};

}  // namespace freshet::eviction::exact
