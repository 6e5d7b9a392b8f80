// The table's policies against the exact ones (eviction/exact), over random operations on the same keys: the same victims,
// in the same order, for those of their own that an exact one describes to the letter, and for every one that is carried.
// What moves from policy to policy keeps the order in which it would have left.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <functional>
#include <map>
#include <memory>
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
#include "memory/table.h"

namespace freshet::eviction {
namespace {

using memory::Entry;
using MakeExact = std::function<std::unique_ptr<exact::Policy>()>;
using MakeTable = std::function<std::unique_ptr<memory::EvictionPolicy>(std::size_t capacity_bytes)>;

constexpr std::uint64_t kSeed = 20261125;
constexpr std::uint64_t kKeys = 80;
constexpr std::size_t kCapacityBytes = 6'000;
constexpr std::size_t kValueBytesMax = 400;

struct Pair {
  std::string name;
  MakeTable table;
  MakeExact exact;
};

std::ostream& operator<<(std::ostream& out, const Pair& pair) { return out << pair.name; }

template <typename Exact>
MakeExact exactly() {
  return [] { return exact::make<Exact>(kSeed); };
}

template <typename Own, typename Exact>
Pair own(std::string name) {
  return {std::move(name), [](std::size_t) { return std::make_unique<Own>(); }, exactly<Exact>()};
}

template <typename Exact>
Pair carried(std::string name) {
  return {"Carried" + std::move(name),
          [](std::size_t bytes) { return std::make_unique<Carried>(exactly<Exact>(), bytes); }, exactly<Exact>()};
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
  return {"CarriedGlCache", [make](std::size_t bytes) { return std::make_unique<Carried>(make, bytes); }, make};
}

// Two hosts in one: the same keys are in both policies, and each step is told to both.
class Both {
 public:
  Both(const Pair& pair, std::uint64_t seed)
      : random_(seed), table_(pair.table(kCapacityBytes)), exact_(pair.exact()) {
    exact_->set_capacity(kCapacityBytes);
  }
  ~Both() {
    for (auto& [key, cached] : cached_) {
      table_->on_erase(*cached.entry);
      intrusive_ptr_release(cached.entry);
    }
  }

  void step() {
    const std::string key = "key" + std::to_string(random_.below(kKeys));
    const auto found = cached_.find(key);
    const std::uint64_t kind = random_.below(100);
    if (found == cached_.end()) {
      if (kind < 90) miss(key);
    } else if (kind < 80) {
      table_->on_hit(*found->second.entry);
      exact_->on_hit(found->second.slot, access_of(*found->second.entry));
    } else if (kind < 95) {
      replace(found->second, key);
    } else {
      erase(found);
    }
  }

  std::uint64_t victims() const { return victims_; }

 private:
  struct Cached {
    Entry* entry;
    exact::Slot slot;
  };

  static exact::Access access_of(const Entry& entry) {
    return {.key = Carried::key_of(entry.hash()), .size = static_cast<std::uint32_t>(entry.footprint())};
  }
  Entry* fresh(const std::string& key) {
    const std::string value(random_.below(kValueBytesMax), 'v');
    return Entry::make({.key = key, .hash = base::hash_of(key), .value = value});
  }

  void miss(const std::string& key) {
    Entry* const entry = fresh(key);
    const bool wanted = exact_->on_miss(access_of(*entry));
    RC_ASSERT(table_->admit(entry->hash(), entry->footprint()) == wanted);
    if (!wanted) return intrusive_ptr_release(entry);
    while (used_ + entry->footprint() > kCapacityBytes) evict();
    const exact::Slot slot = key_of_.take(key);
    cached_[key] = {entry, slot};
    used_ += entry->footprint();
    table_->on_insert(*entry);
    exact_->on_insert(slot, access_of(*entry));
  }

  void evict() {
    const exact::Slot slot = exact_->take_victim();
    Entry* const victim = table_->take_victim();
    RC_ASSERT(victim != nullptr && slot != exact::kNoSlot);
    RC_ASSERT(victim->key() == key_of_[slot]);
    ++victims_;
    forget(cached_.find(key_of_[slot]));
  }

  // The value alone may make the cache too full: then nothing is replaced.
  void replace(Cached& cached, const std::string& key) {
    Entry* const entry = fresh(key);
    if (used_ - cached.entry->footprint() + entry->footprint() > kCapacityBytes) return intrusive_ptr_release(entry);
    table_->on_replace(*cached.entry, *entry);
    if (entry->footprint() != cached.entry->footprint()) exact_->on_resize(cached.slot, access_of(*entry).size);
    used_ += entry->footprint();
    used_ -= cached.entry->footprint();
    intrusive_ptr_release(std::exchange(cached.entry, entry));
  }

  void erase(std::map<std::string, Cached>::iterator at) {
    table_->on_erase(*at->second.entry);
    exact_->on_erase(at->second.slot);
    forget(at);
  }

  void forget(std::map<std::string, Cached>::iterator at) {
    used_ -= at->second.entry->footprint();
    key_of_.release(at->second.slot);
    intrusive_ptr_release(at->second.entry);
    cached_.erase(at);
  }

  base::Random random_;
  const std::unique_ptr<memory::EvictionPolicy> table_;
  const std::unique_ptr<exact::Policy> exact_;
  std::map<std::string, Cached> cached_;
  exact::Slots<std::string> key_of_;
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
    testing::Values(own<Fifo, exact::Fifo>("Fifo"), own<Lru, exact::Lru>("Lru"), own<Clock, exact::Clock>("Clock"),
                    own<Sieve, exact::Sieve>("Sieve"), carried<exact::Lru>("Lru"), carried<exact::S3Fifo>("S3Fifo"),
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
