// Arrivals: by the clock alone, at the rate that was asked for.
#include "load/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace freshet::load {
namespace {

TEST(Schedule, EvenGapsNeverDrift) {
  constexpr base::Nanoseconds kStart = 1'000'000;
  Schedule schedule(3000, Arrivals::even, kStart, 1);  // A gap that is no whole number of nanoseconds.
  const auto first = schedule.due();
  EXPECT_GE(first, kStart);
  EXPECT_LT(first, kStart + base::kSecond / 3000 + 1);
  for (int i = 0; i < 3'000'000; ++i) schedule.advance();
  EXPECT_NEAR(static_cast<double>(schedule.due() - first), 1000.0 * base::kSecond, 2);
}

TEST(Schedule, PoissonGapsAreExponential) {
  constexpr int kGaps = 200'000;
  constexpr double kGap = 1000;  // Nanoseconds.
  Schedule schedule(static_cast<double>(base::kSecond) / kGap, Arrivals::poisson, 0, 3);
  auto before = schedule.due();
  double sum = 0, squares = 0;
  int longer = 0;
  for (int i = 0; i < kGaps; ++i) {
    schedule.advance();
    ASSERT_GE(schedule.due(), before);
    const auto gap = static_cast<double>(schedule.due() - before);
    before = schedule.due();
    sum += gap;
    squares += gap * gap;
    longer += gap > 2 * kGap;
  }
  const double mean = sum / kGaps;
  EXPECT_NEAR(mean, kGap, 0.015 * kGap);
  EXPECT_NEAR(std::sqrt(squares / kGaps - mean * mean), kGap, 0.02 * kGap);  // Its deviation equals its mean.
  EXPECT_NEAR(static_cast<double>(longer) / kGaps, std::exp(-2), 0.005);
}

TEST(Schedule, ThreadsDoNotMarchInStep) {
  const Schedule one(10, Arrivals::even, 0, 1), other(10, Arrivals::even, 0, 2);
  EXPECT_NE(one.due(), other.due());
}

}  // namespace
}  // namespace freshet::load
