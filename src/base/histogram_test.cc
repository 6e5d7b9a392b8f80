// The histogram's error bound, its sums under concurrency, and differences of two readings.
#include "base/histogram.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

namespace freshet::base {
namespace {

TEST(Histogram, BucketsCoverEveryValueInOrder) {
  std::uint64_t begin = 0;
  for (std::size_t bucket = 0; bucket < Histogram::kBuckets; ++bucket) {
    const auto end = Histogram::end_of(bucket);
    ASSERT_EQ(Histogram::bucket_of(begin), bucket);
    ASSERT_EQ(Histogram::bucket_of(end), bucket);
    ASSERT_LE(end - begin, begin / Histogram::kBucketsPerPower) << "a bucket is at most 1/32 of its values wide";
    begin = end + 1;
  }
  EXPECT_EQ(begin, 0u) << "the last bucket ends at the largest value";
}

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.at_quantile(0.5), 0u);
  EXPECT_EQ(histogram.mean(), 0);
}

RC_GTEST_PROP(Histogram, QuantilesAreWithinTheirBound, ()) {
  auto values = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::uint32_t>>(rc::gen::arbitrary<std::uint32_t>()));
  const double quantile = *rc::gen::inRange(0, 1001) / 1000.0;
  Histogram histogram;
  for (const auto value : values) histogram.record(value);
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(std::ceil(quantile * static_cast<double>(values.size())));
  const std::uint64_t truth = values[std::max<std::size_t>(1, rank) - 1];
  RC_ASSERT(histogram.at_quantile(quantile) >= truth);
  RC_ASSERT(histogram.at_quantile(quantile) <= truth + truth / Histogram::kBucketsPerPower);
}

TEST(Histogram, AddsAndSubtracts) {
  Histogram a;
  a.record(10, 3);
  a.record(1'000'000);
  const Histogram earlier = a;
  a.record(500);
  Histogram since = a;
  since.subtract(earlier);
  EXPECT_EQ(since.count(), 1u);
  EXPECT_EQ(since.sum(), 500u);
  EXPECT_EQ(since.at_quantile(1), Histogram::end_of(Histogram::bucket_of(500)));
  since.add(earlier);
  EXPECT_EQ(since.count(), a.count());
  EXPECT_EQ(since.sum(), 1'000'530u);
  a.clear();
  EXPECT_EQ(a.count(), 0u);
}

TEST(Histogram, CountsUpToAValue) {
  Histogram histogram;
  for (std::uint64_t value = 0; value < 20; ++value) histogram.record(value);
  EXPECT_EQ(histogram.count_up_to(9), 10u);
  EXPECT_EQ(histogram.count_up_to(UINT64_MAX), 20u);
}

TEST(Histogram, LosesNothingAmongThreads) {
  constexpr int kThreads = 4;
  constexpr int kRecords = 20'000;
  Histogram histogram;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRecords; ++i) histogram.record(static_cast<std::uint64_t>(i));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(histogram.count(), kThreads * kRecords);
  EXPECT_EQ(histogram.sum(), std::uint64_t{kThreads} * kRecords * (kRecords - 1) / 2);
}

}  // namespace
}  // namespace freshet::base
