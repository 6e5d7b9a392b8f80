// The clock for hits: base::now() without its call and without its order, by the processor's cycle counter. It is never
// early: what it returns is at or after what base::now() would have returned when the caller's operation began. It may be
// late by kLateByMax. So a lease seems to end a little before it does, which is safe; nothing else is to be timed by it.
//
// base::now() asks the kernel's code for an ordered reading, for which the processor first finishes every load before it.
// That keeps it from overlapping one hit's reads of memory with the next one's.
//
// How: each thread has an anchor, a reading of both clocks, with the rate measured since the anchor before. From there
// the counter carries on for kAnchorLife; then there is a new anchor. Added to every reading is what it may be early by:
//   kRateErrorMax    the kernel may change its clock's speed after the rate was measured: by a tenth either way at the very
//                    most (adjtimex: the tick's limits), and by 0.05 % in the ordinary run of things
//   kAnchorErrorMax  the two clocks of an anchor are not read at the same moment. The anchor itself errs late by that, but
//                    the rate, measured over kRateSpanMin at least, may be wrong by that part either way
//   kOutOfOrderMax   the counter may be read before older instructions are done, by as long as they may stay undone: some
//                    hundred loads from memory, each waiting for the one before. (What interrupts a thread ends that.)
//
// Only where the kernel itself keeps time by the counter (its clock source is the TSC: invariant, and the same on every
// processor); elsewhere it is base::now(). After a suspend a counter that ran on is past the anchor's life, and one that
// started anew is before its anchor: both make a new one. (Left over is a counter that stood still, in a thread that was
// frozen and thawed within the same ten milliseconds of it: no processor is known whose kernel would count by such a one.)
//
// Thread-safe: a thread's state is its own. May use base/clock.h only.
#pragma once

#include <cstdint>

#include "base/clock.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace freshet::base {

class LateClock {
 public:
  static constexpr Nanoseconds kAnchorLife = 10 * kMillisecond;
  static constexpr Nanoseconds kRateErrorMax = kAnchorLife / 4;  // From a tenth slow to a tenth fast, and the other way.
  static constexpr Nanoseconds kAnchorErrorMax = 10 * kMicrosecond;
  static constexpr Nanoseconds kRateSpanMin = 2 * kMillisecond;
  static constexpr Nanoseconds kOutOfOrderMax = 500 * kMicrosecond;
  static constexpr Nanoseconds kEarlyByMax =
      kRateErrorMax + kAnchorErrorMax * (kAnchorLife / kRateSpanMin) + kOutOfOrderMax;
  static constexpr Nanoseconds kLateByMax = 2 * kEarlyByMax + kAnchorErrorMax;  // What is added, and wrong the other way.

  static Nanoseconds now() {
#if defined(__x86_64__)
    const std::uint64_t ticks = __rdtsc() - anchor_.ticks;  // Before the anchor: more than any life.
    if (ticks < anchor_.life_ticks) [[likely]] {
      return anchor_.late_time + static_cast<Nanoseconds>(ticks * anchor_.rate >> kRateBits);
    }
    return anchor_anew();
#else
    return base::now();
#endif
  }

#if defined(__x86_64__)
 private:
  static constexpr int kRateBits = 32;
  // A rate measured over longer may have a suspend in it.
  static constexpr Nanoseconds kRateSpanMax = kSecond;
  static constexpr int kAnchorTriesMax = 4;

  struct Anchor {
    std::uint64_t ticks;
    std::uint64_t life_ticks;  // 0: no rate yet.
    std::uint64_t rate;        // Nanoseconds a tick, in units of 2^-kRateBits.
    Nanoseconds late_time;     // What this clock shows at the anchor.
    Nanoseconds time;          // What base::now() shows; 0: no anchor yet.
  };

  static Nanoseconds anchor_anew();
  static bool read_both(Anchor& anchor);

  inline static thread_local constinit Anchor anchor_ = {};
#endif
};

}  // namespace freshet::base
