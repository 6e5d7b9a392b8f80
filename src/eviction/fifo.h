// First in, first out: a hit changes nothing, so that every entry is settled from the beginning and no hit takes a lock.
// May use memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "eviction/one_queue.h"

namespace freshet::eviction {

class Fifo final : public OneQueue {
 public:
  std::size_t queue_for(std::uint64_t, std::size_t, std::uint8_t& byte) override {
    byte = kSettled;
    return kQueue;
  }
  int sift(std::size_t, std::uint64_t, std::size_t, std::uint8_t&) override { return kLeaves; }
};

}  // namespace freshet::eviction
