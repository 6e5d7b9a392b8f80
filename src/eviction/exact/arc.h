// ARC, the adaptive replacement cache. Megiddo, Modha: "ARC: a self-tuning, low overhead replacement cache", FAST 2003.
//
// Two LRU lists of what is cached: T1, seen once lately, and T2, seen at least twice; and two of what has left them: B1 and
// B2, keys only. `target` is the size that T1 should have.
//   A hit moves the object to the front of T2.
//   A miss on a key of B1: T1 should have been larger: the target grows; on a key of B2 it shrinks. By the object's size, or
//   by more if the other list of ghosts is longer: times the quotient of the two. The object enters T2.
//   Any other miss enters T1.
//   Room: from T1 to B1 if T1 is above its target (or at it, and the key was in B2), else from T2 to B2.
//   T1 and B1 together hold at most what the cache holds, all four at most twice that.
//
// The paper counts pages; here bytes are counted, and a page's step is the object's size. (The reference simulator moves
// the target by single bytes, so that T1 stays near empty: its figures are higher than these.)
//
// Time: a hit moves a node of a linked list. Memory: 24 to 36 bytes an object, 24 to 96 a ghost.
// May use this room's slot_list.h and ghosts.h.
#pragma once

#include <vector>

#include "eviction/exact/ghosts.h"
#include "eviction/exact/slot_list.h"

namespace freshet::eviction::exact {

class Arc final : public Policy {
 public:
  Arc() = default;
  Arc(const Arc&) = delete;
  Arc& operator=(const Arc&) = delete;

  bool on_miss(const Access& access) override;
  void on_insert(Slot slot, const Access& access) override;
  void on_hit(Slot slot, const Access&) override {
    if (objects_[slot].often) return often_.move_to_front(slot);
    leave(slot);
    enter(slot, true);
  }
  void on_resize(Slot slot, std::uint32_t size) override;
  void on_erase(Slot slot) override { leave(slot); }
  Slot take_victim() override;
  void set_capacity(std::uint64_t bytes) override;
  std::size_t overhead_bytes() const override;

 private:
  enum class Ghost : std::uint8_t { none, once, often };
  struct Object {
    std::uint64_t key;
    std::uint32_t size;
    bool often;
  };

  void enter(Slot slot, bool often) {
    objects_[slot].often = often;
    (often ? often_ : once_).push_front(slot);
    (often ? often_bytes_ : once_bytes_) += objects_[slot].size;
  }
  void leave(Slot slot) {
    (objects_[slot].often ? often_ : once_).remove(slot);
    (objects_[slot].often ? often_bytes_ : once_bytes_) -= objects_[slot].size;
  }
  void adapt(const Access& access);
  void trim_ghosts();

  SlotLinks links_;
  SlotList once_{links_};   // T1
  SlotList often_{links_};  // T2
  Ghosts once_ghosts_;      // B1
  Ghosts often_ghosts_;     // B2
  std::vector<Object> objects_;
  std::uint64_t once_bytes_ = 0;
  std::uint64_t often_bytes_ = 0;
  std::uint64_t capacity_ = 0;
  std::uint64_t target_ = 0;  // For once_bytes_; p in the paper.
  std::uint64_t incoming_bytes_ = 0;
  Ghost incoming_ = Ghost::none;  // Where the object of the last miss was remembered.
};

}  // namespace freshet::eviction::exact
