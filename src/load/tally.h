// What a load has seen: counts, latencies, and the first errors' texts. May use base only. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/histogram.h"

namespace freshet::load {

// Different error texts that are kept, and how much of one.
inline constexpr std::size_t kErrorsToldMax = 5;
inline constexpr std::size_t kErrorBytesMax = 200;

inline double seconds_of(base::Nanoseconds span) { return static_cast<double>(span) / static_cast<double>(base::kSecond); }

struct Tally {
  std::uint64_t operations = 0;  // Keys read or written: an MGET of 16 keys is 16. Failed requests are not among them.
  std::uint64_t requests = 0;
  std::uint64_t misses = 0;      // Keys read and not there.
  std::uint64_t errors = 0;      // Error replies, and requests without an answer.
  std::uint64_t unsent = 0;      // Open loop: due, and not sent when time was up.
  base::Histogram latency_ns;    // Of requests.
  base::Histogram late_ns;       // Open loop: from due to sent.
  std::vector<std::string> error_texts;
  std::uint64_t lost_connections = 0;
  double seconds = 0;
  double generator_cpu_s = 0;
  std::optional<double> target_cpu_s;

  void note_error(std::string_view text, std::uint64_t times = 1);
  // Adds another thread's counts of the same time.
  void add_parallel(const Tally& other);
  // Adds another round's.
  void add_round(const Tally& other);
};

// Figures that were not measured are nullopt.
std::optional<double> per_second(std::uint64_t count, std::optional<double> seconds);
std::optional<double> quantile_us(const base::Histogram& histogram, double quantile);

}  // namespace freshet::load
