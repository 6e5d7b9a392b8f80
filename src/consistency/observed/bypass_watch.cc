// See consistency/observed/bypass_watch.h.
#include "consistency/observed/bypass_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "storage/passed_keys.h"

namespace freshet::consistency {
namespace {

// While something that was told is not visible yet.
constexpr base::Nanoseconds kProbePeriod = 5 * base::kMillisecond;
constexpr base::Nanoseconds kProbeDeadline = 2 * base::kSecond;

}  // namespace

BypassWatch::BypassWatch(net::Loop& loop, const MakeStorage& make_storage, std::vector<storage::CollectionSpec> specs,
                         Drop drop)
    : loop_(loop), specs_(specs), watched_(specs.size(), true), drop_(std::move(drop)) {
  loop_.run([&] {
    storage_ = make_storage(loop_);
    storage_->follow(*this);
    look_again();
  });
}

void BypassWatch::stop() {
  loop_.run([this] {
    *alive_ = false;
    storage_.reset();
  });
}

void BypassWatch::watch(const std::vector<storage::CollectionSpec>& specs) {
  loop_.run([&] {
    watched_.assign(specs_.size(), false);
    for (const auto& spec : specs) {
      const auto id = specs_.find_or_add(spec);
      if (!id) {
        base::log_warning("consistency", "{} is not watched: the collections of this process have been changed too often. "
                          "Restart Freshet", spec.table);
        continue;
      }
      watched_.resize(specs_.size(), false);
      watched_[*id] = true;
    }
    storage_->describe(specs_.described(watched_));
  });
}

BypassStats BypassWatch::stats() const { return {watching_, transactions_, rows_}; }

// What the stream did not tell may have got past: now, and until whatever was under way has ended.
void BypassWatch::on_stream_started(const storage::StreamStart& start) {
  streaming_ = true;
  if (start.continuous) return note_watching();
  held_.clear();
  held_keys_ = 0;
  untold_below_ = start.first_xid;
  doubt_everything();
}

void BypassWatch::on_described(const storage::Description& description) {
  faulty_ = false;
  for (std::size_t id = 0; id < watched_.size(); ++id) {
    const bool known = id < description.collections.size() && !description.collections[id].fault;
    faulty_ |= watched_[id] && !known;
  }
  if (description.fingerprint == fingerprint_) return note_watching();
  fingerprint_ = description.fingerprint;
  untold_below_ = std::max(untold_below_, description.first_xid);
  doubt_everything();
}

// Until what was under way has ended, as far as that is known.
void BypassWatch::doubt_everything() {
  note_watching();
  drop_all();
  ask_what_is_visible();
}

void BypassWatch::note_watching() {
  const bool watches = streaming_ && !faulty_ && untold_below_ == 0;
  if (watching_.exchange(watches) && !watches) {
    base::log_warning("consistency", "guarded tables are not watched: writes that get past Freshet go unnoticed meanwhile");
  }
}

void BypassWatch::on_begin(storage::Xid xid, storage::Lsn) {
  arriving_ = {};
  arriving_.xids.push_back(xid);
  passed_.clear();
}

void BypassWatch::on_message(std::string_view prefix, std::string_view content) {
  if (prefix != storage::kPassedPrefix) return;
  for (auto& key : storage::read_passed(content)) passed_.insert(std::move(key));
}

// Until the storage knows that a collection rests, it tells of it.
void BypassWatch::on_change(const storage::Change& change) {
  if (!watched_[change.collection]) return;
  if (change.kind == storage::Change::Kind::all || !passed_.contains(change.key)) add(change.collection, change.key);
}

void BypassWatch::add(storage::CollectionId collection, std::string_view key) {
  ++arriving_.rows;
  if (arriving_.whole.contains(collection)) return;
  if (key.empty() || arriving_.keys.size() >= kBypassKeysMax) {
    arriving_.whole.insert(collection);
  } else {
    arriving_.keys.emplace(collection, key);
  }
}

void BypassWatch::on_commit(storage::Xid, storage::Lsn end) {
  storage_->confirm(end);
  if (arriving_.empty()) return;
  drop(arriving_);
  report(arriving_);
  hold(std::exchange(arriving_, {}));
  ask_what_is_visible();
}

// Too many together: any key of their collections, once all of them are visible.
void BypassWatch::hold(Bypass bypass) {
  if (held_keys_ + bypass.keys.size() <= kBypassKeysMax) {
    held_keys_ += bypass.keys.size();
    return held_.push_back(std::move(bypass));
  }
  held_.push_back(std::move(bypass));
  Bypass folded;
  for (const auto& one : held_) {
    folded.xids.insert(folded.xids.end(), one.xids.begin(), one.xids.end());
    for (const auto& [collection, key] : one.keys) folded.whole.insert(collection);
    folded.whole.insert(one.whole.begin(), one.whole.end());
  }
  held_.clear();
  held_.push_back(std::move(folded));
  held_keys_ = 0;
}

void BypassWatch::drop(const Bypass& bypass) const {
  for (const auto collection : bypass.whole) drop_(specs_[collection].name, {});
  for (const auto& [collection, key] : bypass.keys) drop_(specs_[collection].name, key);
}

void BypassWatch::drop_all() const {
  for (storage::CollectionId id = 0; id < watched_.size(); ++id) {
    if (watched_[id]) drop_(specs_[id].name, {});
  }
}

void BypassWatch::report(const Bypass& bypass) {
  transactions_.fetch_add(1, std::memory_order_relaxed);
  rows_.fetch_add(bypass.rows, std::memory_order_relaxed);
  const auto what = bypass.whole.empty() ? bypass.keys.begin()->second
                                         : fmt::format("rows of {}", specs_[*bypass.whole.begin()].table);
  base::log_warning("consistency",
                    "transaction {} got past Freshet: it changed {} ({} in all), without passing the guard. What it "
                    "touched was dropped from memory; hits may have been stale until now. Find that writer: only a seal "
                    "keeps such out",
                    bypass.xids.front(), what, bypass.rows);
}

// Nothing is lost with what is confirmed: a node that starts has nothing cached.
void BypassWatch::on_position(storage::Lsn received) { storage_->confirm(received); }

void BypassWatch::on_stream_broken(const std::string&) {
  streaming_ = false;
  note_watching();
  arriving_ = {};
}

// What stands behind the collections may be changed without a word in the stream.
void BypassWatch::look_again() {
  ask_what_is_visible();
  loop_.after(kBypassLookPeriod, [this, alive = alive_] {
    if (*alive) look_again();
  });
}

void BypassWatch::ask_what_is_visible() {
  if (std::exchange(asking_, true)) return;
  storage_->probe(base::now() + kProbeDeadline, [this, alive = alive_](const Result<storage::ProbeReply>& reply) {
    if (*alive) on_probe(reply);
  });
}

void BypassWatch::on_probe(const Result<storage::ProbeReply>& reply) {
  asking_ = false;
  if (!reply) return;
  if (reply->fingerprint != fingerprint_) storage_->reload();
  std::erase_if(held_, [&](const Bypass& bypass) {
    const auto is_visible = [&](storage::Xid xid) { return reply->snapshot.shows(xid); };
    if (!std::all_of(bypass.xids.begin(), bypass.xids.end(), is_visible)) return false;
    drop(bypass);
    held_keys_ -= std::min(held_keys_, bypass.keys.size());
    return true;
  });
  if (untold_below_ != 0 && reply->snapshot.xmin() >= untold_below_) {
    untold_below_ = 0;
    drop_all();
    note_watching();
  }
  if (held_.empty() && untold_below_ == 0) return;
  loop_.after(kProbePeriod, [this, alive = alive_] {
    if (*alive) ask_what_is_visible();
  });
}

}  // namespace freshet::consistency
