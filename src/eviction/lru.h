// Least recently used: one list; a hit moves its entry to the front, and the entry at the back leaves. The classic baseline.
// Segments do not give its order, so it picks, by a list of slots: a hit takes the lock and touches three links, and an
// entry takes some 22 bytes more than with a policy that sifts. The simulator's own form (eviction/exact/lru.h) is faster
// over traces and takes four times that. May use memory and eviction/exact.
#pragma once

#include <cstddef>
#include <cstdint>

#include "eviction/exact/slot_list.h"
#include "eviction/exact/slots.h"
#include "memory/picking.h"

namespace freshet::eviction {

class Lru final : public memory::PickingPolicy {
 public:
  bool admit(std::uint64_t, std::size_t) override { return true; }
  Slot on_insert(std::uint64_t, std::size_t) override {
    const Slot slot = taken_.take({});
    exact::make_room_for(links_, slot);
    list_.push_front(slot);
    return slot;
  }
  void on_hit(Slot slot, std::uint64_t, std::size_t) override { list_.move_to_front(slot); }
  void on_resize(Slot, std::size_t) override {}
  void on_erase(Slot slot) override {
    list_.remove(slot);
    taken_.release(slot);
  }
  Slot take_victim() override {
    if (list_.empty()) {
      links_ = exact::SlotLinks();
      taken_ = {};
      return kNoSlot;
    }
    const Slot slot = list_.pop_back();
    taken_.release(slot);
    return slot;
  }
  void set_capacity(std::size_t) override {}
  std::size_t overhead_bytes() const override { return exact::bytes_of(links_) + taken_.bytes(); }

 private:
  exact::SlotLinks links_;
  exact::SlotList list_{links_};
  exact::TakenSlots taken_;
};

}  // namespace freshet::eviction
