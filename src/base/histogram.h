// A histogram of whole numbers (latencies in nanoseconds, sizes in bytes) in fixed memory: every power of two is divided
// into 32 buckets, so that a quantile is at most 1/32 above the true value.
//
// Thread-safe: one relaxed addition a record; a reader sees each record whole, at some moment. May use the standard library.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace freshet::base {

class Histogram {
 public:
  static constexpr int kBucketBits = 5;
  static constexpr std::size_t kBucketsPerPower = std::size_t{1} << kBucketBits;
  static constexpr std::size_t kBuckets = (64 - kBucketBits + 1) * kBucketsPerPower;

  Histogram() = default;
  Histogram(const Histogram& other) { add(other); }
  Histogram& operator=(const Histogram& other);

  void record(std::uint64_t value, std::uint64_t times = 1) {
    buckets_[bucket_of(value)].fetch_add(times, std::memory_order_relaxed);
    sum_.fetch_add(value * times, std::memory_order_relaxed);
  }

  // Adds what the other holds.
  void add(const Histogram& other);
  // Takes away what an earlier copy of this histogram held: what remains was recorded since.
  void subtract(const Histogram& earlier);
  void clear();

  std::uint64_t count() const;
  std::uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }
  double mean() const;
  // The least number that at least `quantile` (0 to 1) of the records do not exceed, rounded up to its bucket's end. 0 if
  // there are none.
  std::uint64_t at_quantile(double quantile) const;
  // How many records lie in buckets that end at or below `value`.
  std::uint64_t count_up_to(std::uint64_t value) const;

  static std::size_t bucket_of(std::uint64_t value);
  // The largest value of a bucket.
  static std::uint64_t end_of(std::size_t bucket);

 private:
  std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};
  std::atomic<std::uint64_t> sum_{0};
};

}  // namespace freshet::base
