// W-TinyLFU: a small window for what is new, and a main part that admits only what is asked for more often than what it
// would replace. Einziger, Friedman, Manes: "TinyLFU: a highly efficient cache admission policy", ACM Transactions on
// Storage 13(4), 2017.
//
// A new object enters the *window*, an LRU list of one hundredth of the bytes. Main is a segmented LRU: *probation*, and
// *protected* for four fifths of it. A hit in probation moves the object to protected, and if that is too large then, its
// tail back to probation's front.
//   Room: while the window, with the new object in it, is larger than its part, its tail is the candidate. It moves to
//   probation if main has room; else it is compared with probation's tail (protected's, if probation is empty): whoever was
//   asked for less often leaves, of equal ones the candidate. A window within its part: main's tail leaves.
//   An object that is larger than the window is its own candidate: it enters probation, or does not come in.
// How often is told by a sketch of misses and of hits in main, halved every eight such requests an object
// (eviction/exact/frequency_sketch.h). Hits in the window do not count: a burst is what the window is for, and counting it
// admits what is over already (the reference simulator leaves them out too; with them the ratios on the reference traces
// are worse by up to 0.04).
//
// Time: a hit moves a node of a linked list and counts in four places. Memory: 32 to 52 bytes an object.
// May use this room's slot_list.h and frequency_sketch.h.
#pragma once

#include <array>
#include <vector>

#include "eviction/exact/frequency_sketch.h"
#include "eviction/exact/slot_list.h"

namespace freshet::eviction::exact {

class WTinyLfu final : public Policy {
 public:
  static constexpr std::uint64_t kWindowPart = 100;         // One byte in so many is the window's.
  static constexpr std::uint64_t kProbationPart = 5;        // And of main's, probation's.

  WTinyLfu() = default;
  WTinyLfu(const WTinyLfu&) = delete;
  WTinyLfu& operator=(const WTinyLfu&) = delete;

  bool on_miss(const Access& access) override {
    sketch_.add(access.key);
    incoming_bytes_ = access.size;
    return access.size <= window_bytes_max_ || admits_at_once(access);
  }
  void on_insert(Slot slot, const Access& access) override;
  void on_hit(Slot slot, const Access& access) override;
  void on_resize(Slot slot, std::uint32_t size) override;
  void on_erase(Slot slot) override { leave(slot); }
  Slot take_victim() override;
  void set_capacity(std::uint64_t bytes) override;
  std::size_t overhead_bytes() const override;

 private:
  enum Part : std::uint8_t { kWindow, kProbation, kProtected, kParts };
  struct Object {
    std::uint64_t key;
    std::uint32_t size;
    Part part;
  };

  void enter(Slot slot, Part part) {
    objects_[slot].part = part;
    lists_[part].push_front(slot);
    bytes_[part] += objects_[slot].size;
  }
  void leave(Slot slot) {
    const Object& object = objects_[slot];
    lists_[object.part].remove(slot);
    bytes_[object.part] -= object.size;
  }
  bool admits_at_once(const Access& access) const;
  void shrink_protected();
  Slot main_tail() const { return lists_[kProbation].empty() ? lists_[kProtected].back() : lists_[kProbation].back(); }
  std::uint64_t main_bytes() const { return bytes_[kProbation] + bytes_[kProtected]; }

  SlotLinks links_;
  std::array<SlotList, kParts> lists_{SlotList(links_), SlotList(links_), SlotList(links_)};
  std::array<std::uint64_t, kParts> bytes_{};
  std::vector<Object> objects_;
  FrequencySketch sketch_;
  std::uint64_t window_bytes_max_ = 0;
  std::uint64_t main_bytes_max_ = 0;
  std::uint64_t protected_bytes_max_ = 0;
  std::uint64_t incoming_bytes_ = 0;  // Of the last miss.
};

}  // namespace freshet::eviction::exact
