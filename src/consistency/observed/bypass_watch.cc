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
    : loop_(loop), specs_(std::move(specs)), drop_(std::move(drop)) {
  loop_.run([&] {
    storage_ = make_storage(loop_);
    storage_->follow(*this);
  });
}

void BypassWatch::stop() {
  loop_.run([this] {
    *alive_ = false;
    storage_.reset();
  });
}

BypassStats BypassWatch::stats() const { return {watching_, transactions_, rows_}; }

// What the stream did not tell may have got past.
void BypassWatch::on_stream_started(const storage::StreamStart& start) {
  watching_ = true;
  if (start.continuous) return;
  held_.clear();
  for (const auto& spec : specs_) drop_(spec.name, {});
}

void BypassWatch::on_begin(storage::Xid xid, storage::Lsn) {
  arriving_ = {xid, {}};
  passed_.clear();
}

void BypassWatch::on_message(std::string_view prefix, std::string_view content) {
  if (prefix != storage::kPassedPrefix) return;
  for (auto& key : storage::read_passed(content)) passed_.insert(std::move(key));
}

void BypassWatch::on_change(const storage::Change& change) {
  if (change.kind == storage::Change::Kind::all) {
    add(change.collection, {});
  } else if (!passed_.contains(change.key)) {
    add(change.collection, std::string(change.key));
  }
}

void BypassWatch::add(storage::CollectionId collection, std::string key) {
  if (arriving_.keys.size() >= kBypassKeysMax) key.clear();
  const bool known = std::any_of(arriving_.keys.begin(), arriving_.keys.end(), [&](const auto& one) {
    return one.first == collection && one.second.empty();
  });
  if (!known) arriving_.keys.emplace_back(collection, std::move(key));
}

void BypassWatch::on_commit(storage::Xid, storage::Lsn end) {
  storage_->confirm(end);
  if (arriving_.keys.empty()) return;
  drop(arriving_);
  report(arriving_);
  held_.push_back(std::exchange(arriving_, {}));
  ask_what_is_visible();
}

void BypassWatch::drop(const Bypass& bypass) const {
  for (const auto& [collection, key] : bypass.keys) drop_(specs_[collection].name, key);
}

void BypassWatch::report(const Bypass& bypass) {
  transactions_.fetch_add(1, std::memory_order_relaxed);
  rows_.fetch_add(bypass.keys.size(), std::memory_order_relaxed);
  const auto& [collection, key] = bypass.keys.front();
  base::log_warning("consistency",
                    "transaction {} got past Freshet: it changed {}{}, without passing the guard. What it touched was "
                    "dropped from memory; hits may have been stale until now. Find that writer: only a seal keeps such out",
                    bypass.xid, key.empty() ? fmt::format("rows of {}", specs_[collection].table) : key,
                    bypass.keys.size() > 1 ? fmt::format(" and {} more", bypass.keys.size() - 1) : "");
}

// Nothing is lost with what is confirmed: a node that starts has nothing cached.
void BypassWatch::on_position(storage::Lsn received) { storage_->confirm(received); }

void BypassWatch::on_stream_broken(const std::string&) {
  watching_ = false;
  arriving_ = {};
}

void BypassWatch::on_described(const storage::Description&) {}

void BypassWatch::ask_what_is_visible() {
  if (std::exchange(asking_, true)) return;
  storage_->probe(base::now() + kProbeDeadline, [this, alive = alive_](const Result<storage::ProbeReply>& reply) {
    if (*alive) on_probe(reply);
  });
}

void BypassWatch::on_probe(const Result<storage::ProbeReply>& reply) {
  asking_ = false;
  if (reply) {
    std::erase_if(held_, [&](const Bypass& bypass) {
      if (!reply->snapshot.shows(bypass.xid)) return false;
      drop(bypass);
      return true;
    });
  }
  if (held_.empty()) return;
  loop_.after(kProbePeriod, [this, alive = alive_] {
    if (*alive) ask_what_is_visible();
  });
}

}  // namespace freshet::consistency
