// S3-FIFO: three queues, first in, first out. Yang, Zhang, Qiu, Yue, Vigfusson: "FIFO queues are all you need for cache
// eviction", SOSP 2023 (https://dl.acm.org/doi/10.1145/3600006.3613147).
//
// Most objects of a real workload are read once and never again; they should leave quickly and not push out those that are
// read often. A new object enters the *small* queue (a tenth of the bytes). A hit only counts in two bits (0 to 3).
//   Room is taken from the small queue while it holds its tenth or more, else from the main queue.
//   Small's tail: read more than once since it came, it moves to the head of main, its count cleared; else it leaves, and
//   the *ghost* queue remembers its key.
//   Main's tail: with a count above zero it goes back to main's head, the count less one; else it leaves.
//   A new object whose key is in the ghost queue was sent away too early: it enters main at once.
// The ghost queue remembers as many keys as main has room for: nine tenths of the objects that the shard holds. The queues
// are of segments, whose records are judged one after the other as tails.
//
// Two things that the paper has no need of. A changed value takes the queue and the count of the one before; a write is not
// a read. And an entry that is erased though it had earned its place (it is in main, or would have moved there) is
// remembered as a ghost, so that it comes back to main: being outdated does not make it cold.
//
// A hit takes the lock until the count is full, three times. May use memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "eviction/ghost_queue.h"
#include "memory/sifting.h"

namespace freshet::eviction {

class S3Fifo final : public memory::SiftingPolicy {
 public:
  static constexpr std::size_t kSmallPart = 10;        // The small queue's part of the capacity: one in so many bytes.
  static constexpr std::uint8_t kFrequencyMax = 3;     // Two bits of the record's byte.
  static constexpr std::uint8_t kFrequencyToMove = 2;  // From small to main: read more than once.

  std::size_t queue_for(std::uint64_t hash, std::size_t bytes, std::uint8_t& byte) override;
  std::uint8_t on_hit(std::uint8_t byte) override;
  std::size_t queue_to_sift(std::span<const std::size_t> queue_bytes) override;
  int sift(std::size_t queue, std::uint64_t hash, std::size_t bytes, std::uint8_t& byte) override;
  void on_erase(std::size_t queue, std::uint64_t hash, std::uint8_t byte) override;
  void set_capacity(std::size_t bytes) override { small_bytes_ = bytes / kSmallPart; }
  std::size_t overhead_bytes() const override { return ghosts_.bytes(); }
  void forget() override { ghosts_.trim(0); }

 private:
  enum Queue : std::uint8_t { kSmall, kMain };

  static std::uint8_t with_frequency(std::uint8_t frequency) {
    return static_cast<std::uint8_t>(frequency | (frequency == kFrequencyMax ? kSettled : 0));
  }
  static std::uint8_t frequency_in(std::uint8_t byte) { return byte & kFrequencyMax; }
  void remember(std::uint64_t hash);

  GhostQueue ghosts_;
  std::size_t small_bytes_ = 0;
  std::size_t records_ = 0;  // In both queues.
};

}  // namespace freshet::eviction
