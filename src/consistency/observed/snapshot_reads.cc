// Reads of several keys as of one moment. Every key is brought into the table, then a probe is sent; once it has proven
// itself the entries equal its snapshot, unless something went into one of them meanwhile that the snapshot does not show.
// Then again; after a few rounds storage reads all of them in one statement. See consistency/observed/reads.h.
#include <algorithm>
#include <utility>

#include "consistency/observed/read.h"

namespace freshet::consistency {

bool Reads::Touch::is_shown(const storage::Snapshot& snapshot) const {
  return filled ? !is_newer(*filled, snapshot) : snapshot.shows(xid);
}

void Reads::begin_snapshot(const ReadRef& read) {
  const bool overdue = context_.host.now() >= read->patience_at;
  if (!may_prove() || overdue || read->rounds >= context_.limits.snapshot_rounds_max) return read_together(read);
  ++read->rounds;
  read->uncached = false;
  // One more than there are keys, so that answers during the loop do not end it.
  read->open = 1;
  for (std::size_t index = 0; index < read->request.keys.size(); ++index) {
    const ObservedKey& key = read->request.keys[index];
    if (entries_->is_cached(key.collection, key.key, read->hashes[index])) continue;
    ++read->open;
    const bool queued =
        fills_->read(key.collection, key.key, read->hashes[index], read->request.deadline,
                     [this, read](const Result<FillAnswer>& answer) { on_snapshot_filled(read, answer); });
    if (queued) continue;
    ++context_.stats.busy_refusals;
    return finish(*read, Error::of(ErrorCode::busy, "too many keys wait to be read from the database", "try again later"));
  }
  if (--read->open == 0) probe_snapshot(read);
}

void Reads::on_snapshot_filled(const ReadRef& read, const Result<FillAnswer>& answer) {
  if (read->over || read->together) return;
  if (!answer) return fail(*read, answer.error());
  if (!answer->cached) read->uncached = true;
  if (--read->open > 0) return;
  if (read->uncached) {
    read_together(read);
  } else {
    probe_snapshot(read);
  }
}

void Reads::probe_snapshot(const ReadRef& read) {
  watch_entries(read);
  probe_or_park(read);
}

bool Reads::serve_snapshot(Read& read, const ProofRef& proof) {
  unwatch_entries(read);
  const bool one_moment = std::all_of(read.touches.begin(), read.touches.end(),
                                      [&](const Touch& touch) { return touch.is_shown(proof->snapshot); });
  std::vector<memory::EntryRef> entries;
  for (std::size_t index = 0; index < read.request.keys.size() && one_moment; ++index) {
    const ObservedKey& key = read.request.keys[index];
    memory::EntryRef entry = entries_->find(key.collection, key.key, read.hashes[index]);
    if (!entry) return false;
    entries.push_back(std::move(entry));
  }
  if (!one_moment) return false;
  read.open = entries.size();
  for (std::size_t index = 0; index < entries.size(); ++index) serve(read, index, *entries[index], 0, proof->position);
  return true;
}

void Reads::watch_entries(const ReadRef& read) {
  read->touches.clear();
  for (const std::uint64_t hash : read->hashes) watched_.emplace(hash, read.get());
}

void Reads::unwatch_entries(Read& read) {
  if (watched_.empty()) return;
  for (const std::uint64_t hash : read.hashes) {
    const auto [begin, end] = watched_.equal_range(hash);
    const auto found = std::find_if(begin, end, [&](const auto& one) { return one.second == &read; });
    if (found != end) watched_.erase(found);
  }
}

void Reads::on_entry_changed(std::uint64_t hash, storage::Xid xid) {
  if (watched_.empty()) return;
  const auto [begin, end] = watched_.equal_range(hash);
  for (auto one = begin; one != end; ++one) one->second->touches.push_back({xid, nullptr});
}

void Reads::on_entry_filled(std::uint64_t hash, const storage::Snapshot& snapshot) {
  if (watched_.empty()) return;
  const auto [begin, end] = watched_.equal_range(hash);
  const auto shared = begin == end ? nullptr : std::make_shared<const storage::Snapshot>(snapshot);
  for (auto one = begin; one != end; ++one) one->second->touches.push_back({0, shared});
}

void Reads::read_together(const ReadRef& read) {
  unwatch_entries(*read);
  read->together = true;
  together_waiting_.push_back(read);
  send_together();
}

// As many at once as there are fills.
void Reads::send_together() {
  while (!together_waiting_.empty() && together_in_flight_ < context_.limits.fill_statements_max) {
    const ReadRef read = std::move(together_waiting_.front());
    together_waiting_.pop_front();
    if (read->over) continue;
    ++together_in_flight_;
    std::vector<std::pair<storage::CollectionId, std::string>> keys;
    // The shapes are those of the statement: by the time of its answer a collection may be described anew.
    for (std::size_t index = 0; index < read->request.keys.size(); ++index) {
      const ObservedKey& key = read->request.keys[index];
      keys.emplace_back(key.collection, key.key);
      read->answers[index].shape = context_.published.shape_of(key.collection);
    }
    context_.storage.fill_together(std::move(keys), read->request.deadline,
                                   [this, read](Result<storage::FillReply> reply) {
                                     on_together(read, std::move(reply));
                                     context_.advance();
                                   });
  }
}

void Reads::on_together(const ReadRef& read, Result<storage::FillReply> reply) {
  --together_in_flight_;
  const std::vector<ObservedKey> keys = context_.watcher ? read->request.keys : std::vector<ObservedKey>();
  if (!read->over && !reply) fail(*read, reply.error());
  if (!read->over && reply && reply->outdated) {
    if (++read->outdated > context_.limits.outdated_rounds_max) return fail(*read, *reply->outdated);
    read->together = false;
    parked_.push_back(read);  // Until the next description.
    return;
  }
  if (!read->over && reply) {
    for (std::size_t index = 0; index < reply->values.size(); ++index) {
      storage::FilledValue& value = reply->values[index];
      if (value.error) break;
      ObservedAnswer& answer = read->answers[index];
      answer = {value.present, std::move(value.value), std::move(answer.shape), false, 0, reply->position};
    }
    const auto wrong = std::find_if(reply->values.begin(), reply->values.end(),
                                    [](const storage::FilledValue& value) { return value.error.has_value(); });
    if (wrong != reply->values.end()) {
      finish(*read, *wrong->error);
    } else {
      finish(*read, std::move(read->answers));
    }
  }
  // Nothing was collected for it, so whoever was answered must not keep what he got.
  for (const ObservedKey& key : keys) context_.watcher->on_changed(key.key);
}

}  // namespace freshet::consistency
