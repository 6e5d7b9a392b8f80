// Anchors of the late clock. See base/late_clock.h.
#include "base/late_clock.h"

#if defined(__x86_64__)

#include <fstream>
#include <string>

namespace freshet::base {
namespace {

// The sources that are the counter itself, kept in step across processors. (kvm-clock may differ from one to another.)
bool kernel_counts_ticks() {
  std::ifstream file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  std::string source;
  file >> source;
  return source == "tsc" || source == "hyperv_clocksource_tsc_page";
}

std::uint64_t ordered_ticks() {
  _mm_lfence();
  const std::uint64_t ticks = __rdtsc();
  _mm_lfence();
  return ticks;
}

}  // namespace

// The counter is read between two readings of the clock that lie close together, and stands for the second: so the anchor
// errs late, and never by more than kAnchorErrorMax, whatever interrupts it.
bool LateClock::read_both(Anchor& anchor) {
  for (int i = 0; i < kAnchorTriesMax; ++i) {
    const Nanoseconds before = base::now();
    anchor.ticks = ordered_ticks();
    anchor.time = base::now();
    if (anchor.time - before <= kAnchorErrorMax) return true;
  }
  return false;
}

Nanoseconds LateClock::anchor_anew() {
  static const bool counts = kernel_counts_ticks();
  if (!counts) return base::now();
  Anchor fresh = {};
  if (!read_both(fresh)) {
    anchor_ = {};
    return base::now();
  }
  const Nanoseconds span = fresh.time - anchor_.time;
  const bool measurable = anchor_.time != 0 && span <= kRateSpanMax && fresh.ticks > anchor_.ticks;
  if (measurable && span < kRateSpanMin) return fresh.time;
  if (measurable) {
    fresh.rate = (static_cast<std::uint64_t>(span) << kRateBits) / (fresh.ticks - anchor_.ticks);
    if (fresh.rate != 0) fresh.life_ticks = (std::uint64_t{kAnchorLife} << kRateBits) / fresh.rate;
  }
  fresh.late_time = fresh.time + kEarlyByMax;
  anchor_ = fresh;
  return fresh.time;
}

}  // namespace freshet::base

#endif
