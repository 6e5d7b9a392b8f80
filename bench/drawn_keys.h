// For the benchmarks of hits in process: keys, drawn beforehand, and a witness that is always current. May use base and
// memory.
#pragma once

#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "memory/witness.h"

namespace freshet {

constexpr std::size_t kDraws = std::size_t{1} << 22;  // A multiple of every batch's size.

// "key:" and sixteen hexadecimal digits, written without a call.
class Key {
 public:
  explicit Key(std::uint64_t number) {
    for (int i = 0; i < 16; ++i) text_[4 + i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
  }
  std::string_view view() const { return {text_.data(), text_.size()}; }

 private:
  std::array<char, 20> text_ = {'k', 'e', 'y', ':'};
};

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
