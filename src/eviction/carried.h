// Carries an exact policy (eviction/exact/policy.h) in a shard of the table: the same object that the simulator runs. Each
// entry gets a slot, kept in place of the queue's links that such a policy has no need of.
//
// A hit takes the shard's lock, for it moves something in the policy's arrays. What the arrays take counts in the shard's
// bytes: 8 to 12 bytes an entry here, and what the policy's own file says.
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
#include "memory/policy.h"

namespace freshet::eviction {

class Carried final : public memory::EvictionPolicy {
 public:
  using Make = std::function<std::unique_ptr<exact::Policy>()>;

  Carried(Make make, std::size_t capacity_bytes) : make_(std::move(make)), capacity_bytes_(capacity_bytes) {}

  // What the policy knows a key by. The keys of a shard have the high bits of their hashes in common, and policies have
  // hash tables and sketches that go by these: an odd factor carries all bits into them, and keeps different keys different.
  static constexpr std::uint64_t key_of(std::uint64_t hash) { return hash * 0x9e3779b97f4a7c15; }

  bool admit(std::uint64_t hash, std::size_t bytes) override;
  void on_insert(memory::Entry& entry) override;
  void on_hit(memory::Entry& entry) override { policy_->on_hit(entry.slot(), access_of(entry)); }
  void on_replace(memory::Entry& earlier, memory::Entry& replacement) override;
  void on_erase(memory::Entry& entry) override;
  memory::Entry* take_victim() override;
  void set_capacity(std::size_t bytes) override;
  std::size_t overhead_bytes() const override;
  std::vector<memory::PolicyFact> describe() const override;

 private:
  exact::Access access(std::uint64_t hash, std::size_t bytes) const;
  exact::Access access_of(const memory::Entry& entry) const { return access(entry.hash(), entry.footprint()); }
  exact::Policy& policy();
  memory::Entry* release(exact::Slot slot);

  const Make make_;
  std::unique_ptr<exact::Policy> policy_;  // Null before the first key, and after take_victim found none.
  std::size_t capacity_bytes_;
  std::uint32_t time_s_ = 0;               // At the last miss: hits read no clock.
  exact::Slots<memory::Entry*> entries_;
};

}  // namespace freshet::eviction
