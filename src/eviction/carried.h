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
#include "memory/picking.h"

namespace freshet::eviction {

class Carried final : public memory::PickingPolicy {
 public:
  using Make = std::function<std::unique_ptr<exact::Policy>()>;

  Carried(Make make, std::size_t capacity_bytes) : make_(std::move(make)), capacity_bytes_(capacity_bytes) {}

  // What the policy knows a key by. The keys of a shard have the high bits of their hashes in common, and policies have
  // hash tables and sketches that go by these: an odd factor carries all bits into them, and keeps different keys different.
  static constexpr std::uint64_t key_of(std::uint64_t hash) { return hash * 0x9e3779b97f4a7c15; }

  bool admit(std::uint64_t hash, std::size_t bytes) override;
  Slot on_insert(std::uint64_t hash, std::size_t bytes) override;
  void on_hit(Slot slot, std::uint64_t hash, std::size_t bytes) override { policy_->on_hit(slot, access(hash, bytes)); }
  void on_resize(Slot slot, std::size_t bytes) override { policy_->on_resize(slot, size_of(bytes)); }
  void on_erase(Slot slot) override;
  Slot take_victim() override;
  void set_capacity(std::size_t bytes) override;
  std::size_t overhead_bytes() const override;
  std::vector<memory::PolicyFact> describe() const override;

 private:
  // Entries have at most 4 GiB and a head; a policy that takes the largest for a little smaller is none the worse.
  static std::uint32_t size_of(std::size_t bytes) {
    return static_cast<std::uint32_t>(bytes < UINT32_MAX ? bytes : UINT32_MAX);
  }
  exact::Access access(std::uint64_t hash, std::size_t bytes) const {
    return {.key = key_of(hash), .size = size_of(bytes), .time_s = time_s_};
  }
  exact::Policy& policy();

  const Make make_;
  std::unique_ptr<exact::Policy> policy_;  // Null before the first key, and after take_victim found none.
  std::size_t capacity_bytes_;
  std::uint32_t time_s_ = 0;               // At the last miss: hits read no clock.
  exact::TakenSlots taken_;
};

}  // namespace freshet::eviction
