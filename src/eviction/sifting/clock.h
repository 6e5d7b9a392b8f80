// FIFO and CLOCK for records in segments: what was hit since it was written is written anew, or not even that. CLOCK is from
// Corbató, "A paging experiment with the Multics system", 1969; a second chance as a new place at the queue's end, as here,
// and by a hand that passes, as there, are the same order. May use memory/segments.
#pragma once

#include <cstddef>
#include <cstdint>

#include "eviction/sifting/one_queue.h"

namespace freshet::eviction::sifting {

class Fifo final : public OneQueue {
 public:
  int sift(std::size_t, std::uint64_t, std::uint8_t&) override { return kLeaves; }
};

class Clock final : public OneQueue {
 public:
  int sift(std::size_t, std::uint64_t, std::uint8_t& byte) override { return unless_marked(byte, kQueue); }
};

}  // namespace freshet::eviction::sifting
