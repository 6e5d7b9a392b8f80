// SIEVE: one queue, a mark for who was hit, and a hand that passes from the oldest to the newest, throws out who has no mark
// and takes the mark from who has one, who stays where he is. Zhang, Yang, Yue, Vigfusson, Rashmi: "SIEVE is simpler than
// LRU", NSDI 2024. The hand passes a segment at a time here. May use memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "eviction/one_queue.h"

namespace freshet::eviction {

class Sieve final : public OneQueue {
 public:
  int sift(std::size_t, std::uint64_t, std::size_t, std::uint8_t& byte) override { return unless_marked(byte, kStays); }
};

}  // namespace freshet::eviction
