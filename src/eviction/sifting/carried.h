// Carries an exact policy (eviction/exact/policy.h) in a shard of records: the same object that the simulator runs, by slot.
// A hit takes the shard's lock. May use memory/segments, eviction and eviction/exact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "eviction/carried.h"
#include "eviction/exact/policy.h"
#include "eviction/exact/slots.h"
#include "memory/segments/picking.h"

namespace freshet::eviction::sifting {

class Carried final : public memory::segments::PickingPolicy {
 public:
  explicit Carried(std::unique_ptr<exact::Policy> policy) : policy_(std::move(policy)) {}

  bool admit(std::uint64_t hash, std::size_t bytes) override { return policy_->on_miss(access(hash, bytes)); }
  Slot on_insert(std::uint64_t hash, std::size_t bytes) override {
    const Slot slot = taken_.take('x');
    policy_->on_insert(slot, access(hash, bytes));
    return slot;
  }
  void on_hit(Slot slot, std::uint64_t hash, std::size_t bytes) override { policy_->on_hit(slot, access(hash, bytes)); }
  void on_resize(Slot slot, std::size_t bytes) override { policy_->on_resize(slot, static_cast<std::uint32_t>(bytes)); }
  void on_erase(Slot slot) override {
    policy_->on_erase(slot);
    taken_.release(slot);
  }
  Slot take_victim() override {
    const Slot slot = policy_->take_victim();
    if (slot == exact::kNoSlot) return kNoSlot;
    taken_.release(slot);
    return slot;
  }
  void set_capacity(std::size_t bytes) override { policy_->set_capacity(bytes); }
  std::size_t overhead_bytes() const override { return policy_->overhead_bytes() + taken_.bytes(); }

 private:
  static exact::Access access(std::uint64_t hash, std::size_t bytes) {
    return {.key = eviction::Carried::key_of(hash), .size = static_cast<std::uint32_t>(bytes)};
  }

  std::unique_ptr<exact::Policy> policy_;
  exact::Slots<char> taken_;  // The value means nothing.
};

}  // namespace freshet::eviction::sifting
