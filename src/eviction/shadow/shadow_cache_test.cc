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

}  // namespace
}  // namespace freshet::eviction::shadow
