// The embedded database's clock: this machine's wall clock, held back from stepping backwards while the storage is open.
// A step forward is taken as it comes. May use base only.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace freshet::storage::embedded {

class DatabaseClock {
 public:
  // Milliseconds since 1970; never less than what any call that ended before this one returned.
  std::int64_t now_ms() {
    const std::int64_t wall = base::wall_ms();
    std::int64_t last = last_ms_.load();
    while (last < wall && !last_ms_.compare_exchange_weak(last, wall)) {
    }
    return std::max(last, wall);
  }

 private:
  std::atomic<std::int64_t> last_ms_ = 0;
};

}  // namespace freshet::storage::embedded
