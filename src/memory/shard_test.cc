// Tests of memory/shard.h against a map, with policies that do everything: nothing is invented, nothing
// is lost but by eviction, and the bytes stay within the capacity at every step.
#include "memory/shard.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"

namespace freshet::memory {
namespace {

constexpr std::size_t kSegmentBytes = std::size_t{16} << 10;

// Does everything that a policy may: what was hit once is written anew, what was hit again stays in its place or changes its
// queue; every seventh key begins in the second queue.
class Everything final : public SiftingPolicy {
 public:
  std::size_t queue_for(std::uint64_t hash, std::size_t, std::uint8_t&) override { return hash % 7 == 0 ? 1 : 0; }
  std::uint8_t on_hit(std::uint8_t byte) override { return byte == 0 ? 1 : kSettled | 2; }
  std::size_t queue_to_sift(std::span<const std::size_t> bytes) override { return bytes[0] >= 4 * bytes[1] ? 0 : 1; }
  int sift(std::size_t queue, std::uint64_t hash, std::size_t, std::uint8_t& byte) override {
    const unsigned hits = byte & 3U;
    byte = hits < 2 ? 0 : 1;
    if (hits == 0) return kLeaves;
    if (hits == 1) return static_cast<int>(queue);
    return hash % 2 == 0 ? kStays : static_cast<int>(1 - queue);
  }
  std::size_t overhead_bytes() const override { return 0; }
};

// Picks anybody, and declines one key in nine.
class Anybody final : public PickingPolicy {
 public:
  bool admit(std::uint64_t hash, std::size_t) override { return hash % 9 != 0; }
  Slot on_insert(std::uint64_t, std::size_t bytes) override {
    const auto free = std::ranges::find(bytes_, 0U);
    const auto slot = static_cast<Slot>(free - bytes_.begin());
    if (free == bytes_.end()) bytes_.push_back(0);
    bytes_[slot] = bytes;
    return slot;
  }
  void on_hit(Slot slot, std::uint64_t, std::size_t bytes) override { RC_ASSERT(bytes_.at(slot) == bytes); }
  void on_resize(Slot slot, std::size_t bytes) override {
    RC_ASSERT(bytes_.at(slot) > 0);
    bytes_[slot] = bytes;
  }
  void on_erase(Slot slot) override {
    RC_ASSERT(bytes_.at(slot) > 0);
    bytes_[slot] = 0;
  }
  Slot take_victim() override {
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      const std::size_t slot = (i + at_) % bytes_.size();
      if (bytes_[slot] == 0) continue;
      bytes_[slot] = 0;
      at_ = slot * 7 + 3;
      return static_cast<Slot>(slot);
    }
    return kNoSlot;
  }
  void set_capacity(std::size_t) override {}
  std::size_t overhead_bytes() const override { return 0; }

 private:
  std::vector<std::size_t> bytes_;
  std::size_t at_ = 0;
};

// A shard with a pool of its own.
class OneShard : public Shard {
 public:
  OneShard(std::size_t segment_bytes, std::size_t capacity_bytes, ShardPolicy policy)
      : OneShard(std::make_shared<SegmentPool>(segment_bytes), capacity_bytes, std::move(policy)) {}
  OneShard(std::shared_ptr<SegmentPool> pool, std::size_t capacity_bytes, ShardPolicy policy) {
    start(std::move(pool), capacity_bytes, std::move(policy));
  }
};

class TestWitness final : public Witness {
 public:
  explicit TestWitness(int its_number) : number(its_number) {}
  const int number;
};

struct Cached {
  std::string value;
  std::uint64_t version;
  int witness;
  bool operator==(const Cached&) const = default;
};

class Model {
 public:
  Model(std::uint64_t seed, std::size_t capacity, std::size_t value_bytes_max, const PolicyFactory& make)
      : random_(seed), capacity_(capacity), value_bytes_max_(value_bytes_max), make_(make),
        shard_(pool_, capacity, make(capacity)) {
    for (int i = 0; i < 3; ++i) witnesses_.emplace_back(new TestWitness(i));
  }
  void step() {
    const std::uint64_t kind = random_.below(100);
    const std::string key = "key" + std::to_string(random_.below(400));
    if (kind < 50) {
      insert(key);
    } else if (kind < 85) {
      read(key);
    } else if (kind < 97) {
      RC_ASSERT(shard_.erase(key, base::hash_of(key)) <= model_.contains(key));
      model_.erase(key);
    } else if (kind < 98) {
      const std::uint64_t part = random_.below(3);
      shard_.erase_if([&](const Entry& entry) { return entry.version() % 3 == part; });
      std::erase_if(model_, [&](const auto& one) { return one.second.version % 3 == part; });
    } else if (kind < 99 && random_.chance(0.1)) {
      shard_.set_policy(make_(capacity_));
    } else if (kind < 99 && random_.chance(0.1)) {
      pool_ = std::make_shared<SegmentPool>(SegmentPool::kSegmentBytesMin << random_.below(6));
      shard_.set_capacity(capacity_, pool_);
    } else {
      capacity_ = capacity_ / 2 + random_.below(capacity_);
      capacity_ = std::clamp<std::size_t>(capacity_, 20'000, 600'000);
      shard_.set_capacity(capacity_, pool_);
    }
    RC_ASSERT(shard_.stats().bytes <= capacity_);
  }
  void check() {
    std::size_t found = 0;
    for (int i = 0; i < 400; ++i) found += read("key" + std::to_string(i)) ? 1 : 0;
    const ShardStats stats = shard_.stats();
    RC_ASSERT(found == stats.entries);
    RC_ASSERT(stats.entries + stats.evicted + stats.erased + replaced_ == stats.inserted);
  }

 private:
  void insert(const std::string& key) {
    const auto number = random_.below(3);
    Cached cached{std::string(random_.below(value_bytes_max_), static_cast<char>('a' + random_.below(26))), ++version_,
                  static_cast<int>(number)};
    const bool there = read(key);
    const bool taken = shard_.insert({.key = key,
                                      .hash = base::hash_of(key),
                                      .value = cached.value,
                                      .version = cached.version,
                                      .witness = witnesses_[number]});
    if (there && taken) ++replaced_;
    model_.erase(key);
    if (taken) model_[key] = cached;
  }
  bool read(const std::string& key) {
    const auto hash = base::hash_of(key);
    Cached seen;
    const bool found = shard_.visit(key, hash, [&](const Entry& entry) {
      RC_ASSERT(entry.key() == key);
      seen = {std::string(entry.value()), entry.version(), static_cast<const TestWitness*>(entry.witness())->number};
      return true;
    });
    std::vector<char> to(value_bytes_max_);
    EntryCopy copied;
    int witness = -1;
    const auto is_current = [&witness](const Witness* of, std::int64_t) {
      witness = static_cast<const TestWitness*>(of)->number;
      return true;
    };
    const bool copied_it = shard_.copy(key, hash, to, copied, [&] { return is_current; });
    RC_ASSERT(found == copied_it);
    if (!found) return false;
    RC_ASSERT(model_.contains(key) && model_[key] == seen);
    RC_ASSERT((Cached{std::string(to.data(), copied.value_bytes), copied.version, witness} == seen));
    return true;
  }

  base::Random random_;
  std::size_t capacity_;
  const std::size_t value_bytes_max_;
  const PolicyFactory make_;
  std::shared_ptr<SegmentPool> pool_ = std::make_shared<SegmentPool>(kSegmentBytes);
  std::vector<boost::intrusive_ptr<const TestWitness>> witnesses_;
  OneShard shard_;
  std::map<std::string, Cached> model_;
  std::uint64_t version_ = 0, replaced_ = 0;
};

template <typename Policy>
void agrees(const char* what, std::size_t value_bytes_max) {
  EXPECT_TRUE(rc::check(what, [value_bytes_max](std::uint64_t seed) {
    Model model(seed, 200'000, value_bytes_max, [](std::size_t) { return std::make_unique<Policy>(); });
    for (int i = 0; i < 1'500; ++i) {
      model.step();
      if (i % 250 == 0) model.check();
    }
    model.check();
  }));
}

TEST(Shard, AgreesWithAMapOfSmallValues) { agrees<Everything>("small values", 300); }
TEST(Shard, AgreesWithAMapWhereSomeStandOutside) { agrees<Everything>("large values", 5'000); }
TEST(Shard, AgreesWithAMapWhileAPolicyPicks) {
  agrees<Anybody>("small values", 300);
  agrees<Anybody>("large values", 5'000);
}

bool insert(Shard& shard, std::string_view key, std::string_view value) {
  return shard.insert({.key = key, .hash = base::hash_of(key), .value = value});
}

// A policy that picks puts four bytes behind each record: the largest must have room for them already.
TEST(Shard, TheLargestRecordMovesToAnyPolicy) {
  constexpr std::size_t kSmall = std::size_t{8} << 10;
  OneShard shard(kSmall, 1 << 20, std::make_unique<Everything>());
  std::size_t largest = 0;
  for (std::size_t bytes = kSmall - 200; bytes < kSmall; ++bytes) {
    if (insert(shard, std::string(bytes, 'k'), "v")) largest = bytes;
  }
  EXPECT_GT(largest, kSmall - 200);
  EXPECT_LT(largest, kSmall - 1);
  const std::uint64_t entries = shard.stats().entries;
  shard.set_policy(std::make_unique<Anybody>());
  EXPECT_EQ(shard.stats().entries, entries);
  EXPECT_TRUE(shard.inspect(std::string(largest, 'k'), base::hash_of(std::string(largest, 'k')), [](const Entry&) {}));
  shard.set_policy(std::make_unique<Everything>());
  EXPECT_EQ(shard.stats().entries, entries);
}

TEST(Shard, AnOnlyKeyIsNeverRefused) {
  OneShard shard(kSegmentBytes, 10 * kSegmentBytes, std::make_unique<Everything>());
  for (std::size_t i = 0; i < 5'000; ++i) ASSERT_TRUE(insert(shard, "key", std::string(i % 2'000, 'v'))) << i;
  EXPECT_EQ(shard.stats().evicted, 0u);
}

TEST(Shard, WhatIsHitStays) {
  OneShard shard(kSegmentBytes, 300'000, std::make_unique<Everything>());
  const std::string value(100, 'v');
  const auto read = [&](const std::string& key) {
    const auto hash = base::hash_of(key);
    if (shard.visit(key, hash, [](const Entry&) { return true; })) return true;
    shard.insert({.key = key, .hash = hash, .value = value});
    return false;
  };
  int hits = 0;
  for (int i = 0; i < 50'000; ++i) {
    read("once" + std::to_string(i));
    hits += read("often" + std::to_string(i % 50)) ? 1 : 0;
  }
  EXPECT_EQ(hits, 50'000 - 50);
  EXPECT_GT(shard.stats().evicted, 40'000u);
}

// Phases of other sizes, each written over by the next: what is cached keeps its share of the memory.
TEST(Shard, SizesThatChangeLeaveNoHoles) {
  constexpr std::size_t kCapacity = 4 << 20;
  OneShard shard(64 << 10, kCapacity, std::make_unique<Everything>());
  base::Random random(20261129);
  double first = 0;
  for (int phase = 0; phase < 12; ++phase) {
    const std::size_t most = std::size_t{40} << random.below(6);
    for (int i = 0; i < 200'000; ++i) {
      const std::string key = "key" + std::to_string(random.below(8 * kCapacity / (most + 80)));
      const auto hash = base::hash_of(key);
      if (random.chance(0.3)) {
        shard.erase(key, hash);
      } else {
        shard.insert({.key = key, .hash = hash, .value = std::string(random.below(most), 'v')});
      }
    }
    const ShardStats stats = shard.stats();
    const double used = static_cast<double>(stats.entry_bytes + stats.index_bytes) / kCapacity;
    ASSERT_LE(stats.bytes, kCapacity);
    if (phase == 0) first = used;
    EXPECT_GT(used, 0.75) << "values of at most " << most << " bytes";
    EXPECT_GT(used, first - 0.1) << "values of at most " << most << " bytes";
  }
}

// One of 256 shards that hold ten million entries.
TEST(Shard, SmallEntriesTakeLessThanTwentyFourBytesBesideThemselves) {
  OneShard shard(64 << 10, 4 << 20, std::make_unique<Everything>());
  boost::intrusive_ptr<const Witness> witness(new TestWitness(1));
  constexpr std::uint64_t kEntries = 10'000'000 / 256;
  std::size_t payload = 0;
  for (std::uint64_t i = 0; i < kEntries; ++i) {
    const std::string key = "key:" + std::to_string(i), value = "value" + std::to_string(i * 7);
    const NewEntry entry{
        .key = key, .hash = base::hash_of(key), .value = value, .version = 1'000'000 + i, .witness = witness};
    ASSERT_TRUE(shard.insert(entry));
    payload += key.size() + value.size();
  }
  const ShardStats stats = shard.stats();
  ASSERT_EQ(stats.entries, kEntries);
  EXPECT_LT(static_cast<double>(stats.bytes - payload) / kEntries, 24);
}

}  // namespace
}  // namespace freshet::memory
