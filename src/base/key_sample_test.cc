// The sample of keys: its share, everywhere, and less of it.
#include "base/key_sample.h"

#include <gtest/gtest.h>

#include <array>

#include "base/random.h"

namespace freshet::base {
namespace {

TEST(KeySample, TakesItsShareOfEveryBucketAndEveryShard) {
  const KeySample sample(1.0 / 16);
  EXPECT_DOUBLE_EQ(sample.rate(), 1.0 / 16);
  std::array<int, 64> by_low{}, by_high{};
  Random random(5);
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

TEST(KeySample, AtHalfTheRateOnlyKeysOfTheFullOne) {
  KeySample sample(0.01), half(0.01);
  half.halve();
  EXPECT_NEAR(half.rate(), 0.005, 1e-12);
  Random random(6);
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

TEST(KeySample, OfEverythingTakesEverything) {
  Random random(7);
  const KeySample all(1);
  EXPECT_EQ(all.rate(), 1);
  for (int i = 0; i < 100'000; ++i) ASSERT_TRUE(all.takes(random()));
  EXPECT_TRUE(all.takes(0) && all.takes(UINT64_MAX));
}

}  // namespace
}  // namespace freshet::base
