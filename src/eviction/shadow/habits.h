// For tests: traffic of two habits that different policies are good at. May use base.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "base/zipf.h"

namespace freshet::eviction::shadow {

inline constexpr std::uint64_t kHabitCapacity = 4000;  // Objects that the cache should hold.
inline constexpr std::size_t kHabitRequests = 400'000;
// After so many requests of the second habit a cache should have settled in. (S3-FIFO alone takes 250,000 to do so here.)
inline constexpr std::size_t kHabitSettled = 300'000;

inline std::uint64_t habit_hash(std::uint64_t key) { return base::Random(key)(); }

// Half of the requests are for keys that are asked for once: whoever lets those go first has room for the popular ones.
inline std::vector<std::uint64_t> one_hit_wonders(base::Random& random) {
  const base::Zipf zipf(20'000, 0.8);
  std::uint64_t fresh = std::uint64_t{1} << 32;
  std::vector<std::uint64_t> hashes;
  for (std::size_t i = 0; i < kHabitRequests; ++i) {
    hashes.push_back(habit_hash(random.chance(0.5) ? ++fresh : zipf.draw(random)));
  }
  return hashes;
}

// What is new is popular for a while, and never again: whoever keeps old favourites has no room.
inline std::vector<std::uint64_t> shifting_working_set(base::Random& random) {
  constexpr std::uint64_t kWorkingSet = kHabitCapacity * 3 / 4;
  std::uint64_t newest = std::uint64_t{1} << 33;
  std::vector<std::uint64_t> hashes;
  for (std::size_t i = 0; i < kHabitRequests; ++i) {
    if (random.chance(0.25)) ++newest;
    hashes.push_back(habit_hash(newest - random.below(kWorkingSet)));
  }
  return hashes;
}

// The one habit and then the other.
inline std::vector<std::uint64_t> changing_habits(bool wonders_first, base::Random& random) {
  std::vector<std::uint64_t> wonders = one_hit_wonders(random), shifting = shifting_working_set(random);
  std::vector<std::uint64_t> trace = wonders_first ? wonders : shifting;
  const std::vector<std::uint64_t>& second = wonders_first ? shifting : wonders;
  trace.insert(trace.end(), second.begin(), second.end());
  return trace;
}

}  // namespace freshet::eviction::shadow
