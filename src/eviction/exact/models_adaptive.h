// For tests: models of the policies that remember who has left: ARC, LIRS, W-TinyLFU. May use this room's files.
#pragma once

#include <set>

#include "eviction/exact/frequency_sketch.h"
#include "eviction/exact/lirs.h"
#include "eviction/exact/models.h"
#include "eviction/exact/w_tiny_lfu.h"

namespace freshet::eviction::exact {

class ArcModel final : public Model {
 public:
  bool on_miss(const Access& access) override {
    const bool once = find_key(b1_, access.key) != b1_.end();
    const bool often = find_key(b2_, access.key) != b2_.end();
    incoming_bytes_ = access.size;
    known_ = once || often;
    from_b2_ = often;
    if (!known_) return true;
    const auto here = static_cast<double>(bytes_in(once ? b1_ : b2_));
    const auto there = static_cast<double>(bytes_in(once ? b2_ : b1_));
    const double quotient = there / std::max(1.0, here);
    const auto step = static_cast<std::uint64_t>(std::max(1.0, quotient) * access.size);
    p_ = once ? std::min(c_, p_ + step) : p_ - std::min(p_, step);
    ObjectList& ghosts = once ? b1_ : b2_;
    ghosts.erase(find_key(ghosts, access.key));
    return true;
  }
  void on_insert(const Object& object) override {
    (known_ ? t2_ : t1_).push_back(object);
    trim();
  }
  void on_hit(Slot slot, const Access&) override {
    if (!move_to(t1_, slot, t2_, t2_.end())) move_to(t2_, slot, t2_, t2_.end());
  }
  void on_resize(Slot slot, std::uint32_t size) override {
    const auto at = find_slot(t1_, slot);
    (at != t1_.end() ? at : find_slot(t2_, slot))->size = size;
  }
  void on_erase(Slot slot) override {
    ObjectList out;
    if (!move_to(t1_, slot, out, out.end())) move_to(t2_, slot, out, out.end());
  }
  bool leaves(Slot victim) override {
    const bool no_ghost = !known_ && bytes_in(t1_) + incoming_bytes_ > c_;
    const bool t1_over = bytes_in(t1_) > p_ || (from_b2_ && bytes_in(t1_) == p_);
    const bool once = t2_.empty() || (!t1_.empty() && (no_ghost || t1_over));
    ObjectList& from = once ? t1_ : t2_;
    const bool same = from.front().slot == victim;
    ObjectList out;
    out.splice(out.end(), from, from.begin());
    if (!no_ghost) (once ? b1_ : b2_).splice((once ? b1_ : b2_).end(), out);
    trim();
    return same;
  }
  void set_capacity(std::uint64_t bytes) override {
    c_ = bytes;
    p_ = std::min(p_, c_);
    trim();
  }

 private:
  void trim() {
    while (!b1_.empty() && bytes_in(t1_) + bytes_in(b1_) > c_ && bytes_in(b1_) > 0) b1_.pop_front();
    while (!b2_.empty() && bytes_in(t1_) + bytes_in(t2_) + bytes_in(b1_) + bytes_in(b2_) > 2 * c_) b2_.pop_front();
  }
  ObjectList t1_, t2_, b1_, b2_;  // Least recently used first.
  std::uint64_t c_ = 0, p_ = 0, incoming_bytes_ = 0;
  bool known_ = false, from_b2_ = false;
};

class LirsModel final : public Model {
 public:
  bool on_miss(const Access& access) override {
    const bool ghost = find_key(stack_, access.key) != stack_.end();
    std::set<std::uint64_t> keys;
    for (const auto& object : stack_) keys.insert(object.key);
    for (const auto& object : queue_) keys.insert(object.key);
    return ghost || access.size <= c_ - hot_max_ || keys.size() < Lirs::kColdPart;
  }
  void on_insert(const Object& object) override {
    const auto ghost = find_key(stack_, object.key);
    const bool known = ghost != stack_.end();
    if (known) {
      ghosts_.remove(object.key);
      stack_.erase(ghost);
    }
    const bool hot = known || hot_bytes() + object.size <= hot_max_;
    stack_.push_back(object);
    stack_.back().count = hot ? kHot : kCold;
    if (stack_.back().count == kCold) queue_.push_back(stack_.back());
    settle();
  }
  void on_hit(Slot slot, const Access&) override {
    const auto queued = find_slot(queue_, slot);
    if (move_to(stack_, slot, stack_, stack_.end())) {
      if (queued != queue_.end()) {
        queue_.erase(queued);
        stack_.back().count = kHot;
      }
    } else {
      stack_.push_back(*queued);
      queue_.splice(queue_.end(), queue_, queued);
    }
    settle();
  }
  void on_resize(Slot slot, std::uint32_t size) override {
    if (const auto at = find_slot(stack_, slot); at != stack_.end()) at->size = size;
    if (const auto at = find_slot(queue_, slot); at != queue_.end()) at->size = size;
    settle();
  }
  void on_erase(Slot slot) override {
    ObjectList out;
    move_to(stack_, slot, out, out.end());
    move_to(queue_, slot, out, out.end());
    settle();
  }
  bool leaves(Slot victim) override {
    if (queue_.empty()) cool();
    const Object head = queue_.front();
    queue_.pop_front();
    if (const auto at = find_slot(stack_, head.slot); at != stack_.end()) {
      at->slot = kNoSlot;
      at->count = kGhost;
      ghosts_.push_back(at->key);
    }
    settle();
    return head.slot == victim;
  }
  void set_capacity(std::uint64_t bytes) override {
    c_ = bytes;
    hot_max_ = bytes - std::min(bytes, std::max<std::uint64_t>(1, bytes / Lirs::kColdPart));
    settle();
  }

 private:
  enum : std::uint32_t { kHot, kCold, kGhost };
  std::uint64_t hot_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& object : stack_) bytes += object.count == kHot ? object.size : 0;
    return bytes;
  }
  void prune() {
    while (!stack_.empty() && stack_.front().count != kHot) {
      if (stack_.front().count == kGhost) ghosts_.remove(stack_.front().key);
      stack_.pop_front();
    }
  }
  void cool() {
    stack_.front().count = kCold;
    queue_.splice(queue_.end(), stack_, stack_.begin());
    prune();
  }
  void settle() {
    prune();
    while (hot_bytes() > hot_max_ && !stack_.empty()) cool();
    while (bytes_in(stack_) > Lirs::kStackTimes * c_ && !ghosts_.empty()) {
      stack_.erase(find_key(stack_, ghosts_.front()));
      ghosts_.pop_front();
    }
  }
  ObjectList stack_, queue_;         // The bottom, and the head, first.
  std::list<std::uint64_t> ghosts_;  // Keys, the one that left first in front.
  std::uint64_t c_ = 0, hot_max_ = 0;
};

class WTinyLfuModel final : public Model {
 public:
  bool on_miss(const Access& access) override {
    sketch_.add(access.key);
    incoming_bytes_ = access.size;
    if (access.size <= window_max_ || (probation_.empty() && protected_.empty())) return true;
    if (main_bytes() + access.size <= main_max_) return true;
    return sketch_.count(access.key) > sketch_.count(tail().front().key);
  }
  void on_insert(const Object& object) override {
    (object.size <= window_max_ ? window_ : probation_).push_back(object);
    sketch_.reserve(window_.size() + probation_.size() + protected_.size());
  }
  void on_hit(Slot slot, const Access& access) override {
    if (move_to(window_, slot, window_, window_.end())) return;
    sketch_.add(access.key);
    if (!move_to(probation_, slot, protected_, protected_.end())) move_to(protected_, slot, protected_, protected_.end());
    shrink();
  }
  void on_resize(Slot slot, std::uint32_t size) override {
    for (ObjectList* list : {&window_, &probation_, &protected_}) {
      if (const auto at = find_slot(*list, slot); at != list->end()) at->size = size;
    }
    shrink();
  }
  void on_erase(Slot slot) override {
    ObjectList out;
    for (ObjectList* list : {&window_, &probation_, &protected_}) move_to(*list, slot, out, out.end());
  }
  bool leaves(Slot victim) override {
    for (;;) {
      const bool main_empty = probation_.empty() && protected_.empty();
      const bool over = bytes_in(window_) + incoming_bytes_ > window_max_;
      if (window_.empty() || (!over && !main_empty)) return forget(tail(), victim);
      if (main_bytes() + window_.front().size <= main_max_) {
        probation_.splice(probation_.end(), window_, window_.begin());
        continue;
      }
      const bool admit = !main_empty && sketch_.count(window_.front().key) > sketch_.count(tail().front().key);
      return forget(admit ? tail() : window_, victim);
    }
  }
  void set_capacity(std::uint64_t bytes) override {
    window_max_ = bytes / WTinyLfu::kWindowPart;
    main_max_ = bytes - window_max_;
    protected_max_ = main_max_ - main_max_ / WTinyLfu::kProbationPart;
    shrink();
  }

 private:
  ObjectList& tail() { return probation_.empty() ? protected_ : probation_; }
  std::uint64_t main_bytes() const { return bytes_in(probation_) + bytes_in(protected_); }
  static bool forget(ObjectList& from, Slot victim) {
    const bool same = from.front().slot == victim;
    from.pop_front();
    return same;
  }
  void shrink() {
    while (bytes_in(protected_) > protected_max_) probation_.splice(probation_.end(), protected_, protected_.begin());
  }
  ObjectList window_, probation_, protected_;  // Least recently used first.
  FrequencySketch sketch_;
  std::uint64_t window_max_ = 0, main_max_ = 0, protected_max_ = 0, incoming_bytes_ = 0;
};

}  // namespace freshet::eviction::exact
