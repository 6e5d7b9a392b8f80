// What a host keeps of the objects that are cached, by slot. The slot that left last is used first, so that they stay dense.
// May use policy.h only.
#pragma once

#include <cstddef>
#include <vector>

#include "base/growth.h"
#include "eviction/exact/policy.h"

namespace freshet::eviction::exact {

template <typename Value>
class Slots {
 public:
  Slot take(const Value& value) {
    if (free_.empty()) {
      base::append(values_, value);
      return static_cast<Slot>(values_.size() - 1);
    }
    const Slot slot = free_.back();
    free_.pop_back();
    values_[slot] = value;
    return slot;
  }
  // Its value is a fresh one from now on.
  void release(Slot slot) {
    values_[slot] = {};
    base::append(free_, slot);
  }
  Value& operator[](Slot slot) { return values_[slot]; }
  const Value& operator[](Slot slot) const { return values_[slot]; }

  // Every slot, taken or free, is below this.
  std::size_t end() const { return values_.size(); }
  bool empty() const { return free_.size() == values_.size(); }
  std::size_t bytes() const { return bytes_of(values_) + bytes_of(free_); }

 private:
  std::vector<Value> values_;
  std::vector<Slot> free_;
};

// Which slots are taken, for a host that keeps nothing of the objects itself.
struct Taken {};
using TakenSlots = Slots<Taken>;

}  // namespace freshet::eviction::exact
