// Reads of single keys, each by itself, and what all reads have in common. See consistency/observed/reads.h.
#include "consistency/observed/reads.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/slot.h"
#include "consistency/observed/read.h"

namespace freshet::consistency {
namespace {

// A token's transaction that still runs is looked for again after so long.
constexpr base::Nanoseconds kTokenPause = 2 * base::kMillisecond;

std::string asked(const ReadPromise& promise) {
  switch (promise.level) {
    case storage::Level::linearizable: return "linearizable";
    case storage::Level::session: return promise.token.to_text();
    case storage::Level::bounded: return fmt::format("{}ms", promise.bound / base::kMillisecond);
    case storage::Level::snapshot: return "snapshot";
    case storage::Level::any: return "any";
  }
  return "";
}

Error other_history(const SessionToken& token, const storage::Identity& identity) {
  return Error::of(ErrorCode::invalid_argument,
                   fmt::format("the token is of system {} timeline {}, and the database is system {} timeline {}",
                               token.system, token.timeline, identity.system, identity.timeline),
                   "take a new token; what the old one names may be lost");
}

}  // namespace

void Reads::start(ReadRequest request) {
  if (open() >= context_.limits.waiting_reads_max) {
    ++context_.stats.busy_refusals;
    request.done(Error::of(ErrorCode::busy, "too many reads wait for the database's change stream", "try again later"));
    return;
  }
  const base::Nanoseconds now = context_.host.now();
  const base::Nanoseconds time_left = std::max<base::Nanoseconds>(request.deadline - now, 0);
  auto read = std::make_shared<Read>(*this, std::move(request));
  for (const ObservedKey& key : read->request.keys) read->hashes.push_back(base::hash_of(key.key));
  read->patience_at = now + time_left / context_.limits.stream_patience_part;
  read->timer = timers_.emplace(read->patience_at, read);
  begin(read);
}

void Reads::begin(const ReadRef& read) {
  if (!collections_.described()) {
    parked_.push_back(read);
    return;
  }
  for (const ObservedKey& key : read->request.keys) {
    if (const auto& fault = collections_.fault(key.collection)) return finish(*read, *fault);
  }
  if (read->is_wait()) return probe_or_park(read);
  if (read->is_snapshot()) return begin_snapshot(read);
  read->open = read->request.keys.size();
  // A bounded read whose keys wait would be too old by then where it did not wait: all of it waits.
  const bool at_once = read->request.promise.level != storage::Level::bounded || may_serve_now(*read);
  for (std::size_t index = 0; index < read->request.keys.size() && !read->over; ++index) route(read, index, at_once);
  if (!read->over && !read->unproven.empty()) probe_or_park(read);
}

bool Reads::may_serve_now(const Read& read) const {
  const base::Nanoseconds now = context_.host.now();
  for (std::size_t index = 0; index < read.request.keys.size(); ++index) {
    const ObservedKey& key = read.request.keys[index];
    const memory::EntryRef entry = entries_->find(key.collection, key.key, read.hashes[index]);
    if (!entry || !context_.published.age_if_fresh(*entry, read.request.promise, now)) return false;
  }
  return true;
}

void Reads::route(const ReadRef& read, std::size_t index, bool at_once) {
  const ObservedKey& key = read->request.keys[index];
  const bool may_serve = at_once && !read->request.promise.needs_new_proof();
  const memory::EntryRef entry = may_serve ? entries_->find(key.collection, key.key, read->hashes[index]) : nullptr;
  if (entry && serve_now(*read, index, *entry)) return;
  if (may_prove() && entries_->is_cached(key.collection, key.key, read->hashes[index])) {
    read->unproven.push_back(index);
  } else {
    fill(read, index);
  }
}

// What the levels allow without waiting.
bool Reads::serve_now(Read& read, std::size_t index, const memory::Entry& entry) {
  const auto age = context_.published.age_if_fresh(entry, read.request.promise, context_.host.now());
  if (!age) return false;
  const ProofRef proof = context_.published.proof();
  serve(read, index, entry, *age, proof ? proof->position : 0);
  return true;
}

void Reads::serve(Read& read, std::size_t index, const memory::Entry& entry, base::Nanoseconds age, storage::Lsn position) {
  ++context_.stats.hits;
  const auto& epoch = static_cast<const CollectionEpoch&>(*entry.witness());
  read.answers[index] = {entry.present(), std::string(entry.value()), epoch.shape(), true, age,
                         std::max(position, entry.version())};
  close(read);
}

void Reads::fill(const ReadRef& read, std::size_t index) {
  const ObservedKey& key = read->request.keys[index];
  FillDone done = [this, read, index](const Result<FillAnswer>& answer) { on_filled(read, index, answer); };
  const bool queued =
      fills_->read(key.collection, key.key, read->hashes[index], read->request.deadline, std::move(done));
  if (queued) return;
  ++context_.stats.busy_refusals;
  finish(*read, Error::of(ErrorCode::busy, "too many keys wait to be read from the database", "try again later"));
}

void Reads::on_filled(const ReadRef& read, std::size_t index, const Result<FillAnswer>& answer) {
  if (read->over) return;
  if (!answer) return fail(*read, answer.error());
  const ReadPromise& promise = read->request.promise;
  const storage::FillReply& reply = answer->reply;
  if (promise.level == storage::Level::session && !promise.token.system.empty()) {
    if (!is_of(promise.token, reply.identity)) return finish(*read, other_history(promise.token, reply.identity));
    // A position was taken before the read; a transaction may still be running.
    if (promise.token.position == 0 && !reply.snapshot.shows(promise.token.xid)) {
      read->unproven.push_back(index);
      read->filled = true;
      return probe_or_park(read);
    }
  }
  read->answers[index] = {answer->present, answer->value, answer->shape, false, 0, reply.position};
  close(*read);
}

// Where nothing can be proven the database answers, except for what waits for a token.
void Reads::probe_or_park(const ReadRef& read) {
  if (read->at_probe) return;
  read->at_probe = true;
  read->joined_at = context_.host.now();
  if (may_prove()) {
    probes_->join(read);
  } else if (read->is_wait() || read->filled) {
    parked_.push_back(read);
  } else {
    on_unprovable(read);
  }
}

void Reads::resume() {
  for (const ReadRef& read : std::exchange(parked_, {})) {
    if (read->over) continue;
    read->at_probe = false;
    if (read->is_wait() || !read->unproven.empty()) {
      probe_or_park(read);
    } else {
      begin(read);
    }
  }
}

void Reads::on_proven(const ReadRef& read, const ProofRef& proof) {
  if (read->over || !read->at_probe) return;
  if (read->is_snapshot()) {
    // One that was sent before the entries were watched says nothing.
    if (proof->sent < read->joined_at) return;
    read->at_probe = false;
    if (!serve_snapshot(*read, proof)) begin_snapshot(read);
    return;
  }
  read->at_probe = false;
  const ReadPromise& promise = read->request.promise;
  if (promise.level == storage::Level::session && !promise.token.system.empty()) {
    if (!is_of(promise.token, proof->identity)) return finish(*read, other_history(promise.token, proof->identity));
    if (!satisfies(*proof, promise.token)) return wait_for_token(read, proof->position);
  }
  if (read->is_wait()) return finish(*read, std::vector<ObservedAnswer>());
  for (const std::size_t index : std::exchange(read->unproven, {})) {
    if (read->over) return;
    const ObservedKey& key = read->request.keys[index];
    const memory::EntryRef entry = entries_->find(key.collection, key.key, read->hashes[index]);
    if (entry) {
      serve(*read, index, *entry, 0, proof->position);
    } else {
      fill(read, index);
    }
  }
}

void Reads::on_unprovable(const ReadRef& read) {
  if (read->over || !read->at_probe) return;
  read->at_probe = false;
  if (read->is_wait() || read->filled) return wait_for_token(read, 0);
  if (read->is_snapshot()) return read_together(read);
  for (const std::size_t index : std::exchange(read->unproven, {})) {
    if (!read->over) fill(read, index);
  }
}

// The token's writes are not there yet: the stream is brought on once, and then looked at now and then.
void Reads::wait_for_token(const ReadRef& read, storage::Lsn proven) {
  if (proven < read->request.promise.token.position && !read->nudged && context_.streaming) {
    read->nudged = true;
    probes_->nudge();
  }
  read->pausing = true;
  set_timer(read, std::min(context_.host.now() + kTokenPause, read->request.deadline));
}

void Reads::advance() {
  const base::Nanoseconds now = context_.host.now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const ReadRef read = timers_.begin()->second;
    if (now >= read->request.deadline) {
      fail(*read, Error::of(ErrorCode::deadline_exceeded, "the read's deadline has passed"));
    } else {
      on_timer(read);
    }
  }
  send_together();
}

void Reads::on_timer(const ReadRef& read) {
  const bool overdue = context_.host.now() >= read->patience_at;
  const bool paused = std::exchange(read->pausing, false);
  set_timer(read, overdue ? read->request.deadline : read->patience_at);
  if (overdue && !read->is_wait() && !read->filled) {
    // A share of the deadline went by: if it was the stream that the read waited for, the database answers.
    if (!paused && !read->at_probe) return;
    ++context_.stats.passed_through;
    read->at_probe = true;
    on_unprovable(read);
  } else if (paused) {
    probe_or_park(read);
  }
}

void Reads::set_timer(const ReadRef& read, base::Nanoseconds moment) {
  timers_.erase(read->timer);
  read->timer = timers_.emplace(moment, read);
}

void Reads::close(Read& read) {
  if (--read.open == 0) finish(read, std::move(read.answers));
}

void Reads::finish(Read& read, Result<std::vector<ObservedAnswer>> result) {
  if (read.over) return;
  read.over = true;
  unwatch_entries(read);
  const ReadRef alive = read.timer->second;
  timers_.erase(read.timer);
  const auto done = std::move(read.request.done);
  done(std::move(result));
}

void Reads::fail(Read& read, const Error& why) {
  const bool out_of_reach = why.code == ErrorCode::unavailable || why.code == ErrorCode::deadline_exceeded;
  const bool promises = read.request.promise.level != storage::Level::any;
  finish(read, out_of_reach && promises ? stale(read, why.what) : why);
}

Error Reads::stale(const Read& read, std::string_view why) const {
  ++context_.stats.stale_refusals;
  const base::Nanoseconds age = context_.published.age(context_.host.now());
  const std::string known = age == base::kForever ? "unknown" : fmt::format("{}ms", age / base::kMillisecond);
  return Error::of(ErrorCode::stale, fmt::format("age={} asked={}: {}", known, asked(read.request.promise), why),
                   "ask for less freshness, or wait until the database can be reached");
}

void Reads::stop(const Error& error) {
  parked_.clear();
  while (!timers_.empty()) finish(*timers_.begin()->second, error);
}

}  // namespace freshet::consistency
