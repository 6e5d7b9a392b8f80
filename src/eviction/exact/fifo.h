// FIFO: who came first leaves first; hits change nothing. The oldest policy, and the cheapest.
// Time: nothing on a hit. Memory: 12 to 22 bytes an object.
// May use this room's slot_queue.h.
#pragma once

#include "eviction/exact/slot_queue.h"

namespace freshet::eviction::exact {

class Fifo final : public Policy {
 public:
  void on_insert(Slot slot, const Access&) override { queue_.push_back(slot); }
  void on_hit(Slot, const Access&) override {}
  void on_resize(Slot, std::uint32_t) override {}
  void on_erase(Slot slot) override { queue_.erase(slot); }
  Slot take_victim() override { return queue_.empty() ? kNoSlot : queue_.pop_front(); }
  void set_capacity(std::uint64_t) override {}
  std::size_t overhead_bytes() const override { return queue_.bytes(); }

 private:
  SlotQueue queue_;
};

}  // namespace freshet::eviction::exact
