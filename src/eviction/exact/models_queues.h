// For tests: models of the policies that are queues: FIFO, LRU, CLOCK, SIEVE, S3-FIFO. May use this room's files.
#pragma once

#include "eviction/exact/models.h"
#include "eviction/exact/s3_fifo.h"

namespace freshet::eviction::exact {

class FifoModel final : public OneListModel {
 public:
  void on_hit(Slot, const Access&) override {}
  bool leaves(Slot victim) override { return forget(list_.begin(), victim); }
};

class LruModel final : public OneListModel {
 public:
  void on_hit(Slot slot, const Access&) override { move_to(list_, slot, list_, list_.end()); }
  bool leaves(Slot victim) override { return forget(list_.begin(), victim); }
};

class ClockModel final : public OneListModel {
 public:
  void on_hit(Slot slot, const Access&) override { find_slot(list_, slot)->count = 1; }
  bool leaves(Slot victim) override {
    while (list_.front().count == 1) {
      list_.front().count = 0;
      list_.splice(list_.end(), list_, list_.begin());
    }
    return forget(list_.begin(), victim);
  }
};

class SieveModel final : public OneListModel {
 public:
  void on_hit(Slot slot, const Access&) override { find_slot(list_, slot)->count = 1; }
  void on_erase(Slot slot) override {
    if (slot == hand_) hand_ = younger(find_slot(list_, slot));
    OneListModel::on_erase(slot);
  }
  bool leaves(Slot victim) override {
    if (hand_ == kNoSlot) hand_ = list_.front().slot;
    auto at = find_slot(list_, hand_);
    while (at->count == 1) {
      at->count = 0;
      if (++at == list_.end()) at = list_.begin();
    }
    hand_ = younger(at);
    return forget(at, victim);
  }

 private:
  Slot younger(ObjectList::iterator at) { return ++at == list_.end() ? kNoSlot : at->slot; }
  Slot hand_ = kNoSlot;  // None: the oldest.
};

class S3FifoModel final : public Model {
 public:
  bool on_miss(const Access& access) override {
    const auto ghost = find_key(ghosts_, access.key);
    returns_ = ghost != ghosts_.end();
    if (returns_) ghosts_.erase(ghost);
    return true;
  }
  void on_insert(const Object& object) override { (returns_ ? main_ : small_).push_back(object); }
  void on_hit(Slot slot, const Access&) override {
    auto& object = *where(slot);
    object.count = std::min<std::uint32_t>(object.count + 1, S3Fifo::kCountMax);
  }
  void on_resize(Slot slot, std::uint32_t size) override { where(slot)->size = size; }
  void on_erase(Slot slot) override {
    ObjectList out;
    if (!move_to(small_, slot, out, out.end())) move_to(main_, slot, out, out.end());
  }
  bool leaves(Slot victim) override {
    for (;;) {
      const bool small = main_.empty() || (!small_.empty() && bytes_in(small_) >= small_max_);
      ObjectList& from = small ? small_ : main_;
      const auto tail = from.begin();
      if (small && tail->count >= S3Fifo::kCountToMove) {
        tail->count = 0;
        main_.splice(main_.end(), small_, tail);
      } else if (!small && tail->count > 0) {
        --tail->count;
        main_.splice(main_.end(), main_, tail);
      } else {
        if (small) ghosts_.push_back(*tail);
        trim();
        const bool same = tail->slot == victim;
        from.erase(tail);
        return same;
      }
    }
  }
  void set_capacity(std::uint64_t bytes) override {
    small_max_ = bytes / S3Fifo::kSmallPart;
    ghost_max_ = bytes - small_max_;
    trim();
  }

 private:
  ObjectList::iterator where(Slot slot) {
    const auto at = find_slot(small_, slot);
    return at != small_.end() ? at : find_slot(main_, slot);
  }
  void trim() {
    while (bytes_in(ghosts_) > ghost_max_) ghosts_.pop_front();
  }
  ObjectList small_, main_, ghosts_;  // The oldest first.
  std::uint64_t small_max_ = 0, ghost_max_ = 0;
  bool returns_ = false;
};

}  // namespace freshet::eviction::exact
