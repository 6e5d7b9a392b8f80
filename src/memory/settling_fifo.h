// For tests: first in, first out, every entry settled from the beginning, so that copies take no lock unless they must;
// those that did are counted. May use memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "memory/table.h"

namespace freshet::memory {

class SettlingFifo final : public SiftingPolicy {
 public:
  // `hits` is added to under the shard's lock.
  explicit SettlingFifo(std::uint64_t* hits = nullptr) : hits_(hits) {}

  std::size_t queue_for(std::uint64_t, std::size_t, std::uint8_t& byte) override {
    byte = kSettled;
    return 0;
  }
  std::uint8_t on_hit(std::uint8_t byte) override {
    if (hits_) ++*hits_;
    return byte;
  }
  std::size_t queue_to_sift(std::span<const std::size_t>) override { return 0; }
  int sift(std::size_t, std::uint64_t, std::size_t, std::uint8_t&) override { return kLeaves; }
  std::size_t overhead_bytes() const override { return 0; }

 private:
  std::uint64_t* const hits_;
};

// `hits` is counted by one thread, or with one shard.
inline TableOptions settling_table(std::size_t capacity_bytes, unsigned shards, std::uint64_t* hits = nullptr) {
  TableOptions options;
  options.capacity_bytes = capacity_bytes;
  options.shards = shards;
  options.policy = [hits](std::size_t) { return std::make_unique<SettlingFifo>(hits); };
  return options;
}

}  // namespace freshet::memory
