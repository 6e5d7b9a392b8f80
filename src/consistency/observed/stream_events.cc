// What the tracker does when the stream starts, breaks, or means something else than before. See
// consistency/observed/tracker.h.
#include <fmt/format.h>

#include "consistency/observed/tracker.h"

namespace freshet::consistency {

void Tracker::on_stream_started(const storage::StreamStart& start) {
  if (!start.continuous) forget_everything();
  if (start.identity != context_.identity) newest_begun_.reset();
  context_.streaming = true;
  context_.identity = start.identity;
  if (!start.continuous) begin_start_rule(start.first_xid);
  if (!collections_.all_active()) probes_.nudge();
  reads_.resume();
  advance();
}

// Transactions, positions and snapshots of before mean nothing any more, or may have been lost.
void Tracker::forget_everything() {
  collections_.end_all_epochs();
  fills_.void_all();
  held_.forget();
  entries_.forget();
  newest_ = {};
  history_since_ = context_.host.now();
  context_.received = 0;
  last_commit_ = 0;
  confirmed_ = 0;
  context_.published.forget_proof();
  if (context_.watcher) context_.watcher->on_everything_changed();
}

// What was held may be forgotten, and what was told may not have been understood, while the stream goes on: those
// transactions are not told again.
void Tracker::begin_start_rule(storage::FullXid first) {
  StartRule::Told told{newest_begun_, std::nullopt};
  if (held_.is_gathering()) told.arriving = held_.arriving();
  start_rule_.begin(first, told);
  start_rule_since_ = context_.host.now();
}

void Tracker::on_stream_broken(const std::string& why) {
  context_.streaming = false;
  // The server may have crashed, and use xids again that an earlier snapshot shows as finished: a change would be applied
  // before it is visible. The next snapshot says what is.
  newest_ = {};
  context_.published.forget_proof();
  held_.abandon();
  fills_.void_all();
  entries_.drop_unpassed();
  if (context_.watcher) context_.watcher->on_everything_changed();
  probes_.give_up(Error::of(ErrorCode::unavailable, "the change stream is broken: " + why));
  advance();
}

// Tables that were published anew are like a slot that was created anew: what was committing then may never be delivered.
void Tracker::on_described(const storage::Description& description) {
  const std::vector<storage::CollectionId> changed = collections_.describe(description);
  for (const storage::CollectionId id : changed) {
    fills_.void_collection(id);
    held_.blur(id);
    if (context_.watcher) context_.watcher->on_collection_changed(context_.specs[id].name);
  }
  if (!changed.empty()) begin_start_rule(description.first_xid);
  if (context_.streaming && !collections_.all_active()) probes_.nudge();
  fills_.resume();
  reads_.resume();
  advance();
}

}  // namespace freshet::consistency
