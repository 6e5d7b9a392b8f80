// The policies by name. May use eviction/exact.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "freshet/result.h"
#include "simulator/replay.h"

namespace freshet::simulator {

struct ReplayOptions {
  std::uint64_t capacity_bytes = 0;
  std::uint32_t objects = 0;  // Of the trace.
  std::uint64_t seed = 1;     // For policies that draw random numbers.
};

struct KnownPolicy {
  std::string_view name;   // As one types it: "s3fifo".
  std::string_view title;  // As one writes it: "S3-FIFO".
  bool needs_future;
  std::unique_ptr<Replay> (*make)(const ReplayOptions& options);
};

// All of them. The first two are no policies, but what to compare speeds with: "read" reads the requests from memory and
// does nothing with them, "none" replays without a cache: each request looks its object up, misses, and is counted.
std::span<const KnownPolicy> policies();
inline constexpr std::size_t kNotPolicies = 2;
// By name or title, letter case and hyphens aside.
Result<const KnownPolicy*> policy_named(std::string_view name);

}  // namespace freshet::simulator
