// A shard's sequence: whether it has changed since a reader without its lock began. Odd while a change is made, and two
// higher after each. (The idea is Linux's seqlock.) 64 bits, so that it does not come round while a reader sleeps.
//
// Why a reader that finds it unchanged has read nothing of a change: if any of its loads saw bytes that were written after a
// change had begun, in the shard itself or in memory that the change gave back and somebody took again, then the release
// fence before that writing (begin_change; or BlockPool::allocate and SegmentPool::take, which come after the change by way
// of the pool's locks) meets the acquire fence in is_still(), and the load behind it sees the change. May use the standard
// library only.
#pragma once

#include <atomic>
#include <cstdint>

namespace freshet::memory {

// The thread sanitizer knows no fences, and GCC warns of it. It sees none of the reads that these order either
// (memory/mapped/unlocked_read.h).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif
inline void release_fence() { __atomic_thread_fence(__ATOMIC_RELEASE); }
inline void acquire_fence() { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

class Sequence {
 public:
  using Value = std::uint64_t;

  // For who holds the shard's lock.
  void begin_change() {
    value_.store(value_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    release_fence();
  }
  void end_change() { value_.store(value_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  // For who does not.
  Value now() const { return value_.load(std::memory_order_acquire); }
  static bool is_changing(Value value) { return value % 2 != 0; }
  bool is_still(Value value) const {
    acquire_fence();
    return value_.load(std::memory_order_relaxed) == value;
  }

 private:
  std::atomic<Value> value_{0};
};

}  // namespace freshet::memory
