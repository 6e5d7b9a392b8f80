// A shadow cache beside a plain host of the same policy, over random operations; and the sample that feeds it.
#include "eviction/shadow/shadow_cache.h"

#include <gtest/gtest.h>

#include <array>

#include "base/random.h"
#include "eviction/shadow/known_policies.h"
#include "eviction/shadow/plain_host.h"

namespace freshet::eviction::shadow {
namespace {

std::uint64_t hash_of(std::uint64_t key) { return base::Random(key)(); }

class BesidePlainHost : public testing::TestWithParam<ShadowPolicy> {};

// One random operation on both; they answer the same.
void step(base::Random& random, ShadowCache& shadow, PlainHost& plain, std::uint64_t keys) {
  const std::uint64_t hash = hash_of(std::min(random.below(keys), random.below(keys)));
  const auto size = static_cast<std::uint32_t>(1 + random.below(100));
  const std::uint64_t dice = random.below(1000);
  if (dice < 850) {
    ASSERT_EQ(shadow.read({hash, size, 0}), plain.read(hash, size));
  } else if (dice < 940) {
    shadow.write({hash, size, 0});
    plain.write(hash, size);
  } else if (dice < 995) {
    shadow.erase(hash);
    plain.erase(hash);
  } else {
    const std::uint64_t capacity = random.below(random.chance(0.3) ? 300 : 12'000);
    shadow.set_capacity(capacity);
    plain.set_capacity(capacity);
  }
  ASSERT_EQ(shadow.used_bytes(), plain.used_bytes());
  ASSERT_EQ(shadow.objects(), plain.objects());
  ASSERT_EQ(shadow.counts().misses, plain.misses());
}

TEST_P(BesidePlainHost, AnswersTheSameOverRandomOperations) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    base::Random random(seed);
    const std::uint64_t keys = 1 + random.below(600), capacity = random.below(12'000);
    ShadowCache shadow(GetParam().make(seed), capacity);
    PlainHost plain(GetParam().make(seed), capacity);
    for (int i = 0; i < 3000 && !HasFailure(); ++i) step(random, shadow, plain, keys);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, BesidePlainHost, testing::ValuesIn(all_policies()),
                         [](const auto& policy) { return policy.param.name; });

TEST(ShadowCache, CountsRequestsAndBytesOfReadsOnly) {
  ShadowCache cache(exact::make<exact::Lru>(1), 100);
  EXPECT_FALSE(cache.read({hash_of(1), 40, 0}));
  EXPECT_TRUE(cache.read({hash_of(1), 40, 0}));
  cache.write({hash_of(2), 30, 0});
  cache.write({hash_of(2), 60, 0});
  EXPECT_TRUE(cache.read({hash_of(2), 60, 0}));
  EXPECT_FALSE(cache.read({hash_of(3), 101, 0})) << "too large for the cache: it does not come in";
  EXPECT_EQ(cache.objects(), 2u);
  EXPECT_EQ(cache.used_bytes(), 100u);
  EXPECT_EQ(cache.counts().requests, 4u);
  EXPECT_EQ(cache.counts().bytes, 241u);
  EXPECT_EQ(cache.counts().misses, 2u);
  EXPECT_EQ(cache.counts().missed_bytes, 141u);
}

TEST(ShadowCache, AnObjectThatOutgrowsTheCacheLeaves) {
  ShadowCache cache(exact::make<exact::S3Fifo>(1), 100);
  cache.write({hash_of(1), 40, 0});
  cache.write({hash_of(1), 101, 0});
  EXPECT_EQ(cache.objects(), 0u);
  cache.write({hash_of(2), 40, 0});
  EXPECT_TRUE(cache.read({hash_of(2), 101, 0})) << "it was here";
  EXPECT_EQ(cache.objects(), 0u);
}

TEST(Sample, TakesItsShareOfEveryBucketAndEveryShard) {
  const Sample sample(1.0 / 16);
  EXPECT_DOUBLE_EQ(sample.rate(), 1.0 / 16);
  std::array<int, 64> by_low{}, by_high{};
  base::Random random(5);
  constexpr int kDraws = 1 << 20;
  for (int i = 0; i < kDraws; ++i) {
    const std::uint64_t hash = random();
    if (!sample.takes(hash)) continue;
    ++by_low[hash % 64];
    ++by_high[hash >> 58];
  }
  // Each expects 1024 with a deviation of 32. With a fixed seed a failure is a fault.
  for (int i = 0; i < 64; ++i) {
    EXPECT_NEAR(by_low[i], 1024, 160) << i;
    EXPECT_NEAR(by_high[i], 1024, 160) << i;
  }
}

TEST(Sample, AtHalfTheRateOnlyKeysOfTheFullOne) {
  Sample sample(0.01), half(0.01);
  half.halve();
  EXPECT_NEAR(half.rate(), 0.005, 1e-12);
  base::Random random(6);
  int taken = 0, taken_by_half = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint64_t hash = random();
    taken += sample.takes(hash) ? 1 : 0;
    taken_by_half += half.takes(hash) ? 1 : 0;
    ASSERT_TRUE(sample.takes(hash) || !half.takes(hash));
  }
  EXPECT_NEAR(taken, 10'000, 500);
  EXPECT_NEAR(taken_by_half, 5'000, 350);
}

TEST(Sample, OfEverythingTakesEverything) {
  base::Random random(7);
  const Sample all(1);
  EXPECT_EQ(all.rate(), 1);
  for (int i = 0; i < 100'000; ++i) ASSERT_TRUE(all.takes(random()));
  EXPECT_TRUE(all.takes(0) && all.takes(UINT64_MAX));
}

}  // namespace
}  // namespace freshet::eviction::shadow
