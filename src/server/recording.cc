// Sampling, naming, and the batches.
#include "server/recording.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/random.h"

namespace freshet::server {
namespace {

std::uint64_t hashes_below(double rate) {
  return rate >= 1 ? UINT64_MAX : static_cast<std::uint64_t>(std::ldexp(rate, 64));
}

constexpr std::size_t kBatchBytes = kRecordingBatchAccesses * kRecordedAccessBytes;

}  // namespace

Recording::Recording(std::uint64_t client_id, double rate)
    : client(client_id),
      below_(hashes_below(rate)),
      sampling_secret_(base::entropy()),
      naming_secret_{base::entropy(), base::entropy()},
      to_wall_(base::wall_ms() * base::kMillisecond - base::now()) {}

bool Recording::takes(std::string_view key) const {
  return below_ == UINT64_MAX || XXH3_64bits_withSeed(key.data(), key.size(), sampling_secret_) < below_;
}

RecordedAccess Recording::describe(AccessKind kind, std::string_view key, std::size_t value_bytes,
                                   base::Nanoseconds now) const {
  const auto size = static_cast<std::uint32_t>(key.size() + value_bytes);  // Far below its limit: 512 MiB and 8 KiB.
  return {siphash(naming_secret_, key), (now + to_wall_) / base::kMicrosecond, size, kind};
}

Result<std::shared_ptr<Recording>> Recordings::start(std::uint64_t client, double rate) {
  const std::lock_guard lock(mutex_);
  if (recordings_.size() >= kRecordingsMax) {
    return Error::of(ErrorCode::busy, fmt::format("{} connections record already, and no more may", kRecordingsMax),
                     "end one of them (CLIENT LIST shows them with the flag O)");
  }
  return recordings_.emplace_back(std::make_shared<Recording>(client, rate));
}

void Recordings::end(std::uint64_t client) {
  const std::lock_guard lock(mutex_);
  std::erase_if(recordings_, [&](const auto& each) { return each->client == client; });
}

std::size_t Recordings::count() const {
  const std::lock_guard lock(mutex_);
  const auto is_open = [](const auto& each) { return each->open.load(); };
  return static_cast<std::size_t>(std::count_if(recordings_.begin(), recordings_.end(), is_open));
}

AccessRecorder::AccessRecorder(net::Loop& loop, WorkerCounters& counters, Deliver deliver)
    : loop_(loop), counters_(counters), deliver_(std::move(deliver)) {}

void AccessRecorder::join(std::shared_ptr<Recording> recording) {
  taps_.push_back({std::move(recording), {}, 0, std::make_shared<RecordingWay>()});
  if (timer_) return;
  timer_ = std::make_unique<net::Timer>(loop_);
  timer_->start(
      kRecordingPeriod,
      [this] {
        for (auto& tap : taps_) hand_over(tap);
      },
      kRecordingPeriod);
}

void AccessRecorder::leave(std::uint64_t client) {
  std::erase_if(taps_, [&](const Tap& tap) { return tap.recording->client == client; });
  if (taps_.empty()) timer_.reset();
}

void AccessRecorder::clear() {
  taps_.clear();
  timer_.reset();
}

void AccessRecorder::record(AccessKind kind, std::string_view key, std::size_t value_bytes, base::Nanoseconds now) {
  for (auto& tap : taps_) {
    if (tap.recording->takes(key)) append(tap, tap.recording->describe(kind, key, value_bytes, now));
  }
}

void AccessRecorder::append(Tap& tap, const RecordedAccess& access) {
  if (tap.records.size() >= kBatchBytes) hand_over(tap);
  if (tap.records.size() >= kBatchBytes) {
    ++tap.dropped;
    counters_.recording_dropped.add();
    return;
  }
  if (tap.records.capacity() == 0) tap.records.reserve(kBatchBytes);
  const std::size_t at = tap.records.size();
  tap.records.resize(at + kRecordedAccessBytes);
  pack(access, &tap.records[at]);
}

void AccessRecorder::hand_over(Tap& tap) {
  if (!tap.recording->open || tap.way->batches >= kRecordingBatchesMax) return;
  tap.dropped += tap.way->dropped.exchange(0);
  if (tap.records.empty() && tap.dropped == 0) return;
  ++tap.way->batches;
  deliver_(tap.recording->client, {std::exchange(tap.records, {}), std::exchange(tap.dropped, 0), tap.way});
}

}  // namespace freshet::server
