// For the benchmarks of hits in process: keys, drawn beforehand, and a witness that is always current. May use base,
// memory and load.
#pragma once

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "load/linked_key.h"
#include "memory/witness.h"

namespace freshet {

constexpr std::size_t kDraws = std::size_t{1} << 22;  // A multiple of every batch's size.

using Key = load::LinkedKey;

struct Deadline final : memory::Witness {
  std::atomic<base::Nanoseconds> at{base::kForever};
};

// Keys drawn beforehand, uniform over the first so many: making them is no part of a hit.
inline std::vector<Key> drawn_keys(const benchmark::State& state, std::uint64_t keys) {
  base::Random random(static_cast<std::uint64_t>(state.thread_index()) + 1);
  std::vector<Key> drawn;
  drawn.reserve(kDraws);
  for (std::size_t i = 0; i < kDraws; ++i) drawn.emplace_back(random.below(keys));
  return drawn;
}

}  // namespace freshet
