// Numbers keys in the order of their first appearance: a hash index with open addressing, made for loading traces. May use
// nothing.
//
// Keys are well-mixed hashes, so their high bits are the bucket. At most half of the buckets are taken; 16 bytes a bucket.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace freshet::simulator {

class KeyNumbers {
 public:
  KeyNumbers() : buckets_(kBucketsMin, Bucket{}) {}

  // The key's number; `count()` before the call if it is new.
  std::uint32_t number_of(std::uint64_t key) {
    std::size_t at = bucket_of(key);
    while (buckets_[at].number != kFree) {
      if (buckets_[at].key == key) return buckets_[at].number;
      at = (at + 1) & (buckets_.size() - 1);
    }
    buckets_[at] = {key, count_};
    if (++count_ * 2 > buckets_.size()) grow();
    return count_ - 1;
  }
  // `count()` if it has none.
  std::uint32_t find(std::uint64_t key) const {
    for (std::size_t at = bucket_of(key);; at = (at + 1) & (buckets_.size() - 1)) {
      if (buckets_[at].number == kFree) return count_;
      if (buckets_[at].key == key) return buckets_[at].number;
    }
  }
  void prefetch(std::uint64_t key) const { __builtin_prefetch(&buckets_[bucket_of(key)]); }
  std::uint32_t count() const { return count_; }

 private:
  static constexpr std::size_t kBucketsMin = 1 << 12;
  static constexpr std::uint32_t kFree = UINT32_MAX;
  struct Bucket {
    std::uint64_t key = 0;
    std::uint32_t number = kFree;
  };

  std::size_t bucket_of(std::uint64_t key) const { return key >> shift_; }
  void grow() {
    const std::vector<Bucket> before = std::exchange(buckets_, std::vector<Bucket>(buckets_.size() * 2));
    --shift_;
    for (const Bucket& bucket : before) {
      if (bucket.number == kFree) continue;
      std::size_t at = bucket_of(bucket.key);
      while (buckets_[at].number != kFree) at = (at + 1) & (buckets_.size() - 1);
      buckets_[at] = bucket;
    }
  }

  std::vector<Bucket> buckets_;
  int shift_ = 64 - std::countr_zero(kBucketsMin);
  std::uint32_t count_ = 0;
};

}  // namespace freshet::simulator
