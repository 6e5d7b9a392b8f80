// Recording traffic (FRESHET.RECORD): which keys a recording takes, and each worker's part in collecting their accesses.
//
// A recording belongs to the connection that asked for it and ends with it. Every worker collects on its own thread and
// hands batches to the recording connection's worker. What is under way is bounded; beyond it accesses are dropped, and
// their number travels with the next batch. Nobody who records costs a command nothing but the look that nobody does.
// May use net and protocol.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "freshet/result.h"
#include "net/loop.h"
#include "server/counters.h"
#include "server/recorded_access.h"
#include "server/siphash.h"

namespace freshet::server {

// Recordings at a time.
inline constexpr std::size_t kRecordingsMax = 4;
// A worker hands its accesses over once it has so many, or this period has passed.
inline constexpr std::size_t kRecordingBatchAccesses = 4096;
inline constexpr base::Nanoseconds kRecordingPeriod = 100 * base::kMillisecond;
// Batches of one worker on their way to the recording connection, and what may wait there to be sent: beyond, accesses are
// dropped.
inline constexpr int kRecordingBatchesMax = 16;
inline constexpr std::size_t kRecordingOutputBytesMax = 4 << 20;

// What a recording takes, and how it names it. Its secrets are drawn for it and kept nowhere else: keys cannot be looked up
// in what it sends, and two recordings name one key differently.
class Recording {
 public:
  // `rate`: the share of keys, above 0 and at most 1.
  Recording(std::uint64_t client_id, double rate);

  // All accesses of a key, or none.
  bool takes(std::string_view key) const;
  RecordedAccess describe(AccessKind kind, std::string_view key, std::size_t value_bytes, base::Nanoseconds now) const;

  const std::uint64_t client;
  // The client has been told that it records: batches may be sent.
  std::atomic<bool> open{false};

 private:
  const std::uint64_t below_;  // Hashes up to it are taken.
  const std::uint64_t sampling_secret_;
  const SipKey naming_secret_;
  const base::Nanoseconds to_wall_;  // Added to base::now(): since 1970.
};

// The recordings there are. Thread-safe.
class Recordings {
 public:
  // Errors: busy.
  Result<std::shared_ptr<Recording>> start(std::uint64_t client, double rate);
  void end(std::uint64_t client);
  // Those for which every worker collects.
  std::size_t count() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Recording>> recordings_;
};

// Between a worker and a recording connection.
struct RecordingWay {
  std::atomic<int> batches{0};            // On their way.
  std::atomic<std::uint64_t> dropped{0};  // Accesses of those that the connection had no room for: to be told with the next.
};

// What a worker hands to a recording connection, which counts it off.
struct RecordingBatch {
  std::vector<char> records;
  std::uint64_t dropped = 0;  // Since the worker's last batch.
  std::shared_ptr<RecordingWay> way;

  std::size_t accesses() const { return records.size() / kRecordedAccessBytes; }
};

// A worker's part in all recordings. On the worker's thread only.
class AccessRecorder {
 public:
  using Deliver = std::function<void(std::uint64_t client, RecordingBatch batch)>;
  AccessRecorder(net::Loop& loop, WorkerCounters& counters, Deliver deliver);

  bool any() const { return !taps_.empty(); }
  void join(std::shared_ptr<Recording> recording);
  void leave(std::uint64_t client);
  // Every recording has ended: the worker stops.
  void clear();
  void record(AccessKind kind, std::string_view key, std::size_t value_bytes, base::Nanoseconds now);

 private:
  struct Tap {
    std::shared_ptr<Recording> recording;
    std::vector<char> records;
    std::uint64_t dropped = 0;
    std::shared_ptr<RecordingWay> way;
  };

  void append(Tap& tap, const RecordedAccess& access);
  void hand_over(Tap& tap);

  net::Loop& loop_;
  WorkerCounters& counters_;
  const Deliver deliver_;
  std::vector<Tap> taps_;
  std::unique_ptr<net::Timer> timer_;  // While there are any.
};

}  // namespace freshet::server
