// What is counted of a segment's records as of one group of objects, for a policy that ranks segments (memory/grouping.h).
// It stands in the segment's header and is the policy's alone: for other policies nothing is counted. May use nothing.
#pragma once

#include <cstdint>
#include <limits>

namespace freshet::memory::segments {

// Times are the policy's own.
struct Group {
  static constexpr float kUnranked = std::numeric_limits<float>::infinity();

  std::uint64_t bytes = 0;       // Of the objects that are there, with their values, wherever these stand.
  std::uint32_t objects = 0;
  std::uint32_t active = 0;      // Those of them that were requested since they were written.
  std::uint32_t requests = 0;    // That were told, for any of its objects.
  std::uint32_t begun = 0;       // When,
  std::uint32_t requested = 0;   // and when any of its objects was last requested.
  float utility = kUnranked;     // As the policy guesses it.
  std::uint16_t generation = 0;  // 0: of new objects; 1: of such as were kept.
};

}  // namespace freshet::memory::segments
