// Readers of bench_rows: through an engine at a given rate and level, and by prepared SELECTs. May use cache and libpq.
#pragma once

#include <cstdint>
#include <string>

#include "base/histogram.h"
#include "cache/engine.h"

namespace freshet::bench {

struct ReadFigures {
  double seconds = 0;
  std::uint64_t reads = 0;
  std::uint64_t failed = 0;
  std::uint64_t probes = 0;
  double database_cpu_seconds = 0;
  base::Histogram latency_ns;

  double rate() const { return static_cast<double>(reads) / seconds; }
  double cpu_seconds_a_million() const { return database_cpu_seconds * 1e6 / static_cast<double>(reads); }
};

struct ReaderOptions {
  std::string url;
  int rows = 0;
  double seconds = 3;
  // Reads a second in all, begun evenly whether answers come or not (open loop); 0: each reader asks again once it has its
  // answer,
  double rate = 0;
  int readers = 1;
  // after so long.
  base::Nanoseconds pause = 0;
};

// The options of the read are those of Engine::get.
ReadFigures read_through(cache::Engine& engine, const cache::ReadOptions& read, const ReaderOptions& options);
// The same with prepared SELECTs, each reader on a connection of its own. With a rate, as fast as they can up to it.
ReadFigures read_by_sql(const ReaderOptions& options);

// An engine that follows bench_rows, with every row in memory.
std::unique_ptr<cache::Engine> open_warm(const std::string& url, int rows,
                                         base::Nanoseconds probe_interval = 200 * base::kMicrosecond);
std::unique_ptr<cache::Engine> open_cold(const std::string& url,
                                         base::Nanoseconds probe_interval = 200 * base::kMicrosecond);

// When, counted from the call, reads of random rows came from memory: one; half, and nine tenths, of those of a short
// while.
struct WarmingTimes {
  base::Nanoseconds first = 0, half = 0, most = 0;
  std::uint64_t failed = 0;
};
inline constexpr int kWarmingReaders = 8;
inline constexpr int kWarmingBatch = 64;
WarmingTimes read_until_warm(cache::Engine& engine, int rows);

}  // namespace freshet::bench
