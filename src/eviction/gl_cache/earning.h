// Whether an object's requests have earned it its place: the same for the groups of the simulator and for segments. May use
// this room's settings.h.
#pragma once

#include <algorithm>
#include <cstdint>

#include "eviction/gl_cache/settings.h"

namespace freshet::eviction::gl_cache {

// Of the objects that came in, the later ones counting for more in the long run.
class MeanSize {
 public:
  static constexpr double kShare = 1e-4;  // What one object moves it, at the least.

  void add(std::uint64_t size) {
    const double share = std::max(1 / static_cast<double>(++objects_), kShare);
    mean_ += (static_cast<double>(size) - mean_) * share;
  }
  double value() const { return mean_; }

 private:
  double mean_ = 0;
  std::uint64_t objects_ = 0;
};

// Whether `requests` since the object was written, no more than `requests_max` of which are counted, make up for its size.
inline bool has_earned(const Settings& settings, const MeanSize& mean_size, std::uint32_t requests,
                       std::uint32_t requests_max, std::uint64_t size, bool kept_before) {
  constexpr double kTolerance = 1.01;  // Of the mean, which moves.
  if (requests == 0) return false;
  const double needed = kept_before ? 1 : settings.requests_to_keep;
  if (requests >= requests_max || settings.objective == Objective::bytes) return requests >= needed;
  return requests * mean_size.value() * kTolerance >= needed * static_cast<double>(size);
}

}  // namespace freshet::eviction::gl_cache
