// Many policies at many sizes over one trace, on several threads. May use the files of this room.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "freshet/result.h"
#include "simulator/policies.h"
#include "simulator/workload.h"

namespace freshet::simulator {

// A cache's size: bytes, or a fraction of the bytes of all objects, each at its first size.
struct CacheSize {
  std::uint64_t bytes = 0;
  double fraction = 0;  // Above 0: this counts.
  friend bool operator==(const CacheSize&, const CacheSize&) = default;
};

// "10%", "0.1%", "64MiB", "1000000".
Result<CacheSize> parse_cache_size(std::string_view text);

struct Outcome {
  const KnownPolicy* policy = nullptr;
  std::uint64_t size_bytes = 0;  // Of the whole cache, also if the trace is sampled.
  std::uint64_t requests = 0;    // That were replayed.
  double object_miss_ratio = 0;
  double byte_miss_ratio = 0;
  double requests_per_s = 0;
  std::uint64_t peak_bytes = 0;      // The most bytes that were cached at a time.
  std::uint64_t overhead_bytes = 0;  // What the policy kept beside them, at the end.
};

struct SimulationOptions {
  std::vector<const KnownPolicy*> policies;
  std::vector<CacheSize> sizes;
  int threads = 1;
  std::uint64_t seed = 1;
  // Called from any of the threads, one at a time.
  std::function<void(double progress)> on_progress;
};

inline constexpr int kThreadsMax = 256;

// What a replay may take for each object of the trace, at most: its slot, and what the policy that takes most has.
inline constexpr std::uint64_t kReplayBytesPerObject = 160;
// Of a trace in passes: two windows of at most so many blocks are in memory, one replayed while the next one is read.
inline constexpr std::size_t kWindowBlocksMax = 16;

// Outcomes by policy, then by size, in the order of the options. A trace in passes is replayed by as many policies and sizes
// in a pass as the workload's memory has room for, but not by fewer than there are threads. Errors: of a trace in passes, a
// policy looks into the future, or the file has changed.
Result<std::vector<Outcome>> simulate(Workload& workload, const SimulationOptions& options);

}  // namespace freshet::simulator
