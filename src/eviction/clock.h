// CLOCK, also called FIFO with reinsertion or second chance: who came first leaves first, unless it was hit since; then it
// loses its mark and is written anew at the queue's end. Corbató: "A paging experiment with the Multics system", 1969; a
// second chance as a new place at the end, as here, and by a hand that passes, as there, are the same order.
// May use memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "eviction/one_queue.h"

namespace freshet::eviction {

class Clock final : public OneQueue {
 public:
  int sift(std::size_t, std::uint64_t, std::size_t, std::uint8_t& byte) override { return unless_marked(byte, kQueue); }
};

}  // namespace freshet::eviction
