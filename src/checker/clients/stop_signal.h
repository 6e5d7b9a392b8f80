// Asks the threads of a load to stop, and lets those that must pause be woken by it. Thread-safe. May use base.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/clock.h"

namespace freshet::checker {

class StopSignal {
 public:
  bool requested() const { return requested_.load(std::memory_order_relaxed); }
  void request() {
    std::lock_guard lock(mutex_);
    requested_.store(true, std::memory_order_relaxed);
    changed_.notify_all();
  }
  // Returns at the deadline, or as soon as a stop is requested.
  void wait_until(base::Nanoseconds deadline) {
    std::unique_lock lock(mutex_);
    while (!requested() && base::now() < deadline) {
      const base::Nanoseconds left = deadline - base::now();
      changed_.wait_for(lock, std::chrono::nanoseconds(left > base::kSecond ? base::kSecond : left));
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> requested_{false};
};

}  // namespace freshet::checker
