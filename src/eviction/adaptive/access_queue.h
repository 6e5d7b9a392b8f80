// Sampled accesses, on their way from the threads that make them to the one that tries policies on them. Bounded: what finds
// it full is dropped and counted, for a sample may lose some. Thread-safe. May use base and memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "base/spin_lock.h"
#include "memory/access_listener.h"

namespace freshet::eviction::adaptive {

class AccessQueue final : public memory::AccessListener {
 public:
  static constexpr std::size_t kAccessesMax = 4096;

  AccessQueue() {
    waiting_.reserve(kAccessesMax);
    taken_.reserve(kAccessesMax);
  }

  void on_access(const memory::KeyAccess& access) override {
    const std::lock_guard hold(lock_);
    if (waiting_.size() == kAccessesMax) {
      ++dropped_;
    } else {
      waiting_.push_back(access);
    }
  }

  // What has come, in order; valid until the next call. By one thread at a time.
  const std::vector<memory::KeyAccess>& take() {
    taken_.clear();
    const std::lock_guard hold(lock_);
    std::swap(waiting_, taken_);
    return taken_;
  }
  std::uint64_t dropped() const {
    const std::lock_guard hold(lock_);
    return dropped_;
  }

 private:
  mutable base::SpinLock lock_;  // Held for some nanoseconds, for a hundredth of the accesses or fewer.
  std::vector<memory::KeyAccess> waiting_;
  std::vector<memory::KeyAccess> taken_;
  std::uint64_t dropped_ = 0;
};

}  // namespace freshet::eviction::adaptive
