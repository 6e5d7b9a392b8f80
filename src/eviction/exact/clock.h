// CLOCK, also called FIFO with reinsertion or second chance: who came first leaves first, unless it was used since; then its
// mark is taken away and it goes to the back of the queue. Corbató: "A paging experiment with the Multics system", 1969.
// One bit an object, clear when it comes in.
// Time: a hit stores one byte. Memory: 13 to 24 bytes an object.
// May use this room's slot_queue.h.
#pragma once

#include <vector>

#include "eviction/exact/slot_queue.h"

namespace freshet::eviction::exact {

class Clock final : public Policy {
 public:
  void on_insert(Slot slot, const Access&) override {
    make_room_for(used_, slot);
    used_[slot] = 0;
    queue_.push_back(slot);
  }
  void on_hit(Slot slot, const Access&) override { used_[slot] = 1; }
  void on_resize(Slot, std::uint32_t) override {}
  void on_erase(Slot slot) override { queue_.erase(slot); }
  Slot take_victim() override {
    while (!queue_.empty()) {
      const Slot slot = queue_.pop_front();
      if (used_[slot] == 0) return slot;
      used_[slot] = 0;
      queue_.push_back(slot);
    }
    return kNoSlot;
  }
  void set_capacity(std::uint64_t) override {}
  std::size_t overhead_bytes() const override { return queue_.bytes() + bytes_of(used_); }

 private:
  SlotQueue queue_;
  std::vector<std::uint8_t> used_;  // By slot.
};

}  // namespace freshet::eviction::exact
