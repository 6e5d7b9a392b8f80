// What the server is told of the progress, and when: soon after it moves, but not for every transaction; often enough that
// the server never thinks the stream dead; at once if it asks. Pure. May use base's clock and storage's words.
#pragma once

#include <algorithm>

#include "base/clock.h"
#include "storage/snapshot.h"

namespace freshet::storage::postgres {

class Confirmation {
 public:
  // At most one status in so long. It bounds too how fast this and a server that shuts down ask and answer each other.
  static constexpr base::Nanoseconds kGapMin = 5 * base::kMillisecond;
  // At least one in a third of wal_sender_timeout, and in so long.
  static constexpr base::Nanoseconds kPeriodMax = 10 * base::kSecond;
  static constexpr int kPeriodsATimeout = 3;

  // A session begins, whose server keeps to `sender_timeout` (0: none). A status is due.
  void begin_session(base::Nanoseconds sender_timeout) {
    period_ = sender_timeout == 0 ? kPeriodMax : std::min(kPeriodMax, sender_timeout / kPeriodsATimeout);
    asked_ = true;
  }
  // What is confirmed is `position` and no more: another server, or another slot.
  void restart(Lsn position) { position_ = known_ = position; }
  void advance(Lsn position) { position_ = std::max(position_, position); }
  void ask() { asked_ = true; }
  void sent(base::Nanoseconds now) {
    known_ = position_;
    sent_at_ = now;
    asked_ = false;
  }

  Lsn position() const { return position_; }
  // The most that the server may know.
  Lsn known() const { return known_; }
  base::Nanoseconds next_at() const {
    const bool soon = asked_ || position_ > known_;
    return sent_at_ + (soon ? std::min(kGapMin, period_) : period_);
  }

 private:
  Lsn position_ = 0;
  Lsn known_ = 0;
  base::Nanoseconds period_ = kPeriodMax;
  base::Nanoseconds sent_at_ = 0;
  bool asked_ = false;
};

// Whether a server that asks for a status means to shut down: its walsender then asks again after every answer, until all
// that it sent is confirmed, and the shutdown waits for it. What is held back for a commit that is not visible can no longer
// be confirmed by then, since no session is left that could see it. Pure.
class ShutdownSign {
 public:
  static constexpr base::Nanoseconds kPatience = base::kSecond;
  static constexpr base::Nanoseconds kPauseMax = base::kSecond / 4;

  // The server asked, with more sent than was confirmed. True once it has asked without a pause for longer than patience.
  bool asked(base::Nanoseconds now) {
    if (now - last_ > kPauseMax) first_ = now;
    last_ = now;
    return now - first_ >= kPatience;
  }

 private:
  base::Nanoseconds first_ = 0;
  base::Nanoseconds last_ = -kPauseMax - 1;
};

}  // namespace freshet::storage::postgres
