// SIEVE: a queue and a hand. Zhang, Yang, Yue, Vigfusson, Rashmi: "SIEVE is simpler than LRU: an efficient turn-key eviction
// algorithm for web caches", NSDI 2024.
//
// New objects enter at the young end. A hit marks. The hand walks from old to young, takes marks away as it passes, and
// evicts the first object without one; at the young end it starts again at the old end. Unlike CLOCK, an object that is
// passed over keeps its place: new objects and survivors are not mixed, so that the hand sifts the new ones quickly.
//
// Time: a hit stores one byte. Memory: 21 to 39 bytes an object.
// May use this room's slot_queue.h.
#pragma once

#include <vector>

#include "eviction/exact/slot_queue.h"

namespace freshet::eviction::exact {

class Sieve final : public Policy {
 public:
  Sieve() { queue_.follow(&hand_); }
  Sieve(const Sieve&) = delete;
  Sieve& operator=(const Sieve&) = delete;

  void on_insert(Slot slot, const Access&) override {
    make_room_for(used_, slot);
    used_[slot] = 0;
    // With nothing younger before it the hand is at the young end: it starts again before, not after, the object joins.
    if (queue_.skip_holes(hand_)) hand_ = queue_.front();
    queue_.push_back(slot);
  }
  void on_hit(Slot slot, const Access&) override { used_[slot] = 1; }
  void on_resize(Slot, std::uint32_t) override {}
  void on_erase(Slot slot) override { queue_.erase(slot); }
  Slot take_victim() override {
    while (!queue_.empty()) {
      const Slot slot = queue_.next_from(hand_);
      if (slot == kNoSlot) {
        hand_ = queue_.front();
      } else if (used_[slot] == 0) {
        queue_.erase(slot);
        return slot;
      } else {
        used_[slot] = 0;
      }
    }
    return kNoSlot;
  }
  void set_capacity(std::uint64_t) override {}
  std::size_t overhead_bytes() const override { return queue_.bytes() + bytes_of(used_); }

 private:
  static constexpr std::size_t kPlacesPerSlot = 4;

  SlotQueue queue_{kPlacesPerSlot};
  SlotQueue::Position hand_ = 0;    // Everything from here on is younger.
  std::vector<std::uint8_t> used_;  // By slot.
};

}  // namespace freshet::eviction::exact
