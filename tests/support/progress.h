// Waiting for a load to get on. May use base.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "base/clock.h"

namespace freshet::testing {

// Waits until the counter has grown by `count`; false after `timeout`.
inline bool wait_for_more(const std::atomic<std::uint64_t>& counter, std::uint64_t count, base::Nanoseconds timeout) {
  constexpr auto kPoll = std::chrono::milliseconds(5);
  const auto goal = counter + count;
  const auto deadline = base::now() + timeout;
  while (counter < goal) {
    if (base::now() > deadline) return false;
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

}  // namespace freshet::testing
