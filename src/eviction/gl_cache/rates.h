// How the cache does of late, against how it did in general: the circumstances in which a group is begun. May use this
// room's groups.h.
//
// The paper takes the rates themselves. Trees that learn those learn dates: what the rate was on Monday says nothing of
// Tuesday. Relative to the mean since the start they stay comparable.
#pragma once

#include <algorithm>
#include <cstdint>

#include "eviction/gl_cache/groups.h"

namespace freshet::eviction::gl_cache {

class Rates {
 public:
  static constexpr std::uint64_t kWindowMisses = 1024;

  void on_miss(std::uint64_t now, std::uint32_t time_s) {
    if (misses_ == 0) began_s_ = window_s_ = time_s;
    if (++misses_ - window_misses_ < kWindowMisses) return;
    const auto rate = [](std::uint64_t count, std::uint32_t from_s, std::uint32_t to_s) {
      return static_cast<double>(count) / std::max(1.0, static_cast<double>(to_s) - from_s);
    };
    const auto requests = now - window_requests_;
    const double miss_ratio = static_cast<double>(kWindowMisses) / static_cast<double>(requests);
    latest_.request_rate = static_cast<float>(rate(requests, window_s_, time_s) / rate(now, began_s_, time_s));
    latest_.write_rate = static_cast<float>(rate(kWindowMisses, window_s_, time_s) / rate(misses_, began_s_, time_s));
    latest_.miss_ratio = static_cast<float>(miss_ratio / miss_ratio_since_start(now));
    window_requests_ = now;
    window_misses_ = misses_;
    window_s_ = time_s;
  }
  const Circumstances& latest() const { return latest_; }
  double miss_ratio_since_start(std::uint64_t now) const {
    return std::max<double>(1, static_cast<double>(misses_)) / std::max<double>(1, static_cast<double>(now));
  }

 private:
  Circumstances latest_{1, 1, 1};
  std::uint64_t misses_ = 0;
  std::uint64_t window_misses_ = 0;
  std::uint64_t window_requests_ = 0;
  std::uint32_t window_s_ = 0;
  std::uint32_t began_s_ = 0;
};

}  // namespace freshet::eviction::gl_cache
