// memory::Table with the policies of this room, against a map: exact while nothing is evicted; else a subset, never more
// bytes than it may hold, and its own counts add up.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/slot.h"
#include "eviction/policies.h"
#include "memory/table.h"

namespace freshet::eviction {
namespace {

using memory::Entry;

constexpr std::uint64_t kKeys = 60;
constexpr std::size_t kValueBytesMax = 600;

struct Cached {
  std::string value;
  std::uint64_t version = 0;
  friend bool operator==(const Cached&, const Cached&) = default;
};

// Random operations on the table and on the map of what was last inserted.
class Comparison {
 public:
  Comparison(memory::PolicyFactory policy, std::size_t capacity_bytes, unsigned shards, std::uint64_t seed)
      : random_(seed), table_(options_of(std::move(policy), capacity_bytes, shards)) {}

  void step() {
    const std::string key = "key" + std::to_string(random_.below(kKeys));
    const std::uint64_t kind = random_.below(100);
    if (kind < 45) {
      insert(key);
    } else if (kind < 90) {
      read(key);
    } else if (kind < 98) {
      const bool erased = table_.erase(key, base::hash_of(key));
      RC_ASSERT(!erased || model_.contains(key));
      model_.erase(key);
    } else {
      erase_some();
    }
  }

  void set_capacity(std::size_t bytes) { table_.set_capacity(bytes); }
  void set_policy(base::Random& random) {
    const auto policies = table_policies();
    table_.set_policy(policies[random.below(policies.size())].make);
  }

  // Everything that the table holds is what was last inserted, within its bytes.
  void check_subset() {
    const memory::TableStats stats = table_.stats();
    RC_ASSERT(stats.bytes <= stats.capacity_bytes);
    std::uint64_t found = 0;
    for (std::uint64_t i = 0; i < kKeys; ++i) {
      const std::string key = "key" + std::to_string(i);
      if (const auto entry = table_.pin(key, base::hash_of(key))) {
        RC_ASSERT(model_.contains(key));
        RC_ASSERT(model_[key] == (Cached{std::string(entry->value()), entry->version()}));
        ++found;
      }
    }
    RC_ASSERT(found == stats.entries);
    RC_ASSERT(stats.inserted == stats.entries + stats.evicted + stats.erased + replaced_);
  }
  void check_exact() {
    check_subset();
    RC_ASSERT(table_.stats().entries == model_.size());
    RC_ASSERT(table_.stats().evicted == 0u);
  }
  std::uint64_t evicted() const { return table_.stats().evicted; }

 private:
  static memory::TableOptions options_of(memory::PolicyFactory policy, std::size_t capacity_bytes, unsigned shards) {
    memory::TableOptions options;
    options.capacity_bytes = capacity_bytes;
    options.shards = shards;
    options.value_bytes_max = kValueBytesMax * 9 / 10;  // Some are too large.
    options.policy = std::move(policy);
    return options;
  }

  void insert(const std::string& key) {
    const Cached cached{std::string(random_.below(kValueBytesMax), static_cast<char>('a' + random_.below(26))), ++version_};
    const bool there = static_cast<bool>(table_.pin(key, base::hash_of(key)));
    const bool taken =
        table_.insert({.key = key, .hash = base::hash_of(key), .value = cached.value, .version = cached.version});
    RC_ASSERT(!(taken && cached.value.size() > kValueBytesMax * 9 / 10));
    model_.erase(key);
    if (taken) model_[key] = cached;
    if (taken && there) ++replaced_;
  }

  void read(const std::string& key) {
    table_.visit(key, base::hash_of(key), [&](const Entry& entry) {
      RC_ASSERT(entry.key() == key);
      RC_ASSERT(model_.contains(key) && model_[key].version == entry.version());
    });
  }

  void erase_some() {
    const std::uint64_t modulus = 1 + random_.below(4);
    const auto leaves = [&](std::uint64_t version) { return version % modulus == 0; };
    table_.erase_if([&](const Entry& entry) { return leaves(entry.version()); });
    std::erase_if(model_, [&](const auto& item) { return leaves(item.second.version); });
  }

  base::Random random_;
  memory::Table table_;
  std::map<std::string, Cached> model_;
  std::uint64_t version_ = 0;
  std::uint64_t replaced_ = 0;
};

class TableProperty : public testing::TestWithParam<std::string> {};

TEST_P(TableProperty, IsTheMapWhileEverythingFits) {
  EXPECT_TRUE(rc::check("large", [] {
    const auto shards = *rc::gen::element(1u, 2u, 16u);
    Comparison run(table_policy(GetParam())->make, std::size_t{1} << 24, shards, *rc::gen::arbitrary<std::uint64_t>());
    for (int i = 0; i < 300; ++i) {
      run.step();
      run.check_exact();
    }
  }));
}

TEST_P(TableProperty, IsASubsetOfTheMapWithinItsBytes) {
  EXPECT_TRUE(rc::check("small", [] {
    const auto shards = *rc::gen::element(1u, 2u, 4u);
    base::Random random(*rc::gen::arbitrary<std::uint64_t>());
    Comparison run(table_policy(GetParam())->make, 500 + random.below(10'000), shards, random());
    for (int i = 0; i < 300; ++i) {
      run.step();
      if (random.chance(0.02)) run.set_capacity(random.below(10'000));
      if (random.chance(0.02)) run.set_policy(random);
      run.check_subset();
    }
    RC_CLASSIFY(run.evicted() > 50);
  }));
}

// Values that stand outside, so that their records are judged one by one: what has left takes no room.
TEST_P(TableProperty, LargeValuesFillTheMemory) {
  constexpr std::size_t kCapacityBytes = 2 << 20;
  constexpr std::uint64_t kSeed = 20261130;
  memory::TableOptions options;
  options.capacity_bytes = kCapacityBytes;
  options.shards = 1;
  options.policy = table_policy(GetParam())->make;
  memory::Table table(options);
  base::Random random(kSeed);
  const std::string value(10'000, 'v');
  std::uint64_t least = kCapacityBytes;
  for (int i = 0; i < 30'000; ++i) {
    const std::string key = "key" + std::to_string(random.below(random.chance(0.5) ? 100 : 5000));
    const std::uint64_t hash = base::hash_of(key);
    if (!table.visit(key, hash, [](const Entry&) {})) table.insert({.key = key, .hash = hash, .value = value});
    if (i > 1000) least = std::min(least, table.stats().entry_bytes);
  }
  EXPECT_GT(least, kCapacityBytes * 3 / 4);
}

INSTANTIATE_TEST_SUITE_P(Policies, TableProperty, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const TablePolicy& policy : table_policies()) names.emplace_back(policy.name);
                           return names;
                         }()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace freshet::eviction
