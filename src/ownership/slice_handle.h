// A slice handle: the proof that a node has owned a slice without interruption since the handle was made. One handle lives
// for one ownership period of one slice; when the slice is lost and won again there is a new handle, and the old one never
// comes back to life. Everything cached carries the handle that it was cached under.
//
// May use base and memory's words for witnesses. Thread-safe; is_still_assigned is one load.
#pragma once

#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>

#include "base/clock.h"
#include "base/slot.h"
#include "memory/mapped/unlocked_read.h"
#include "memory/witness.h"

namespace freshet::ownership {

class SliceHandle final : public memory::Witness {
 public:
  // Assigned until `deadline` (base::now()'s clock), unless extended or revoked.
  SliceHandle(base::SlotRange range, std::uint64_t period, base::Nanoseconds deadline)
      : Witness(memory::WitnessKind::slice), range_(range), period_(period), deadline_(deadline) {}

  base::SlotRange range() const { return range_; }
  std::uint64_t period() const { return period_; }
  base::Nanoseconds deadline() const { return deadline_.load(std::memory_order_acquire); }

  // True if the slice was this node's throughout, up to `now`, which the caller read from the clock itself during its
  // operation: a flag kept by another thread proves nothing after a pause.
  bool is_still_assigned(base::Nanoseconds now) const { return now < deadline_.load(std::memory_order_acquire); }

  // The same of the witness that a reader without a lock found at an entry, and which may have ended since: the answer
  // counts only if the entry was there throughout (memory/unlocked_reader.h), for entries keep their witnesses.
  FRESHET_UNLOCKED_READ static bool seems_still_assigned(const memory::Witness* witness, base::Nanoseconds now) {
    return now < memory::peek(static_cast<const SliceHandle*>(witness)->deadline_);
  }

  // Moves the deadline forward, after a renewal that was sent at deadline - lease + margin. A deadline that has passed ends
  // the period for good: returns false if the handle is revoked, or was already past its deadline at `now`.
  bool extend(base::Nanoseconds deadline, base::Nanoseconds now) {
    auto current = deadline_.load(std::memory_order_acquire);
    while (now < current) {
      if (deadline <= current) return true;
      if (deadline_.compare_exchange_weak(current, deadline, std::memory_order_acq_rel)) return true;
    }
    return false;
  }

  // Ends the period now and for good.
  void revoke() { deadline_.store(kRevoked, std::memory_order_release); }

 private:
  static constexpr base::Nanoseconds kRevoked = INT64_MIN;

  const base::SlotRange range_;
  const std::uint64_t period_;
  std::atomic<base::Nanoseconds> deadline_;
};

using SliceRef = boost::intrusive_ptr<SliceHandle>;

}  // namespace freshet::ownership
