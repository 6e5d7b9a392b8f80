// A counter that many threads add to without meeting on one cache line, and mostly without a locked instruction: each of the
// process's first threads has a stripe of its own, those that come later share one. Reading sums the stripes. May use
// nothing else.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace freshet::base {

class StripedCounter {
 public:
  void add(std::uint64_t n = 1) {
    const std::size_t mine = mine_;
    if (mine >= kShared) [[unlikely]] return add_slowly(n);
    auto& value = stripes_[mine].value;
    value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t sum() const {
    std::uint64_t total = 0;
    for (const auto& stripe : stripes_) total += stripe.value.load(std::memory_order_relaxed);
    return total;
  }

 private:
  static constexpr std::size_t kStripes = 32;
  static constexpr std::size_t kShared = kStripes - 1;
  static constexpr std::size_t kNone = kStripes;
  struct alignas(64) Stripe {
    std::atomic<std::uint64_t> value{0};
  };

  // A thread's first, or one of those that share a stripe.
  [[gnu::noinline]] void add_slowly(std::uint64_t n) {
    static std::atomic<std::size_t> next{0};
    if (mine_ == kNone) mine_ = std::min(next.fetch_add(1, std::memory_order_relaxed), kShared);
    stripes_[mine_].value.fetch_add(n, std::memory_order_relaxed);
  }

  static inline constinit thread_local std::size_t mine_ = kNone;

  std::array<Stripe, kStripes> stripes_;
};

}  // namespace freshet::base
