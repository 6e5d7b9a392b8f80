// One policy at one size over a trace: the host of an exact policy. May use eviction/exact.
//
// A cached object keeps the size that it came in with; an object larger than the cache is not admitted; objects leave until
// the new one fits, then it comes in. A store brings its object in as a miss does, uncounted; one that is cached changes its
// size, which is no hit (the shadow caches hold it the same way). The policy's class is known here, so that the calls of a
// hit are inlined.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <utility>
#include <vector>

#include "eviction/exact/policy.h"
#include "eviction/exact/slots.h"
#include "simulator/request.h"

namespace freshet::simulator {

struct Counts {
  std::uint64_t misses = 0;
  std::uint64_t missed_bytes = 0;
  std::uint64_t peak_bytes = 0;  // The most that was cached at a time.
};

class Replay {
 public:
  virtual ~Replay() = default;
  virtual void run(const Block& block) = 0;
  virtual Counts counts() const = 0;
  virtual std::size_t overhead_bytes() const = 0;
};

// Reads every request and its fields, and does nothing with them.
class ReadOnly final : public Replay {
 public:
  void run(const Block& block) override {
    std::uint64_t lookups = 0, bytes = 0, read = 0;
    for (const Request& request : block.requests) {
      const bool erase = request.size == Request::kErase;
      lookups += erase ? 0 : 1;
      bytes += erase ? 0 : request.size;
      read ^= request.key + request.object;
    }
    for (const std::uint32_t store : block.stores) bytes -= block.requests[store].size;
    counts_.misses += lookups - block.stores.size();
    counts_.missed_bytes += bytes;
    read_ = read_ ^ read;
  }
  Counts counts() const override { return counts_; }
  std::size_t overhead_bytes() const override { return 0; }

 private:
  Counts counts_;
  volatile std::uint64_t read_ = 0;  // Volatile, so that the reading is not left out.
};

// What a host keeps beside the policy.
class Host {
 protected:
  using Slot = eviction::exact::Slot;
  static constexpr Slot kNoSlot = eviction::exact::kNoSlot;
  struct Cached {
    std::uint32_t object;
    std::uint32_t size;
  };

  Host(std::uint64_t capacity_bytes, std::uint32_t objects) : capacity_(capacity_bytes), slot_of_(objects, kNoSlot) {}

  static eviction::exact::Access access_of(const Request& request) {
    return {request.key, request.size, request.time_s, request.next};
  }
  // Stores are few beside reads: they go by the policy's interface, compiled once for all of them, and so leave the compiler
  // what it needs to inline a policy's hits and misses.
  void store(eviction::exact::Policy& policy, const Request& request);
  void release(Slot slot) {
    assert(slot != kNoSlot);
    slot_of_[cached_[slot].object] = kNoSlot;
    used_ -= cached_[slot].size;
    cached_.release(slot);
  }

  const std::uint64_t capacity_;
  std::uint64_t used_ = 0;
  Counts counts_;
  std::vector<Slot> slot_of_;  // By object; kNoSlot: not cached.
  eviction::exact::Slots<Cached> cached_;

 private:
  void resize(eviction::exact::Policy& policy, Slot slot, std::uint32_t size);
};

template <typename ExactPolicy>
class PolicyReplay final : public Replay, private Host {
 public:
  template <typename... Arguments>
  PolicyReplay(std::uint64_t capacity_bytes, std::uint32_t objects, Arguments&&... arguments)
      : Host(capacity_bytes, objects), policy_(std::forward<Arguments>(arguments)...) {
    policy_.set_capacity(capacity_);
  }

  void run(const Block& block) override {
    const Request* const requests = block.requests.data();
    const Request* const end = requests + block.requests.size();
    const Request* begin = requests;
    for (const std::uint32_t place : block.stores) {
      serve(begin, requests + place, end);
      store(policy_, requests[place]);
      begin = requests + place + 1;
    }
    serve(begin, end, end);
  }
  Counts counts() const override { return counts_; }
  std::size_t overhead_bytes() const override { return policy_.overhead_bytes(); }

 private:
  static constexpr std::ptrdiff_t kLookAhead = 16;  // Requests.

  // Up to `end`; the block has requests up to `block_end`.
  [[gnu::noinline]] void serve(const Request* request, const Request* end, const Request* block_end) {
    for (; request != end; ++request) {
      if (block_end - request > kLookAhead) __builtin_prefetch(&slot_of_[request[kLookAhead].object]);
      const Slot slot = slot_of_[request->object];
      if (request->size == Request::kErase) [[unlikely]] {
        if (slot != kNoSlot) erase(slot);
      } else if (slot != kNoSlot) {
        policy_.on_hit(slot, access_of(*request));
      } else {
        miss(*request);
      }
    }
  }

  [[gnu::noinline]] void miss(const Request& request) {
    ++counts_.misses;
    counts_.missed_bytes += request.size;
    const auto access = access_of(request);
    if (!policy_.on_miss(access) || request.size > capacity_) return;
    while (used_ + request.size > capacity_) release(policy_.take_victim());
    const Slot slot = cached_.take({request.object, request.size});
    slot_of_[request.object] = slot;
    used_ += request.size;
    counts_.peak_bytes = std::max(counts_.peak_bytes, used_);
    policy_.on_insert(slot, access);
  }

  void erase(Slot slot) {
    policy_.on_erase(slot);
    release(slot);
  }

  ExactPolicy policy_;
};

}  // namespace freshet::simulator
