// Ranks against the law that they are drawn by, with fixed seeds.
#include "base/zipf.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace freshet::base {
namespace {

TEST(Zipf, FollowsTheLaw) {
  constexpr std::uint64_t kItems = 1000, kDraws = 400'000;
  for (const double exponent : {0.0, 0.5, 0.6, 0.99, 1.0, 1.0000001, 1.3, 1.5, 3.0}) {
    SCOPED_TRACE(exponent);
    double sum = 0;
    for (std::uint64_t k = 1; k <= kItems; ++k) sum += std::pow(k, -exponent);
    const Zipf zipf(kItems, exponent);
    Random random(17);
    std::vector<std::uint64_t> counts(kItems + 1);
    for (std::uint64_t i = 0; i < kDraws; ++i) {
      const auto rank = zipf.draw(random);
      ASSERT_TRUE(rank >= 1 && rank <= kItems);
      ++counts[rank];
    }
    for (std::uint64_t k = 1; k <= kItems; ++k) {
      const double expected = static_cast<double>(kDraws) * std::pow(k, -exponent) / sum;
      // Five standard deviations; a rank is drawn some thirty times at the least. With a fixed seed a failure is a fault.
      EXPECT_NEAR(static_cast<double>(counts[k]), expected, 5 * std::sqrt(expected + 1)) << k;
    }
  }
}

TEST(Zipf, OfOneItemAndOfVeryMany) {
  Random random(1);
  EXPECT_EQ(Zipf(1, 1.2).draw(random), 1u);
  constexpr std::uint64_t kMost = 1'000'000'000'000;
  const Zipf many(kMost, 0.9);
  for (int i = 0; i < 1000; ++i) ASSERT_LE(many.draw(random), kMost);
}

}  // namespace
}  // namespace freshet::base
