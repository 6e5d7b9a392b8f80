// The session's part in recordings: noting what its commands access, and, if it records itself, sending the batches.
#include <algorithm>

#include "server/server.h"
#include "server/session.h"
#include "server/worker.h"

namespace freshet::server {

void Session::expect_access(std::string_view key) {
  // Commands of a transaction answer in another order.
  if (worker_.recorder().any() && !run_) expected_accesses_.emplace_back(key);
}

void Session::access_answered(AccessKind kind, std::size_t value_bytes) {
  if (run_) return;
  if (accesses_answered_ >= expected_accesses_.size()) return;  // Nobody recorded when the command began.
  worker_.recorder().record(kind, expected_accesses_[accesses_answered_++], value_bytes, now_);
  if (accesses_answered_ == expected_accesses_.size()) forget_accesses();
}

void Session::forget_accesses() {
  std::vector<std::string>().swap(expected_accesses_);  // One command may have had a million keys.
  accesses_answered_ = 0;
}

void Session::start_recording(std::shared_ptr<Recording> recording) { recording_ = std::move(recording); }

void Session::begin_batches() { recording_->open = true; }

void Session::stop_recording() {
  if (!recording_) return;
  recording_.reset();
  worker_.server().end_recording(info_.id);
}

void Session::hear_recorded(const RecordingBatch& batch) {
  --batch.way->batches;
  // Of an earlier recording of this connection, perhaps, which RESET ended.
  if (!recording_ || !recording_->open || closing_) return;
  const std::size_t room = std::min(kRecordingOutputBytesMax, worker_.server().options().output_buffer_bytes_max / 2);
  if (out_.size() + batch.records.size() > room) {
    batch.way->dropped += batch.dropped + batch.accesses();
    worker_.counters().recording_dropped.add(batch.accesses());
    return;
  }
  worker_.lend(in_, out_);
  reply_.push(3);
  reply_.bulk(kRecordedBatch);
  reply_.integer(static_cast<std::int64_t>(batch.dropped));
  reply_.bulk({batch.records.data(), batch.records.size()});
  worker_.counters().recorded_accesses.add(batch.accesses());
  send_push();
}

}  // namespace freshet::server
