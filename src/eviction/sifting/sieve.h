// SIEVE for records in segments: one queue, a mark for who was hit, and a hand that passes from the oldest to the newest,
// throws out who has no mark and takes the mark from who has one, who stays where he is. Zhang, Yang, Yue, Vigfusson,
// Rashmi: "SIEVE is simpler than LRU", NSDI 2024. The hand passes a segment at a time here.
//
// A hit of a marked entry needs no lock. May use memory/segments.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory/segments/sifting.h"

namespace freshet::eviction::sifting {

class Sieve final : public memory::segments::SiftingPolicy {
 public:
  std::size_t queue_for(std::uint64_t) override { return 0; }
  std::uint8_t on_hit(std::uint8_t) override { return kSettled; }
  std::size_t queue_to_sift(const std::size_t (&)[2]) override { return 0; }
  int sift(std::size_t, std::uint64_t, std::uint8_t& byte) override {
    if (byte == 0) return kLeaves;
    byte = 0;
    return kStays;
  }
  std::size_t overhead_bytes() const override { return 0; }
};

}  // namespace freshet::eviction::sifting
