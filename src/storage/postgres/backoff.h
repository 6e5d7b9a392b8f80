// How long to wait before a lost connection is tried again. The first attempt after a good session is immediate; then waits
// double, each drawn between half and the whole. May use base.
#pragma once

#include <algorithm>

#include "base/clock.h"
#include "base/random.h"

namespace freshet::storage::postgres {

class Backoff {
 public:
  // A session that lasted so long was a good one.
  static constexpr base::Nanoseconds kGoodSession = base::kSecond;

  Backoff(base::Nanoseconds minimum, base::Nanoseconds maximum)
      : minimum_(minimum), maximum_(maximum), random_(base::entropy()) {}

  // A session has ended that had worked since then.
  void ended(base::Nanoseconds ready_since) {
    if (base::now() - ready_since >= kGoodSession) failures_ = 0;
  }
  // Before the next attempt.
  base::Nanoseconds next() {
    const int failures = failures_++;
    if (failures == 0) return 0;
    const auto wait = std::min(maximum_, minimum_ << std::min(failures - 1, kDoublingsMax));
    return wait / 2 + static_cast<base::Nanoseconds>(random_.below(static_cast<std::uint64_t>(wait / 2 + 1)));
  }

 private:
  static constexpr int kDoublingsMax = 16;

  const base::Nanoseconds minimum_;
  const base::Nanoseconds maximum_;
  base::Random random_;
  int failures_ = 0;
};

}  // namespace freshet::storage::postgres
