// base/late_clock.h beside base::now(): never early, late within its bound, over many anchors, with threads that move
// between processors and threads that pause.
#include "base/late_clock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

namespace freshet::base {
namespace {

constexpr int kThreads = 4;
constexpr Nanoseconds kRun = 300 * kMillisecond;

struct Seen {
  Nanoseconds early_max = INT64_MIN;  // base::now() before the reading, less the reading.
  Nanoseconds late_max = INT64_MIN;   // The reading, less base::now() after it.
  std::uint64_t readings = 0;

  void read() {
    const Nanoseconds before = now();
    const Nanoseconds reading = LateClock::now();
    const Nanoseconds after = now();
    early_max = std::max(early_max, before - reading);
    late_max = std::max(late_max, reading - after);
    ++readings;
  }
};

TEST(LateClock, IsNeverEarlyAndLateWithinItsBound) {
  std::vector<Seen> all(kThreads);
  {
    std::vector<std::jthread> threads;
    for (Seen& seen : all) {
      threads.emplace_back([&seen] {
        for (const Nanoseconds end = now() + kRun; now() < end;) seen.read();
      });
    }
  }
  for (const Seen& seen : all) {
    EXPECT_LE(seen.early_max, 0);
    EXPECT_LE(seen.late_max, LateClock::kLateByMax);
    EXPECT_GT(seen.readings, 1000u);
  }
}

TEST(LateClock, IsNeverEarlyAfterAPause) {
  Seen seen;
  for (const Nanoseconds pause : {kMillisecond, LateClock::kAnchorLife - kMillisecond, LateClock::kAnchorLife,
                                  LateClock::kAnchorLife + kMillisecond, 1200 * kMillisecond}) {
    for (int i = 0; i < 5; ++i) {
      for (const Nanoseconds end = now() + 3 * LateClock::kRateSpanMin; now() < end;) seen.read();
      std::this_thread::sleep_for(std::chrono::nanoseconds(pause));
      seen.read();
    }
  }
  EXPECT_LE(seen.early_max, 0);
  EXPECT_LE(seen.late_max, LateClock::kLateByMax);
}

}  // namespace
}  // namespace freshet::base
