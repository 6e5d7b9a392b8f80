// See eviction/carried.h.
#include "eviction/carried.h"

#include <cassert>

namespace freshet::eviction {

static_assert(memory::PickingPolicy::kNoSlot == exact::kNoSlot);

bool Carried::admit(std::uint64_t hash, std::size_t bytes) {
  time_s_ = exact_time_s();
  return policy().on_miss(access(hash, bytes));
}

memory::PickingPolicy::Slot Carried::on_insert(std::uint64_t hash, std::size_t bytes) {
  const Slot slot = taken_.take({});
  policy().on_insert(slot, access(hash, bytes));
  return slot;
}

void Carried::on_erase(Slot slot) {
  policy_->on_erase(slot);
  taken_.release(slot);
}

memory::PickingPolicy::Slot Carried::take_victim() {
  const Slot slot = policy_ ? policy_->take_victim() : kNoSlot;
  if (slot != kNoSlot) {
    taken_.release(slot);
    return slot;
  }
  assert(taken_.empty());
  policy_.reset();
  taken_ = {};
  return kNoSlot;
}

void Carried::set_capacity(std::size_t bytes) {
  capacity_bytes_ = bytes;
  if (policy_) policy_->set_capacity(bytes);
}

std::size_t Carried::overhead_bytes() const { return (policy_ ? policy_->overhead_bytes() : 0) + taken_.bytes(); }

std::vector<memory::PolicyFact> Carried::describe() const {
  return policy_ ? policy_->describe() : std::vector<memory::PolicyFact>();
}

exact::Policy& Carried::policy() {
  if (!policy_) {
    policy_ = make_();
    policy_->set_capacity(capacity_bytes_);
  }
  return *policy_;
}

}  // namespace freshet::eviction
