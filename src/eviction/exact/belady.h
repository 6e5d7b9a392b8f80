// Belady's MIN: who is used furthest in the future leaves. Belady: "A study of replacement algorithms for virtual-storage
// computers", IBM Systems Journal 5(2), 1966. A new object always comes in, as it must in a page cache. No such policy
// misses fewer objects if all are of one size; with sizes it is a guide, not a bound. Only a trace knows the future: it is
// for the simulator.
// Time: a heap's logarithm a request. Memory: 12 to 22 bytes an object.
// May use this room's slot_heap.h.
#pragma once

#include "eviction/exact/slot_heap.h"

namespace freshet::eviction::exact {

class Belady final : public Policy {
 public:
  void on_insert(Slot slot, const Access& access) override { heap_.insert(slot, access.next); }
  void on_hit(Slot slot, const Access& access) override { heap_.change(slot, access.next); }
  void on_resize(Slot, std::uint32_t) override {}
  void on_erase(Slot slot) override { heap_.remove(slot); }
  Slot take_victim() override { return heap_.empty() ? kNoSlot : heap_.pop(); }
  void set_capacity(std::uint64_t) override {}
  std::size_t overhead_bytes() const override { return heap_.bytes() + bytes_of(place_); }

 private:
  std::vector<std::uint32_t> place_;
  SlotHeap<std::uint32_t> heap_{place_};  // By the number of the next request. Equal ones: both never used again.
};

}  // namespace freshet::eviction::exact
