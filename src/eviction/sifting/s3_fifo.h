// S3-FIFO for records in segments: eviction/s3_fifo.h has the algorithm and its source. The queues are of segments here, and
// a tail is a segment: each of its records is judged as the tail would be, one after the other. The ghosts are as many as
// nine tenths of the records.
//
// A hit takes the lock until the count is full, three times. May use memory/segments and eviction.
#pragma once

#include <cstddef>
#include <cstdint>

#include "eviction/ghost_queue.h"
#include "memory/segments/sifting.h"

namespace freshet::eviction::sifting {

class S3Fifo final : public memory::segments::SiftingPolicy {
 public:
  static constexpr std::size_t kSmallPart = 10;        // The small queue's part of the capacity: one in so many bytes.
  static constexpr std::uint8_t kFrequencyMax = 3;     // Two bits of the record's byte.
  static constexpr std::uint8_t kFrequencyToMove = 2;  // From small to main: read more than once.

  std::size_t queue_for(std::uint64_t hash) override;
  std::uint8_t on_hit(std::uint8_t byte) override;
  std::size_t queue_to_sift(const std::size_t (&queue_bytes)[2]) override;
  int sift(std::size_t queue, std::uint64_t hash, std::uint8_t& byte) override;
  void on_erase(std::size_t queue, std::uint64_t hash, std::uint8_t byte) override;
  void set_capacity(std::size_t bytes) override { small_bytes_ = bytes / kSmallPart; }
  std::size_t overhead_bytes() const override { return ghosts_.bytes(); }

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

}  // namespace freshet::eviction::sifting
