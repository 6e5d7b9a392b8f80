// The library in process: a cache on embedded storage in a temporary folder, through the public C++ API; beside it, in the
// same run, before the cache and after it, std::unordered_map: the yardstick for what the machine does just then.
//
// Reads are linearizable, copied out. Keys are drawn and written out beforehand: that is the application's work. Before the
// window each thread goes through its draws at least once, but no longer than two seconds, so that the policy has seen the
// keys.
// May use the public API.
#pragma once

#include <cstdint>

#include "base/histogram.h"
#include "freshet/result.h"

namespace freshet::load {

inline constexpr std::uint64_t kLinkedKeysMax = 100'000'000;
// Writes of a thread that may be unacknowledged.
inline constexpr std::uint64_t kLinkedWritesInFlightMax = 256;
// Every so many requests one is timed by itself: reading the clock costs about as much as a hit.
inline constexpr std::uint64_t kOperationsATimedOne = 256;

struct LinkedPlan {
  std::uint64_t keys = 1'000'000;
  std::size_t value_bytes = 100;
  int threads = 1;
  std::uint32_t batch = 1;      // Keys a read asks for.
  double writes = 0;            // Share of the requests.
  double seconds = 5;
  std::uint64_t seed = 1;
  int interrupt = -1;           // A descriptor: once it is readable the measurement ends.
};

struct LinkedFigures {
  std::uint64_t operations = 0;  // Keys read or written.
  std::uint64_t misses = 0;
  std::uint64_t errors = 0;
  std::string error_text;        // The first error's.
  double seconds = 0;
  double cpu_s = 0;              // Of the whole process, in the window: the loop and the cache's own threads too.
  base::Histogram latency_ns;    // Of timed requests.
  double map_operations_per_s = 0;  // One thread, no lock, single keys, reads only.
};

Result<LinkedFigures> measure_linked(const LinkedPlan& plan);

}  // namespace freshet::load
