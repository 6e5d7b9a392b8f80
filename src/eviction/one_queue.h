// What FIFO, CLOCK and SIEVE have in common: one queue, and a mark for who was hit. A hit of a marked entry needs no lock.
// May use memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory/sifting.h"

namespace freshet::eviction {

class OneQueue : public memory::SiftingPolicy {
 public:
  std::size_t queue_for(std::uint64_t, std::size_t, std::uint8_t&) override { return kQueue; }
  std::uint8_t on_hit(std::uint8_t) final { return kSettled; }
  std::size_t queue_to_sift(std::span<const std::size_t>) final { return kQueue; }
  std::size_t overhead_bytes() const final { return 0; }

 protected:
  static constexpr int kQueue = 0;

  // Who has no mark leaves; the others lose it.
  static int unless_marked(std::uint8_t& byte, int verdict) {
    if (byte == 0) return kLeaves;
    byte = 0;
    return verdict;
  }
};

}  // namespace freshet::eviction
