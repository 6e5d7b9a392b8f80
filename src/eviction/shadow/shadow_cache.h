// One policy at one miniature size, over the sampled keys: what would be cached, without the values. May use base and
// eviction/exact.
//
// Waldspurger, Saemundsson, Ahmad, Park: "Cache modeling and optimization using miniature simulations", ATC 2017: a cache
// of a hundredth of the bytes, asked for a hundredth of the keys, misses the same share of its requests.
//
// An object larger than the whole cache does not come in. Hashes stand for keys: equal hashes are one key. They are well
// mixed. Not thread-safe. Memory: 24 to 52 bytes an object, and what the policy keeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/key_sample.h"
#include "eviction/exact/policy.h"
#include "eviction/exact/slots.h"

namespace freshet::eviction::shadow {

// What a read or a write of a key tells.
struct Access {
  std::uint64_t hash = 0;
  std::uint32_t size = 1;  // Bytes that the cached object takes, at least one.
  std::uint32_t time_s = 0;
};

class ShadowCache {
 public:
  struct Counts {
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;
    std::uint64_t misses = 0;
    std::uint64_t missed_bytes = 0;
  };

  // `beside_bytes`: what the policy of a live cache keeps beside each object, and takes of its memory.
  ShadowCache(std::unique_ptr<exact::Policy> policy, std::uint64_t capacity_bytes, std::uint32_t beside_bytes = 0);

  // Has the hash's bucket fetched, for a call that follows soon.
  void prefetch(std::uint64_t hash) const { __builtin_prefetch(&table_[bucket_of(hash)]); }
  // A read: counted; on a miss the object comes in. True: a hit.
  bool read(const Access& access);
  // The object has a new value, and perhaps another size; it comes in if it is not here. No request is counted.
  void write(const Access& access);
  void erase(std::uint64_t hash);
  // What is too much leaves at once.
  void set_capacity(std::uint64_t bytes);
  // Erases what the sample does not take (any longer).
  void keep_only(const base::KeySample& sample);

  const Counts& counts() const { return counts_; }
  void forget_counts() { counts_ = {}; }
  std::size_t objects() const { return objects_; }
  std::uint64_t used_bytes() const { return used_; }
  std::size_t overhead_bytes() const;

 private:
  using Slot = exact::Slot;
  static constexpr std::size_t kTableMin = 64;
  struct Cached {
    std::uint64_t hash = 0;
    std::uint32_t size = 0;  // 0: the slot is free.
  };

  std::size_t bucket_of(std::uint64_t hash) const { return hash >> shift_; }
  std::size_t next(std::size_t bucket) const { return (bucket + 1) & (table_.size() - 1); }
  // The bucket that has the hash, or the free one where it would go.
  std::size_t find(std::uint64_t hash) const;
  void grow_table();
  void remove_at(std::size_t bucket);

  void come_in(const exact::Access& access);
  void resize(Slot slot, std::uint32_t size);
  std::uint64_t cost(std::uint32_t size) const { return std::uint64_t{size} + beside_bytes_; }
  void make_room(std::uint64_t bytes);
  void release(Slot slot);
  void erase_slot(Slot slot);

  std::unique_ptr<exact::Policy> policy_;
  std::uint64_t capacity_;
  std::uint32_t beside_bytes_;
  std::uint64_t used_ = 0;
  std::size_t objects_ = 0;
  Counts counts_;
  // Slots by hash: open addressing, at most half full; taking out shifts what follows back, so there are no tombstones.
  std::vector<Slot> table_;
  int shift_;  // The high bits are the bucket.
  exact::Slots<Cached> cached_;
};

}  // namespace freshet::eviction::shadow
