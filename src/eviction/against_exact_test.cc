// The table's policies against the exact ones (eviction/exact), over random operations on the same keys: the same victims,
// in the same order, for those that sift and that an exact one describes to the letter, and for every one that is carried.
// What moves from policy to policy keeps the order in which it would have left.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/slot.h"
#include "eviction/carried.h"
#include "eviction/clock.h"
#include "eviction/exact/arc.h"
#include "eviction/exact/clock.h"
#include "eviction/exact/fifo.h"
#include "eviction/exact/gdsf.h"
#include "eviction/exact/lhd.h"
#include "eviction/exact/lirs.h"
#include "eviction/exact/lru.h"
#include "eviction/exact/s3_fifo.h"
#include "eviction/exact/sieve.h"
#include "eviction/exact/slots.h"
#include "eviction/exact/w_tiny_lfu.h"
#include "eviction/fifo.h"
#include "eviction/gl_cache/gl_cache.h"
#include "eviction/lru.h"
#include "eviction/policies.h"
#include "eviction/sieve.h"
#include "eviction/sifting_host.h"
#include "memory/table.h"

namespace freshet::eviction {
namespace {

using MakeExact = std::function<std::unique_ptr<exact::Policy>()>;

constexpr std::uint64_t kSeed = 20261125;
constexpr std::uint64_t kKeys = 80;
constexpr std::size_t kCapacityBytes = 6'000;
constexpr std::size_t kObjectBytesMin = 64;
constexpr std::size_t kObjectBytesMax = 464;

// One of the table's policies, by itself.
class Own {
 public:
  virtual ~Own() = default;
  virtual bool admit(std::uint64_t key, std::size_t bytes) = 0;
  virtual void insert(std::uint64_t key, std::size_t bytes) = 0;
  virtual void hit(std::uint64_t key, std::size_t bytes) = 0;
  virtual void resize(std::uint64_t key, std::size_t bytes) = 0;
  virtual void erase(std::uint64_t key) = 0;
  virtual std::optional<std::uint64_t> take_victim() = 0;
};

template <typename Policy>
class Sifted final : public Own {
 public:
  bool admit(std::uint64_t, std::size_t) override { return true; }
  void insert(std::uint64_t key, std::size_t bytes) override { host_.insert(key, bytes); }
  void hit(std::uint64_t key, std::size_t) override { host_.hit(key); }
  void resize(std::uint64_t key, std::size_t bytes) override { host_.resize(key, bytes); }
  void erase(std::uint64_t key) override { host_.erase(key); }
  std::optional<std::uint64_t> take_victim() override { return host_.take_victim(); }

 private:
  Policy policy_;
  SiftingHost host_{policy_};
};

class Picked final : public Own {
 public:
  explicit Picked(std::unique_ptr<memory::PickingPolicy> policy) : policy_(std::move(policy)) {}
  bool admit(std::uint64_t key, std::size_t bytes) override { return policy_->admit(key, bytes); }
  void insert(std::uint64_t key, std::size_t bytes) override { key_at_[slots_[key] = policy_->on_insert(key, bytes)] = key; }
  void hit(std::uint64_t key, std::size_t bytes) override { policy_->on_hit(slots_.at(key), key, bytes); }
  void resize(std::uint64_t key, std::size_t bytes) override { policy_->on_resize(slots_.at(key), bytes); }
  void erase(std::uint64_t key) override { policy_->on_erase(slots_.at(key)); }
  std::optional<std::uint64_t> take_victim() override {
    const Slot slot = policy_->take_victim();
    return slot == memory::PickingPolicy::kNoSlot ? std::nullopt : std::optional(key_at_.at(slot));
  }

 private:
  using Slot = memory::PickingPolicy::Slot;
  const std::unique_ptr<memory::PickingPolicy> policy_;
  std::map<std::uint64_t, Slot> slots_;
  std::map<Slot, std::uint64_t> key_at_;
};

struct Pair {
  std::string name;
  std::function<std::unique_ptr<Own>()> own;
  MakeExact exact;
};

std::ostream& operator<<(std::ostream& out, const Pair& pair) { return out << pair.name; }

template <typename Exact>
MakeExact exactly() {
  return [] { return exact::make<Exact>(kSeed); };
}

std::unique_ptr<Own> carry(const MakeExact& make) {
  return std::make_unique<Picked>(std::make_unique<Carried>(make, kCapacityBytes));
}

template <typename Sifting, typename Exact>
Pair sifted(std::string name) {
  return {std::move(name), [] { return std::make_unique<Sifted<Sifting>>(); }, exactly<Exact>()};
}

template <typename Exact>
Pair carried(std::string name) {
  return {"Carried" + std::move(name), [] { return carry(exactly<Exact>()); }, exactly<Exact>()};
}

// It learns at once, so that both have learnt the same: from the 300th request on.
Pair carried_gl_cache() {
  const MakeExact make = [] {
    gl_cache::Settings settings;
    settings.group_objects = 4;
    settings.snapshot_requests_min = 300;
    settings.snapshot_requests_max = 600;
    settings.rows_min = 16;
    return std::make_unique<gl_cache::GlCache>(settings, gl_cache::make_synchronous_learner(), kSeed);
  };
  return {"CarriedGlCache", [make] { return carry(make); }, make};
}

// Two hosts in one: the same keys are in both policies, and each step is told to both.
class Both {
 public:
  Both(const Pair& pair, std::uint64_t seed) : random_(seed), own_(pair.own()), exact_(pair.exact()) {
    exact_->set_capacity(kCapacityBytes);
  }

  void step() {
    const std::uint64_t key = base::hash_of("key" + std::to_string(random_.below(kKeys)));
    const auto found = cached_.find(key);
    const std::uint64_t kind = random_.below(100);
    if (found == cached_.end()) {
      if (kind < 90) miss(key);
    } else if (kind < 80) {
      own_->hit(key, found->second.bytes);
      exact_->on_hit(found->second.slot, access(key, found->second.bytes));
    } else if (kind < 95) {
      replace(key, found->second);
    } else {
      own_->erase(key);
      exact_->on_erase(found->second.slot);
      forget(found);
    }
  }

  std::uint64_t victims() const { return victims_; }

 private:
  struct Cached {
    std::size_t bytes;
    exact::Slot slot;
  };

  static exact::Access access(std::uint64_t key, std::size_t bytes) {
    return {.key = exact_key(key), .size = static_cast<std::uint32_t>(bytes)};
  }
  std::size_t some_bytes() { return kObjectBytesMin + random_.below(kObjectBytesMax - kObjectBytesMin); }

  void miss(std::uint64_t key) {
    const std::size_t bytes = some_bytes();
    const bool wanted = exact_->on_miss(access(key, bytes));
    RC_ASSERT(own_->admit(key, bytes) == wanted);
    if (!wanted) return;
    while (used_ + bytes > kCapacityBytes) evict();
    const exact::Slot slot = key_of_.take(key);
    cached_[key] = {bytes, slot};
    used_ += bytes;
    own_->insert(key, bytes);
    exact_->on_insert(slot, access(key, bytes));
  }

  void evict() {
    const exact::Slot slot = exact_->take_victim();
    RC_ASSERT(slot != exact::kNoSlot);
    RC_ASSERT(own_->take_victim() == key_of_[slot]);
    ++victims_;
    forget(cached_.find(key_of_[slot]));
  }

  // The value alone may make the cache too full: then nothing is replaced.
  void replace(std::uint64_t key, Cached& cached) {
    const std::size_t bytes = some_bytes();
    if (used_ - cached.bytes + bytes > kCapacityBytes) return;
    own_->resize(key, bytes);
    exact_->on_resize(cached.slot, static_cast<std::uint32_t>(bytes));
    used_ += bytes - cached.bytes;
    cached.bytes = bytes;
  }

  void forget(std::map<std::uint64_t, Cached>::iterator at) {
    used_ -= at->second.bytes;
    key_of_.release(at->second.slot);
    cached_.erase(at);
  }

  base::Random random_;
  const std::unique_ptr<Own> own_;
  const std::unique_ptr<exact::Policy> exact_;
  std::map<std::uint64_t, Cached> cached_;
  exact::Slots<std::uint64_t> key_of_;
  std::size_t used_ = 0;
  std::uint64_t victims_ = 0;
};

class AgainstExact : public testing::TestWithParam<Pair> {};

TEST_P(AgainstExact, HasTheSameVictims) {
  EXPECT_TRUE(rc::check("random operations", [] {
    Both both(GetParam(), *rc::gen::arbitrary<std::uint64_t>());
    for (int i = 0; i < 2'000; ++i) both.step();
    RC_ASSERT(both.victims() > 50u);
  }));
}

INSTANTIATE_TEST_SUITE_P(
    Policies, AgainstExact,
    testing::Values(sifted<Fifo, exact::Fifo>("Fifo"), sifted<Clock, exact::Clock>("Clock"),
                    sifted<Sieve, exact::Sieve>("Sieve"),
                    Pair{"Lru", [] { return std::make_unique<Picked>(std::make_unique<Lru>()); }, exactly<exact::Lru>()},
                    carried<exact::Lru>("Lru"), carried<exact::S3Fifo>("S3Fifo"),
                    carried<exact::WTinyLfu>("WTinyLfu"), carried<exact::Arc>("Arc"), carried<exact::Lirs>("Lirs"),
                    carried<exact::Lhd>("Lhd"), carried<exact::Gdsf>("Gdsf"), carried_gl_cache()),
    [](const auto& test) { return test.param.name; });

// A table of one shard with `entries` keys, by number, inserted in order.
class OneShard {
 public:
  OneShard(const char* policy, std::size_t capacity_bytes, int entries) : table(options_of(policy, capacity_bytes)) {
    for (int i = 0; i < entries; ++i) {
      const std::string key = key_of(i);
      table.insert({.key = key, .hash = base::hash_of(key), .value = "value"});
    }
  }
  void change_to(const char* policy) { table.set_policy(table_policy(policy)->make); }
  bool hit(int number) { return static_cast<bool>(table.pin(key_of(number), base::hash_of(key_of(number)))); }
  // Of the keys from `first` on and before `end`.
  int hits(int first, int end) {
    int count = 0;
    for (int i = first; i < end; ++i) count += hit(i) ? 1 : 0;
    return count;
  }

  memory::Table table;

 private:
  static std::string key_of(int number) { return "key" + std::to_string(number); }
  static memory::TableOptions options_of(const char* policy, std::size_t capacity_bytes) {
    memory::TableOptions options;
    options.capacity_bytes = capacity_bytes;
    options.shards = 1;
    options.policy = table_policy(policy)->make;
    return options;
  }
};

class PolicyChange : public testing::TestWithParam<const char*> {};

TEST_P(PolicyChange, KeepsEveryEntry) {
  constexpr int kEntries = 500;
  OneShard shard("fifo", std::size_t{1} << 20, kEntries);
  for (const char* const policy : {GetParam(), "fifo"}) {
    SCOPED_TRACE(testing::Message() << "to " << policy);
    shard.change_to(policy);
    EXPECT_EQ(shard.table.stats().entries, std::uint64_t{kEntries}) << "no flush";
    EXPECT_EQ(shard.table.stats().evicted, 0u);
  }
  EXPECT_EQ(shard.hits(0, kEntries), kEntries);
  EXPECT_LE(shard.table.stats().bytes, shard.table.stats().capacity_bytes);
}

INSTANTIATE_TEST_SUITE_P(Policies, PolicyChange,
                         testing::Values("lru", "clock", "sieve", "s3fifo", "wtinylfu", "arc", "lirs", "lhd", "gdsf",
                                         "glcache", "glcachebytes"),
                         [](const auto& test) { return std::string(test.param); });

TEST(PolicyChangeOrder, WhatWouldHaveLeftFirstStillDoes) {
  constexpr int kEntries = 200;
  OneShard shard("lru", std::size_t{64} << 10, kEntries);
  EXPECT_EQ(shard.hits(0, kEntries / 2), kEntries / 2);  // The first half is now what was used last.
  shard.change_to("fifo");
  shard.table.set_capacity(shard.table.stats().bytes / 2);
  const int early = shard.hits(0, kEntries / 2);
  const int late = shard.hits(kEntries / 2, kEntries);
  EXPECT_GT(early, 0);
  EXPECT_TRUE(late == 0 || early == kEntries / 2) << early << " and " << late;
}

}  // namespace
}  // namespace freshet::eviction
