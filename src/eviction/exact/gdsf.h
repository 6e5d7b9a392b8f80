// GDSF: greedy dual, size and frequency. Cherkasova: "Improving WWW proxies performance with greedy-dual-size-frequency
// caching policy", HP Labs 1998.
//
// An object's priority is L + frequency / size (each miss costs the same): small objects and those read often are worth
// more for their bytes. The lowest priority leaves, and L becomes that priority: what is not read grows old beside what
// comes in later. Of equal priorities the one that got it first leaves.
//
// Time: a heap's logarithm a hit. Memory: 36 to 66 bytes an object.
// May use this room's slot_heap.h.
#pragma once

#include <vector>

#include "eviction/exact/slot_heap.h"

namespace freshet::eviction::exact {

class Gdsf final : public Policy {
 public:
  void on_insert(Slot slot, const Access& access) override {
    make_room_for(objects_, slot);
    objects_[slot] = {1, access.size};
    heap_.insert(slot, rank_of(slot));
  }
  void on_hit(Slot slot, const Access&) override {
    ++objects_[slot].frequency;
    heap_.change(slot, rank_of(slot));
  }
  void on_resize(Slot slot, std::uint32_t size) override {
    objects_[slot].size = size;
    heap_.change(slot, rank_of(slot));
  }
  void on_erase(Slot slot) override { heap_.remove(slot); }
  Slot take_victim() override {
    if (heap_.empty()) return kNoSlot;
    inflation_ = heap_.top_rank().priority;
    return heap_.pop();
  }
  void set_capacity(std::uint64_t) override {}
  std::size_t overhead_bytes() const override { return heap_.bytes() + bytes_of(place_) + bytes_of(objects_); }

 private:
  struct Object {
    std::uint32_t frequency;
    std::uint32_t size;
  };
  struct Rank {
    double priority = 0;
    std::uint64_t order = 0;
    // The heap's top is the greatest: that of the lowest priority, given first.
    bool operator<(const Rank& other) const {
      return priority != other.priority ? priority > other.priority : order > other.order;
    }
  };

  Rank rank_of(Slot slot) {
    const Object& object = objects_[slot];
    const double size = object.size == 0 ? 1 : object.size;
    return {inflation_ + object.frequency / size, order_++};
  }

  std::vector<Object> objects_;
  std::vector<std::uint32_t> place_;
  SlotHeap<Rank> heap_{place_};
  double inflation_ = 0;  // L
  std::uint64_t order_ = 0;
};

}  // namespace freshet::eviction::exact
