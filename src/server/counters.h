// Counters of one worker. Only its own thread writes them; any thread may read them: plain adds, no shared cache line on the
// way of a command. May use base.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <vector>

#include "base/clock.h"

namespace freshet::server {

class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void reset() { value_.store(0, std::memory_order_relaxed); }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Durations in buckets whose bounds are powers of two of a microsecond: up to 1 us, 2 us, 4 us … and one for the rest.
class LatencyHistogram {
 public:
  static constexpr int kBuckets = 25;  // The last bounded one ends at 8.4 s.

  void record(base::Nanoseconds duration, std::uint64_t times = 1) {
    const auto us = static_cast<std::uint64_t>(duration > 0 ? (duration - 1) / base::kMicrosecond : 0);
    const int bucket = std::bit_width(us);
    buckets_[static_cast<std::size_t>(bucket < kBuckets ? bucket : kBuckets - 1)].add(times);
    sum_ns_.add(static_cast<std::uint64_t>(duration > 0 ? duration : 0) * times);
  }
  void reset() {
    for (auto& bucket : buckets_) bucket.reset();
    sum_ns_.reset();
  }
  std::uint64_t bucket(int i) const { return buckets_[static_cast<std::size_t>(i)].get(); }
  std::uint64_t sum_ns() const { return sum_ns_.get(); }
  // The upper bound of a bucket but the last, in seconds.
  static double bound_seconds(int i) { return static_cast<double>(1ull << i) * 1e-6; }

 private:
  std::array<Counter, kBuckets> buckets_;
  Counter sum_ns_;
};

struct CommandCounters {
  Counter calls;
  Counter rejected;  // Refused before the command ran: arity, no authentication.
  Counter failed;    // Answered with an error.
};

struct WorkerCounters {
  explicit WorkerCounters(std::size_t commands_known) : commands(commands_known) {}

  std::vector<CommandCounters> commands;  // By their index in the table.
  Counter unknown_commands;
  Counter connections;
  Counter connections_rejected;
  Counter protocol_errors;
  Counter limit_closes;        // Clients closed for passing a limit.
  Counter input_bytes;
  Counter output_bytes;
  Counter keyspace_hits;       // Keys that reads found, and did not find (present or not; not cached or not).
  Counter keyspace_misses;
  Counter recorded_accesses;   // Sent to connections that record,
  Counter recording_dropped;   // and those that they could not take.
  LatencyHistogram immediate;  // Commands that were answered from memory at once.
  LatencyHistogram waited;     // Commands that waited for storage.

  void reset() {
    for (auto& command : commands) {
      command.calls.reset();
      command.rejected.reset();
      command.failed.reset();
    }
    for (auto* counter : {&unknown_commands, &connections, &connections_rejected, &protocol_errors, &limit_closes,
                          &input_bytes, &output_bytes, &keyspace_hits, &keyspace_misses, &recorded_accesses,
                          &recording_dropped}) {
      counter->reset();
    }
    immediate.reset();
    waited.reset();
  }
};

}  // namespace freshet::server
