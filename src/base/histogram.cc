// Buckets: values below 32 have one each; above, the five bits after the leading one choose among 32 for each power of two.
#include "base/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace freshet::base {

std::size_t Histogram::bucket_of(std::uint64_t value) {
  if (value < kBucketsPerPower) return value;
  const int shift = std::bit_width(value) - 1 - kBucketBits;
  return static_cast<std::size_t>(shift) * kBucketsPerPower + (value >> shift);
}

std::uint64_t Histogram::end_of(std::size_t bucket) {
  if (bucket < 2 * kBucketsPerPower) return bucket;
  const std::size_t shift = bucket / kBucketsPerPower - 1;
  const std::uint64_t mantissa = kBucketsPerPower + bucket % kBucketsPerPower;
  return ((mantissa + 1) << shift) - 1;
}

Histogram& Histogram::operator=(const Histogram& other) {
  if (this != &other) {
    clear();
    add(other);
  }
  return *this;
}

void Histogram::add(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) {
    if (const auto records = other.buckets_[i].load(std::memory_order_relaxed)) {
      buckets_[i].fetch_add(records, std::memory_order_relaxed);
    }
  }
  sum_.fetch_add(other.sum(), std::memory_order_relaxed);
}

void Histogram::subtract(const Histogram& earlier) {
  for (std::size_t i = 0; i < kBuckets; ++i) {
    buckets_[i].fetch_sub(earlier.buckets_[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
  sum_.fetch_sub(earlier.sum(), std::memory_order_relaxed);
}

void Histogram::clear() {
  for (auto& bucket : buckets_) bucket.store(0, std::memory_order_relaxed);
  sum_.store(0, std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const {
  std::uint64_t records = 0;
  for (const auto& bucket : buckets_) records += bucket.load(std::memory_order_relaxed);
  return records;
}

double Histogram::mean() const {
  const auto records = count();
  return records == 0 ? 0 : static_cast<double>(sum()) / static_cast<double>(records);
}

std::uint64_t Histogram::at_quantile(double quantile) const {
  const auto records = count();
  if (records == 0) return 0;
  const double wanted = std::ceil(std::clamp(quantile, 0.0, 1.0) * static_cast<double>(records));
  const auto rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, records);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i].load(std::memory_order_relaxed);
    if (seen >= rank) return end_of(i);
  }
  return end_of(kBuckets - 1);
}

std::uint64_t Histogram::count_up_to(std::uint64_t value) const {
  std::uint64_t records = 0;
  for (std::size_t i = 0; i < kBuckets && end_of(i) <= value; ++i) records += buckets_[i].load(std::memory_order_relaxed);
  return records;
}

}  // namespace freshet::base
