// For tests: time that moves only when something happens, and what is to happen. One thread, repeatable from a seed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "base/clock.h"

namespace freshet::consistency::simulated {

class VirtualTime {
 public:
  base::Nanoseconds now() const { return now_; }
  // In the order of their moments, and of being asked for.
  void at(base::Nanoseconds moment, std::function<void()> event) {
    events_.emplace(std::pair(moment < now_ ? now_ : moment, ++asked_), std::move(event));
  }
  void after(base::Nanoseconds delay, std::function<void()> event) { at(now_ + delay, std::move(event)); }
  // Lets the next thing happen; false: there is none.
  bool step() {
    if (events_.empty()) return false;
    auto next = events_.extract(events_.begin());
    // Each event has a moment of its own, so that the history has an order.
    now_ = next.key().first > now_ ? next.key().first : now_ + 1;
    next.mapped()();
    return true;
  }

 private:
  base::Nanoseconds now_ = base::kSecond;
  std::uint64_t asked_ = 0;
  std::map<std::pair<base::Nanoseconds, std::uint64_t>, std::function<void()>> events_;
};

}  // namespace freshet::consistency::simulated
