// Belady's rule with sizes: the object whose bytes are idle for longest leaves, that of the greatest size times time to its
// next use. A greedy bound, not an exact one: the exact one is NP-hard (Berger, Beckmann, Harchol-Balter: "Practical bounds
// on optimal caching with variable object sizes", SIGMETRICS 2018). For the simulator.
//
// Objects stand in classes of equal size (to within 1 part in 64), each a heap by next use. The greatest product is at the
// top of some class, so a victim costs a look at every class, not at every object. Of equal products the larger object's
// class leaves; never used again is infinitely far.
//
// Time: a heap's logarithm a request, and a look at each of up to some hundred classes a victim. Memory: 20 to 40 bytes an
// object.
// May use this room's slot_heap.h.
#pragma once

#include <vector>

#include "eviction/exact/slot_heap.h"

namespace freshet::eviction::exact {

class BeladySize final : public Policy {
 public:
  BeladySize() = default;
  BeladySize(const BeladySize&) = delete;
  BeladySize& operator=(const BeladySize&) = delete;

  bool on_miss(const Access&) override {
    ++requests_;
    return true;
  }
  void on_insert(Slot slot, const Access& access) override;
  void on_hit(Slot slot, const Access& access) override {
    ++requests_;
    objects_[slot].next = access.next;
    classes_[class_of(objects_[slot].size)].change(slot, access.next);
  }
  void on_resize(Slot slot, std::uint32_t size) override;
  void on_erase(Slot slot) override { classes_[class_of(objects_[slot].size)].remove(slot); }
  Slot take_victim() override;
  void set_capacity(std::uint64_t) override {}
  std::size_t overhead_bytes() const override;

  // Sizes of one class share their highest seven bits.
  static std::size_t class_of(std::uint32_t size);

 private:
  struct Object {
    std::uint32_t size;
    std::uint32_t next;
  };

  void enter(Slot slot);

  std::vector<Object> objects_;
  std::vector<std::uint32_t> place_;
  std::vector<SlotHeap<std::uint32_t>> classes_;  // By class of size.
  std::uint64_t requests_ = 0;                    // The number of the next one.
};

}  // namespace freshet::eviction::exact
