// S3-FIFO: three queues, first in, first out. Yang, Zhang, Qiu, Yue, Vigfusson: "FIFO queues are all you need for cache
// eviction", SOSP 2023.
//
// A new object enters the *small* queue (a tenth of the bytes). A hit counts in two bits (0 to 3).
//   Room is taken from the small queue while it holds its tenth or more, else from the main queue.
//   Small's tail: read more than once since it came, it moves to main, its count cleared; else it leaves, and the *ghost*
//   queue remembers its key.
//   Main's tail: with a count above zero it goes round again, the count less one; else it leaves.
//   A new object whose key is in the ghost queue was sent away too early: it enters main at once.
// The ghost queue remembers keys of as many bytes as main holds: nine tenths.
//
// An object that is erased is not remembered: in a trace, a delete is the end of it.
//
// Time: a hit stores one byte. Memory: 33 to 53 bytes an object, 24 to 96 a ghost.
// May use this room's slot_queue.h and ghosts.h.
#pragma once

#include <algorithm>
#include <vector>

#include "eviction/exact/ghosts.h"
#include "eviction/exact/slot_queue.h"

namespace freshet::eviction::exact {

class S3Fifo final : public Policy {
 public:
  static constexpr std::uint64_t kSmallPart = 10;      // One byte in so many is the small queue's.
  static constexpr std::uint8_t kCountMax = 3;         // Two bits.
  static constexpr std::uint8_t kCountToMove = 2;      // From small to main: read more than once.

  bool on_miss(const Access& access) override {
    returns_ = ghosts_.take(access.key);
    return true;
  }
  void on_insert(Slot slot, const Access& access) override;
  void on_hit(Slot slot, const Access&) override { count_[slot] = std::min<std::uint8_t>(count_[slot] + 1, kCountMax); }
  void on_resize(Slot slot, std::uint32_t size) override;
  void on_erase(Slot slot) override;
  Slot take_victim() override;
  void set_capacity(std::uint64_t bytes) override;
  std::size_t overhead_bytes() const override;

 private:
  struct Object {
    std::uint64_t key;
    std::uint32_t size;
    bool in_main;
  };

  Slot take_from_small();
  Slot take_from_main();
  void enter_main(Slot slot);

  SlotQueue small_;
  SlotQueue main_;
  Ghosts ghosts_;
  std::vector<std::uint8_t> count_;  // By slot, and so are these.
  std::vector<Object> objects_;
  std::uint64_t small_bytes_ = 0;
  std::uint64_t small_bytes_max_ = 0;
  std::uint64_t ghost_bytes_max_ = 0;
  bool returns_ = false;  // The object of the last miss was a ghost.
};

}  // namespace freshet::eviction::exact
