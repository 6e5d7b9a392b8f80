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
    const auto mine = stripe();
    auto& value = stripes_[mine].value;
    if (mine == kShared) {
      value.fetch_add(n, std::memory_order_relaxed);
    } else {
      value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
  }
  std::uint64_t sum() const {
    std::uint64_t total = 0;
    for (const auto& stripe : stripes_) total += stripe.value.load(std::memory_order_relaxed);
    return total;
  }

 private:
  static constexpr std::size_t kStripes = 32;
  static constexpr std::size_t kShared = kStripes - 1;
  struct alignas(64) Stripe {
    std::atomic<std::uint64_t> value{0};
  };

  static std::size_t stripe() {
    static std::atomic<std::size_t> next{0};
    thread_local const std::size_t mine = std::min(next.fetch_add(1, std::memory_order_relaxed), kShared);
    return mine;
  }

  std::array<Stripe, kStripes> stripes_;
};

}  // namespace freshet::base
