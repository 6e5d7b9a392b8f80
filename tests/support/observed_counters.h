// What is known of one counter of an observed load: which values had been acknowledged when. Thread-safe.
#pragma once

#include <deque>
#include <mutex>
#include <utility>

#include "observed_load.h"

namespace freshet::testing {

inline constexpr int kObservedCounters = 3;

struct ObservedLoad::Counter {
  // `n` was acknowledged at `moment`.
  void acknowledge(base::Nanoseconds moment, std::int64_t n) {
    std::lock_guard lock(mutex);
    acknowledged.emplace_back(moment, n);
    if (acknowledged.size() > kKept) acknowledged.pop_front();
  }
  // The newest value acknowledged by `moment`, as far as is remembered.
  std::int64_t floor(base::Nanoseconds moment) const {
    std::lock_guard lock(mutex);
    std::int64_t newest = 0;
    for (const auto& [when, n] : acknowledged) {
      if (when > moment) break;
      newest = n;
    }
    return newest;
  }

 private:
  static constexpr std::size_t kKept = 4096;
  mutable std::mutex mutex;
  std::deque<std::pair<base::Nanoseconds, std::int64_t>> acknowledged;  // Ascending in both.
};

}  // namespace freshet::testing
