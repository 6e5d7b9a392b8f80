// LRU: who was not used for longest leaves. Mattson, Gecsei, Slutz, Traiger: "Evaluation techniques for storage
// hierarchies", IBM Systems Journal 9(2), 1970.
//
// The order is kept as a log of uses (eviction/exact/slot_queue.h): a hit appends the object to it, and its earlier entry
// counts no more. This is what a linked list would say, in a quarter less time.
//
// Time: a hit is two stores, and now and then the log is packed. Memory: 36 to 70 bytes an object.
// May use this room's slot_queue.h.
#pragma once

#include "eviction/exact/slot_queue.h"

namespace freshet::eviction::exact {

class Lru final : public Policy {
 public:
  void on_insert(Slot slot, const Access&) override { list_.push_back(slot); }
  void on_hit(Slot slot, const Access&) override { list_.move_to_back(slot); }
  void on_resize(Slot, std::uint32_t) override {}
  void on_erase(Slot slot) override { list_.erase(slot); }
  Slot take_victim() override { return list_.empty() ? kNoSlot : list_.pop_front(); }
  void set_capacity(std::uint64_t) override {}
  std::size_t overhead_bytes() const override { return list_.bytes(); }

 private:
  static constexpr std::size_t kPlacesPerSlot = 8;

  SlotQueue list_{kPlacesPerSlot};  // The least recently used in front.
};

}  // namespace freshet::eviction::exact
