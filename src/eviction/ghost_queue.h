// A queue of keys that have left: the last so many of them, as 32-bit fingerprints, with the question "was it here?".
// S3-FIFO remembers by it whom it sent away too early. First in, first out; a key that comes back is taken out.
//
// Memory: a ring of fingerprints and a hash table of places in it, 12 bytes a place. Two keys of a shard share a fingerprint
// about once in 2^32 pairs; that costs a misjudged eviction, never a wrong answer.
// Not thread-safe. May use the standard library only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace freshet::eviction {

class GhostQueue {
 public:
  static constexpr std::size_t kRingMin = 16;
  static constexpr std::size_t kRingMax = std::size_t{1} << 22;

  // Puts a fingerprint at the head, out of its earlier place if it has one, and keeps to `limit` by dropping from the tail.
  void push(std::uint32_t fingerprint, std::size_t limit);
  // Whether the fingerprint was there; it no longer is.
  bool take(std::uint32_t fingerprint);
  // Drops from the tail what is more than `limit`, and gives back memory that it no longer needs.
  void trim(std::size_t limit);

  std::size_t size() const { return size_; }
  std::size_t bytes() const { return (ring_.size() + table_.size()) * sizeof(std::uint32_t); }

 private:
  static constexpr std::uint32_t kEmpty = UINT32_MAX;

  std::size_t place_mask() const { return ring_.size() - 1; }
  std::size_t slot_mask() const { return table_.size() - 1; }
  bool full() const { return head_ - tail_ == ring_.size(); }
  void append(std::uint32_t fingerprint);
  void drop_tail();
  void unlink(std::size_t slot);
  void rebuild(std::size_t ring_size);

  std::vector<std::uint32_t> ring_;   // Fingerprints, from tail_ to head_; those that were taken leave a hole.
  std::vector<std::uint32_t> table_;  // Places by fingerprint, linear probing, at most half full.
  std::uint64_t head_ = 0;            // Places ever used, and ever passed by the tail.
  std::uint64_t tail_ = 0;
  std::size_t size_ = 0;              // Without the holes.
};

}  // namespace freshet::eviction
