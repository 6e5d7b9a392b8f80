// FIFO and CLOCK for records in segments: what was hit since it was written is written anew, or not even that. CLOCK is from
// Corbató, "A paging experiment with the Multics system", 1969; a second chance as a new place at the queue's end, as here,
// and by a hand that passes, as there, are the same order.
//
// A hit of an entry that was hit before needs no lock. May use memory/segments.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory/segments/sifting.h"

namespace freshet::eviction::sifting {

class Fifo final : public memory::segments::SiftingPolicy {
 public:
  std::size_t queue_for(std::uint64_t) override { return 0; }
  std::uint8_t on_hit(std::uint8_t) override { return kSettled; }
  std::size_t queue_to_sift(const std::size_t (&)[2]) override { return 0; }
  int sift(std::size_t, std::uint64_t, std::uint8_t&) override { return kLeaves; }
  std::size_t overhead_bytes() const override { return 0; }
};

class Clock final : public memory::segments::SiftingPolicy {
 public:
  std::size_t queue_for(std::uint64_t) override { return 0; }
  std::uint8_t on_hit(std::uint8_t) override { return kSettled; }
  std::size_t queue_to_sift(const std::size_t (&)[2]) override { return 0; }
  int sift(std::size_t, std::uint64_t, std::uint8_t& byte) override {
    if (byte == 0) return kLeaves;
    byte = 0;
    return 0;
  }
  std::size_t overhead_bytes() const override { return 0; }
};

}  // namespace freshet::eviction::sifting
