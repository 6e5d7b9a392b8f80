// What exact policies, and what learns, know an entry of the table by: a key and a size as in a trace. May use
// eviction/exact.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "eviction/exact/policy.h"

namespace freshet::eviction {

// The keys of a shard have the high bits of their hashes in common, and policies have hash tables and sketches that go by
// these: an odd factor carries all bits into them, and keeps different keys different.
constexpr std::uint64_t exact_key(std::uint64_t hash) { return hash * 0x9e3779b97f4a7c15; }

// Entries have at most 4 GiB and a head; a policy that takes the largest for a little smaller is none the worse.
constexpr std::uint32_t exact_size(std::size_t bytes) {
  return static_cast<std::uint32_t>(bytes < UINT32_MAX ? bytes : UINT32_MAX);
}

inline std::uint32_t exact_time_s() { return static_cast<std::uint32_t>(base::now() / base::kSecond); }

}  // namespace freshet::eviction
