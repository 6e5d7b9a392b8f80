// A lock of four bytes for critical sections of nanoseconds: memory's shards, on the path of every hit. Taking and releasing
// it is one atomic exchange and one store (std::mutex needs two exchanges and, in a library, a call); a waiter spins briefly
// and then lets others run, because the holder may have lost its processor.
//
// Hold it over memory operations only: never over I/O, another lock or a wait. For std::lock_guard. Uses nothing else.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>

namespace freshet::base {

class SpinLock {
 public:
  SpinLock() = default;
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  void lock() {
    if (taken_.exchange(1, std::memory_order_acquire) != 0) [[unlikely]] wait();
  }
  void unlock() { taken_.store(0, std::memory_order_release); }

 private:
  // About a microsecond of looking; longer than a hit holds the lock, shorter than a switch of threads.
  static constexpr int kSpinsBeforeYield = 100;

  [[gnu::noinline]] void wait() {
    int spins = 0;
    do {
      while (taken_.load(std::memory_order_relaxed) != 0) {
        if (++spins < kSpinsBeforeYield) {
          pause();
        } else {
          sched_yield();
        }
      }
    } while (taken_.exchange(1, std::memory_order_acquire) != 0);
  }

  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");
#endif
  }

  std::atomic<std::uint32_t> taken_{0};
};

}  // namespace freshet::base
