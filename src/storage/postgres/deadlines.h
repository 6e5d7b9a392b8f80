// Many moments, one timer: what is to happen at a deadline unless it is cancelled. On the loop's thread. May use net.
#pragma once

#include <functional>
#include <map>

#include "base/clock.h"
#include "net/loop.h"

namespace freshet::storage::postgres {

class Deadlines {
 public:
  using Moments = std::multimap<base::Nanoseconds, std::function<void()>>;
  // Names one moment until it has come or is cancelled.
  using Id = Moments::iterator;

  explicit Deadlines(net::Loop& loop) : timer_(loop) {}

  Id none() { return moments_.end(); }
  // kForever never comes: none().
  Id add(base::Nanoseconds moment, std::function<void()> action) {
    if (moment == base::kForever) return none();
    const auto id = moments_.emplace(moment, std::move(action));
    if (id == moments_.begin()) arm();
    return id;
  }
  void cancel(Id id) {
    if (id != none()) moments_.erase(id);
  }

 private:
  void arm() {
    if (!moments_.empty()) timer_.start(moments_.begin()->first - base::now(), [this] { run(); });
  }
  // The timer may be early: moments were cancelled, or the clock of the loop is coarser.
  void run() {
    const auto now = base::now();
    while (!moments_.empty() && moments_.begin()->first <= now) {
      auto action = std::move(moments_.begin()->second);
      moments_.erase(moments_.begin());
      action();
    }
    arm();
  }

  net::Timer timer_;
  Moments moments_;
};

}  // namespace freshet::storage::postgres
