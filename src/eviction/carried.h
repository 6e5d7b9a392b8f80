// Carries an exact policy (eviction/exact/policy.h) in a shard of the table: the same object that the simulator runs, by
// slot. A hit takes the shard's lock, for it moves something in the policy's arrays. What these take counts in the shard's
// bytes: what the policy's own file says, and 13 bytes an entry for slots (1 here, 4 in the record, 8 in the shard).
//
// Two things that a trace does not have. A key that is erased, being outdated, is forgotten by the policy: it comes back as
// new. And a table is cut into shards, each with a policy that sees its own share of the keys only.
// May use memory and eviction/exact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "eviction/exact/policy.h"
#include "eviction/exact/slots.h"
#include "eviction/exact_access.h"
#include "memory/picking.h"

namespace freshet::eviction {

class Carried final : public memory::PickingPolicy {
 public:
  using Make = std::function<std::unique_ptr<exact::Policy>()>;

  Carried(Make make, std::size_t capacity_bytes) : make_(std::move(make)), capacity_bytes_(capacity_bytes) {}

  bool admit(std::uint64_t hash, std::size_t bytes) override;
  Slot on_insert(std::uint64_t hash, std::size_t bytes) override;
  void on_hit(Slot slot, std::uint64_t hash, std::size_t bytes) override { policy_->on_hit(slot, access(hash, bytes)); }
  void on_resize(Slot slot, std::size_t bytes) override { policy_->on_resize(slot, exact_size(bytes)); }
  void on_erase(Slot slot) override;
  Slot take_victim() override;
  void set_capacity(std::size_t bytes) override;
  std::size_t overhead_bytes() const override;
  std::vector<memory::PolicyFact> describe() const override;

 private:
  exact::Access access(std::uint64_t hash, std::size_t bytes) const {
    return {.key = exact_key(hash), .size = exact_size(bytes), .time_s = time_s_};
  }
  exact::Policy& policy();

  const Make make_;
  std::unique_ptr<exact::Policy> policy_;  // Null before the first key, and after take_victim found none.
  std::size_t capacity_bytes_;
  std::uint32_t time_s_ = 0;               // At the last miss: hits read no clock.
  exact::TakenSlots taken_;
};

}  // namespace freshet::eviction
