// Keys that have left, in the order they left: first in, first out, found and taken out by key. For policies that remember.
// May use policy.h only.
//
// A ring of entries with holes, and a hash table of their places (open addressing, at most half full; taking out shifts what
// follows back, so there are no tombstones). 24 to 96 bytes a ghost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "eviction/exact/policy.h"

namespace freshet::eviction::exact {

class Ghosts {
 public:
  Ghosts() { resize(kRingMin); }

  std::uint64_t bytes() const { return bytes_; }  // Of the objects that are remembered.

  bool holds(std::uint64_t key) const { return table_[find(key)] != kFree; }
  // Forgets the key; false if it was not remembered.
  bool take(std::uint64_t key);
  // The key is not remembered yet.
  void push(std::uint64_t key, std::uint32_t size);
  // Forgets the oldest ones until at most `bytes_max` of objects are remembered.
  void trim(std::uint64_t bytes_max) {
    while (bytes_ > bytes_max) pop();
  }
  // Forgets the oldest; there is one.
  void pop();
  std::size_t overhead_bytes() const { return bytes_of(ring_) + bytes_of(table_); }

 private:
  static constexpr std::size_t kRingMin = 64;
  static constexpr std::uint32_t kFree = UINT32_MAX;
  struct Entry {
    std::uint64_t key = 0;
    std::uint32_t size = 0;
    bool live = false;
  };

  std::size_t bucket_of(std::uint64_t key) const { return key >> shift_; }
  std::size_t next(std::size_t bucket) const { return (bucket + 1) & (table_.size() - 1); }
  // The bucket that has the key, or the free one where it would go.
  std::size_t find(std::uint64_t key) const {
    std::size_t bucket = bucket_of(key);
    while (table_[bucket] != kFree && ring_[table_[bucket]].key != key) bucket = next(bucket);
    return bucket;
  }
  void remove_at(std::size_t bucket);
  void resize(std::size_t entries);

  std::vector<Entry> ring_;            // A power of two.
  std::vector<std::uint32_t> table_;   // Places in the ring.
  int shift_ = 0;                      // Keys are well mixed: their high bits are the bucket.
  std::uint64_t front_ = 0;
  std::uint64_t back_ = 0;
  std::size_t size_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace freshet::eviction::exact
