// Who leaves when memory is full, by policies that choose single victims: the other interface between segments and a policy
// (memory/sifting.h is the one of those that need not). May use base.
//
// Each record has a slot, a small number by which the policy keeps what it knows; the record carries it behind its value.
// Each shard has a policy of its own, called under the shard's lock: it must not block, nor allocate on a hit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/policy_fact.h"

namespace freshet::memory {

using base::PolicyFact;

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
  // What the policy keeps beside the records: counted in the shard's bytes. Nothing after take_victim found nobody, so that
  // any bound can be met.
  virtual std::size_t overhead_bytes() const = 0;
  // To look into: what the policy has learnt, if it is one that learns.
  virtual std::vector<PolicyFact> describe() const { return {}; }
};

}  // namespace freshet::memory
