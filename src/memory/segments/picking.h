// Who leaves when memory is full, by policies that choose single victims: the other interface between segments and a policy
// (memory/segments/sifting.h is the one of those that need not). May use the standard library.
//
// Each record has a slot, a small number by which the policy keeps what it knows; the record carries it behind its value.
// Each shard has a policy of its own, called under the shard's lock: it must not block, nor allocate on a hit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace freshet::memory::segments {

class PickingPolicy {
 public:
  using Slot = std::uint32_t;
  static constexpr Slot kNoSlot = UINT32_MAX;

  virtual ~PickingPolicy() = default;

  // A new key is about to come in; room has not been made yet. False: the policy would rather not have it.
  virtual bool admit(std::uint64_t hash, std::size_t bytes) = 0;
  // It comes in, and there is room. Its slot: one that is free, and no larger than need be.
  virtual Slot on_insert(std::uint64_t hash, std::size_t bytes) = 0;
  virtual void on_hit(Slot slot, std::uint64_t hash, std::size_t bytes) = 0;
  // The key has another value, of another size.
  virtual void on_resize(Slot slot, std::size_t bytes) = 0;
  // The record leaves for another reason than room: its slot is free.
  virtual void on_erase(Slot slot) = 0;
  // Chooses who leaves for room, whose slot is then free. kNoSlot only if the policy knows no record.
  virtual Slot take_victim() = 0;
  // What records may take.
  virtual void set_capacity(std::size_t bytes) = 0;
  virtual std::size_t overhead_bytes() const = 0;
};

}  // namespace freshet::memory::segments
