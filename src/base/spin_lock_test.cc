// Tests of base/spin_lock.h: exclusion between threads.
#include "base/spin_lock.h"

#include <gtest/gtest.h>

#include <mutex>
#include <thread>
#include <vector>

namespace freshet::base {
namespace {

TEST(SpinLock, ExcludesThreads) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 20'000;
  SpinLock lock;
  long first = 0;
  long second = 0;  // Equal to `first` whenever the lock is free.
  bool torn = false;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kRounds; ++i) {
          std::lock_guard hold(lock);
          torn |= first != second;
          ++first;
          ++second;
        }
      });
    }
  }
  EXPECT_FALSE(torn);
  EXPECT_EQ(first, static_cast<long>(kThreads) * kRounds);
}

}  // namespace
}  // namespace freshet::base
