// When requests are due, in an open loop: by the clock alone, whatever the target does. May use base only.
//
// A request that is due stays due until it is sent, and its latency counts from then: a target that stalls for a second
// makes all the requests late that fell due in that second, as it would make users wait. (A closed loop sends nothing
// meanwhile, and so shows one slow request: "coordinated omission".)
#pragma once

#include <cmath>
#include <cstdint>

#include "base/clock.h"
#include "base/random.h"

namespace freshet::load {

enum class Arrivals : std::uint8_t {
  even,     // Equal gaps.
  poisson,  // Gaps as of many users who know nothing of each other: exponential.
};

class Schedule {
 public:
  // rate > 0, requests a second. The first request is due within a gap of `start`; schedules of different seeds do not march
  // in step.
  Schedule(double rate, Arrivals arrivals, base::Nanoseconds start, std::uint64_t seed)
      : gap_ns_(static_cast<double>(base::kSecond) / rate),
        arrivals_(arrivals),
        random_(seed),
        start_(start),
        first_(random_.share()),
        after_start_ns_(arrivals == Arrivals::even ? gap_ns_ * first_ : exponential()) {}

  // When the next request is due.
  base::Nanoseconds due() const { return start_ + static_cast<base::Nanoseconds>(after_start_ns_); }
  void advance() {
    ++passed_;
    if (arrivals_ == Arrivals::even) after_start_ns_ = gap_ns_ * (first_ + static_cast<double>(passed_));
    else after_start_ns_ += exponential();
  }

 private:
  double exponential() { return -gap_ns_ * std::log1p(-random_.share()); }

  const double gap_ns_;
  const Arrivals arrivals_;
  base::Random random_;
  const base::Nanoseconds start_;
  const double first_;       // Even: the first one's part of a gap.
  std::uint64_t passed_ = 0;
  double after_start_ns_;
};

}  // namespace freshet::load
