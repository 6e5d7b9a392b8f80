// Doubly linked lists of slots over one array of links: a slot stands in at most one of the lists that share it. Moving to
// the front costs a handful of loads and stores, and nothing is allocated on the way. May use policy.h only.
#pragma once

#include <cstddef>
#include <vector>

#include "eviction/exact/policy.h"

namespace freshet::eviction::exact {

struct SlotLink {
  Slot towards_front = kNoSlot;
  Slot towards_back = kNoSlot;
};

using SlotLinks = std::vector<SlotLink>;

class SlotList {
 public:
  explicit SlotList(SlotLinks& links) : links_(links) {}

  bool empty() const { return front_ == kNoSlot; }
  Slot back() const { return back_; }
  std::size_t size() const { return size_; }

  void push_front(Slot slot) {
    links_[slot] = {kNoSlot, front_};
    (front_ == kNoSlot ? back_ : links_[front_].towards_front) = slot;
    front_ = slot;
    ++size_;
  }
  void remove(Slot slot) {
    const SlotLink link = links_[slot];
    (link.towards_front == kNoSlot ? front_ : links_[link.towards_front].towards_back) = link.towards_back;
    (link.towards_back == kNoSlot ? back_ : links_[link.towards_back].towards_front) = link.towards_front;
    --size_;
  }
  void move_to_front(Slot slot) {
    if (slot == front_) return;
    remove(slot);
    push_front(slot);
  }
  // The back, taken out; the list is not empty.
  Slot pop_back() {
    const Slot slot = back_;
    remove(slot);
    return slot;
  }

 private:
  SlotLinks& links_;
  Slot front_ = kNoSlot;
  Slot back_ = kNoSlot;
  std::size_t size_ = 0;
};

}  // namespace freshet::eviction::exact
