// Estimates beside full simulations; the bounds; capacities that change.
#include "eviction/shadow/shadows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/zipf.h"
#include "eviction/shadow/known_policies.h"

namespace freshet::eviction::shadow {
namespace {

constexpr std::uint64_t kHalfLifeForEver = std::uint64_t{1} << 40;

std::uint64_t hash_of(std::uint64_t key) { return base::Random(key)(); }

// Zipf(0.9) over 100,000 objects of 50 to 149 bytes.
std::vector<Access> zipf_trace(std::size_t requests, std::uint64_t seed) {
  base::Random random(seed);
  const base::Zipf zipf(100'000, 0.9);
  std::vector<Access> trace;
  for (std::size_t i = 0; i < requests; ++i) {
    const std::uint64_t hash = hash_of(zipf.draw(random) ^ seed << 32);
    trace.push_back({hash, static_cast<std::uint32_t>(50 + (hash >> 20) % 100), 0});
  }
  return trace;
}

Estimate simulate(const ShadowPolicy& policy, std::uint64_t capacity, const std::vector<Access>& trace) {
  ShadowCache cache(policy.make(1), capacity);
  for (const Access& access : trace) cache.read(access);
  const ShadowCache::Counts& counts = cache.counts();
  return {static_cast<double>(counts.misses) / static_cast<double>(counts.requests),
          static_cast<double>(counts.missed_bytes) / static_cast<double>(counts.bytes)};
}

TEST(Shadows, EstimateWhatFullSimulationsMiss) {
  constexpr std::uint64_t kSeed = 3;
  RecordProperty("seed", static_cast<int>(kSeed));
  constexpr std::size_t kRequests = 1'000'000, kTold = 10'000;
  const std::vector<Access> trace = zipf_trace(kRequests, kSeed);
  const std::vector<ShadowPolicy> policies = {few_policies()[0], few_policies()[1]};
  Shadows shadows({policies, {0.5, 1, 2}, 2'000'000, 0.05, kHalfLifeForEver, kSeed});
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < kRequests; ++i) {
    bytes += trace[i].size;
    if (shadows.takes(trace[i].hash)) shadows.read(trace[i]);
    if ((i + 1) % kTold == 0) shadows.count_all(kTold, std::exchange(bytes, 0));
  }
  EXPECT_GT(shadows.objects(), 1500u) << "some thousand keys";
  for (std::size_t policy = 0; policy < policies.size(); ++policy) {
    for (const CurvePoint& point : shadows.curve(policy)) {
      SCOPED_TRACE(testing::Message() << policies[policy].name << " at " << point.capacity_bytes << " bytes");
      const Estimate full = simulate(policies[policy], point.capacity_bytes, trace);
      EXPECT_NEAR(point.estimate.object_miss_ratio, full.object_miss_ratio, 0.02);
      EXPECT_NEAR(point.estimate.byte_miss_ratio, full.byte_miss_ratio, 0.02);
    }
  }
}

// Without being told of all requests, a ratio depends on whether the few most popular keys are in the sample.
TEST(Shadows, ToldOfAllRequestsTheyAreNearer) {
  double squares = 0, squares_told = 0;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const std::vector<Access> trace = zipf_trace(100'000, seed);
    const ShadowPolicy lru = few_policies()[0];
    Shadows shadows({{lru}, {1}, 2'000'000, 0.05, kHalfLifeForEver, seed});
    for (const Access& access : trace) shadows.read(access);
    const double full = simulate(lru, 2'000'000, trace).object_miss_ratio;
    squares += std::pow(shadows.estimate(0).object_miss_ratio - full, 2);
    shadows.count_all(trace.size(), 0);
    squares_told += std::pow(shadows.estimate(0).object_miss_ratio - full, 2);
  }
  EXPECT_LT(std::sqrt(squares_told), std::sqrt(squares) / 3);
}

// Whoever tells seldom tells of what has decayed: it weighs no more than told at once.
TEST(Shadows, ItDoesNotMatterHowOftenTheyAreToldOfAllRequests) {
  const std::vector<Access> trace = zipf_trace(400'000, 5);
  const auto ratio_told_every = [&](std::size_t requests) {
    Shadows shadows({{few_policies()[0]}, {1}, 2'000'000, 0.05, 4096, 1});
    for (std::size_t i = 0; i < trace.size(); ++i) {
      shadows.read(trace[i]);
      if ((i + 1) % requests == 0) shadows.count_all(requests, 0);
    }
    return shadows.estimate(0).object_miss_ratio;
  };
  EXPECT_NEAR(ratio_told_every(200'000), ratio_told_every(1000), 0.01);
}

TEST(Shadows, AHalfLifeLaterWhatWasWeighsAHalf) {
  constexpr std::uint64_t kHalfLife = 800;
  Shadows shadows({{few_policies()[0]}, {1}, 1000, 1, kHalfLife, 1});
  for (std::uint64_t key = 1; key <= 20 * kHalfLife; ++key) shadows.read({hash_of(key), 10, 0});
  EXPECT_DOUBLE_EQ(shadows.estimate(0).object_miss_ratio, 1);
  EXPECT_EQ(shadows.windows(), 20u);
  for (std::uint64_t i = 0; i < kHalfLife; ++i) shadows.read({hash_of(20 * kHalfLife), 10, 0});
  EXPECT_NEAR(shadows.estimate(0).object_miss_ratio, 0.5, 0.02);
  EXPECT_NEAR(shadows.estimate(0).byte_miss_ratio, 0.5, 0.02);
  EXPECT_EQ(shadows.windows(), 21u);
}

void read_all(Shadows& shadows, std::uint64_t keys, int times) {
  for (int i = 0; i < times; ++i) {
    for (std::uint64_t key = 1; key <= keys; ++key) shadows.read({hash_of(key), 10, 0});
  }
}

// A loop over 500 keys: LRU hits always if all have room, and never if not.
TEST(Shadows, ANewCapacityTakesEffectAndNothingElseIsForgotten) {
  Shadows shadows({{few_policies()[0]}, {0.5, 1, 2}, 5000, 1, 100, 1});
  read_all(shadows, 500, 4);
  const auto ratio = [&](std::size_t size) { return shadows.curve(0)[size].estimate.object_miss_ratio; };
  EXPECT_NEAR(ratio(0), 1, 0.01);
  EXPECT_NEAR(ratio(1), 0, 0.01);
  EXPECT_NEAR(ratio(2), 0, 0.01);
  shadows.set_capacity(10'000);
  EXPECT_EQ(shadows.curve(0)[0].capacity_bytes, 5000u);
  for (std::uint64_t key = 251; key <= 500; ++key) shadows.read({hash_of(key), 10, 0});
  EXPECT_LT(ratio(0), 0.25) << "what the smallest had is still there";
  shadows.set_capacity(2500);
  read_all(shadows, 500, 4);
  EXPECT_NEAR(ratio(0), 1, 0.01);
  EXPECT_NEAR(ratio(1), 1, 0.01);
  EXPECT_NEAR(ratio(2), 0, 0.01);
}

TEST(Shadows, WritesAndErasuresReachEveryShadow) {
  Shadows shadows({few_policies(), {0.5, 1, 2}, 1000, 1, 800, 1});
  shadows.write({hash_of(1), 10, 0});
  shadows.write({hash_of(2), 10, 0});
  shadows.erase(hash_of(2));
  EXPECT_EQ(shadows.objects(), 1u);
  EXPECT_EQ(shadows.sampled_requests(), 0u);
  shadows.read({hash_of(1), 10, 0});
  shadows.read({hash_of(2), 10, 0});
  for (std::size_t policy = 0; policy < shadows.policies(); ++policy) {
    for (const CurvePoint& point : shadows.curve(policy)) EXPECT_EQ(point.estimate.object_miss_ratio, 0.5);
  }
}

TEST(Shadows, TooManyObjectsHalveTheRateAndThoseThatStayAreNotForgotten) {
  constexpr std::uint64_t kKeys = 200'000;
  Shadows shadows({few_policies(), {0.5, 1, 2}, 20 * kKeys, 1, 500, 1});
  for (std::uint64_t key = 1; key <= kKeys; ++key) {
    shadows.read({hash_of(key), 10, 0});
    ASSERT_LE(shadows.objects(), Shadows::kSampledObjectsMax);
  }
  EXPECT_DOUBLE_EQ(shadows.sample().rate(), 1.0 / 32);
  EXPECT_GT(shadows.objects(), kKeys / 40);
  read_all(shadows, kKeys, 1);
  for (std::size_t policy = 0; policy < shadows.policies(); ++policy) {
    EXPECT_LT(shadows.estimate(policy).object_miss_ratio, 0.01) << shadows.name(policy);
  }
  EXPECT_LT(shadows.overhead_bytes(), Shadows::kBytesMax);
}

TEST(Shadows, TooManyBytesHalveTheRateAndTheyStartAnew) {
  class Hungry final : public exact::Policy {
    void on_insert(exact::Slot slot, const exact::Access& access) override { lru_.on_insert(slot, access); }
    void on_hit(exact::Slot slot, const exact::Access& access) override { lru_.on_hit(slot, access); }
    void on_resize(exact::Slot, std::uint32_t) override {}
    void on_erase(exact::Slot slot) override { lru_.on_erase(slot); }
    exact::Slot take_victim() override { return lru_.take_victim(); }
    void set_capacity(std::uint64_t) override {}
    std::size_t overhead_bytes() const override { return Shadows::kBytesMax + 1; }
    exact::Lru lru_;
  };
  Shadows shadows({{{"hungry", exact::make<Hungry>}}, {1}, 1'000'000'000, 1, 80, 1});
  read_all(shadows, 9, 1);
  EXPECT_EQ(shadows.objects(), 9u);
  EXPECT_EQ(shadows.sample().rate(), 1);
  read_all(shadows, 1000, 1);
  EXPECT_EQ(shadows.objects(), shadows.sampled_requests() % 10);
  EXPECT_LT(shadows.sample().rate(), 0.5);
}

}  // namespace
}  // namespace freshet::eviction::shadow
