// See consistency/observed/tracker.h.
#include "consistency/observed/tracker.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/slot.h"

namespace freshet::consistency {

Tracker::Tracker(const Setting& setting)
    : context_{setting.table, setting.host, setting.storage, setting.published, setting.specs, setting.protections,
               setting.limits},
      collections_(context_),
      held_({setting.limits.held_bytes_max, setting.limits.held_keys_max}),
      reads_(context_, collections_),
      entries_(context_, collections_, reads_),
      fills_(context_, collections_, entries_, held_, start_rule_, *this),
      probes_(context_, *this) {
  reads_.use(entries_, fills_, probes_);
  context_.advance = [this] { advance(); };
}

void Tracker::read(std::vector<ReadRequest> requests) {
  for (ReadRequest& request : requests) reads_.start(std::move(request));
  advance();
}

void Tracker::advance() {
  if (advancing_ || stopped_) return;
  advancing_ = true;
  reads_.advance();
  fills_.send();
  probes_.advance(may_probe());
  answer_awaited();
  advancing_ = false;
  context_.host.wake_at(std::min({reads_.next_due(), probes_.next_due(may_probe()), next_awaited_due()}));
}

void Tracker::stop() {
  const Error error = Error::of(ErrorCode::unavailable, "the cache is shutting down");
  stopped_ = true;
  context_.streaming = false;
  reads_.stop(error);
  fills_.stop(error);
  for (auto& awaited : std::exchange(awaited_, {})) awaited.done(error);
}

// More specifications may have been added since the caller counted them.
void Tracker::follow(const std::vector<bool>& followed, std::vector<storage::CollectionId> awaited,
                     base::Nanoseconds deadline, storage::Callback<void> done) {
  if (stopped_) return done(Error::of(ErrorCode::unavailable, "the cache is shutting down"));
  collections_.grow();
  fills_.grow();
  awaited_.push_back({++revision_, std::move(awaited), deadline, std::move(done)});
  context_.storage.describe(context_.specs.described(followed));
  advance();
}

// Nothing yet: it goes on waiting.
std::optional<Result<void>> Tracker::outcome_of(const Awaited& awaited) const {
  if (collections_.described() && collections_.revision() >= awaited.revision) {
    bool all = context_.streaming;
    for (const auto id : awaited.collections) {
      if (const auto& fault = collections_.fault(id)) return Result<void>(*fault);
      all = all && collections_.active(id);
    }
    if (all || awaited.collections.empty()) return Result<void>();
  }
  if (context_.host.now() < awaited.deadline) return std::nullopt;
  return Result<void>(Error::of(ErrorCode::deadline_exceeded,
                                "the change stream was not there in time: " + context_.storage.status().detail));
}

void Tracker::answer_awaited() {
  std::vector<std::pair<storage::Callback<void>, Result<void>>> answers;
  std::erase_if(awaited_, [&](Awaited& awaited) {
    auto outcome = outcome_of(awaited);
    if (outcome) answers.emplace_back(std::move(awaited.done), std::move(*outcome));
    return outcome.has_value();
  });
  for (auto& [done, outcome] : answers) done(std::move(outcome));
}

base::Nanoseconds Tracker::next_awaited_due() const {
  auto due = base::kForever;
  for (const auto& awaited : awaited_) due = std::min(due, awaited.deadline);
  return due;
}

void Tracker::on_begin(storage::Xid xid, storage::Lsn commit) {
  held_.begin(xid, commit);
  // Numbers go round.
  if (!newest_begun_ || static_cast<std::int32_t>(xid - *newest_begun_) > 0) newest_begun_ = xid;
}

// The image of a row is wanted by an entry or by a fill; everybody else is content with the key.
void Tracker::on_change(const storage::Change& change) {
  const std::uint64_t hash = base::hash_of(change.key);
  const bool wanted = change.kind != storage::Change::Kind::all &&
                      (fills_.is_in_flight(hash) || entries_.is_cached(change.collection, change.key, hash));
  const Keep keep = wanted ? Keep::image : context_.watcher ? Keep::key : Keep::hash;
  const Keep kept = held_.add(change, hash, keep);
  if (wanted && kept != Keep::image) entries_.drop(change.key, hash);
}

void Tracker::on_commit(storage::Xid xid, storage::Lsn end) {
  if (!held_.is_gathering()) return;
  HeldTransaction transaction = held_.finish(end);
  if (end <= last_commit_) {  // Delivered again: applied already, or still held.
    held_.release(transaction);
    return;
  }
  last_commit_ = end;
  start_rule_.delivered(xid);
  if (!context_.protections.hold_until_visible || newest_.shows(xid)) {
    apply(transaction);
    held_.release(transaction);
  } else {
    held_.hold(std::move(transaction));
  }
  advance_position(end);
  advance();
}

void Tracker::on_position(storage::Lsn received) {
  advance_position(received);
  advance();
}

void Tracker::advance_position(storage::Lsn received) {
  if (received > context_.received) {
    context_.received = received;
    entries_.passed(received);
  }
  confirm();
  probes_.received();
}

// The server may forget what lies before the first held change: a restarted node then sees that again.
void Tracker::confirm() {
  const bool bounded = context_.protections.bounded_confirmation && !held_.empty();
  const storage::Lsn position = bounded ? std::min(held_.first_commit(), context_.received) : context_.received;
  if (position <= confirmed_) return;
  confirmed_ = position;
  context_.storage.confirm(position);
}

void Tracker::learn(const storage::Snapshot& snapshot, base::Nanoseconds sent) {
  if (sent > start_rule_since_) start_rule_.learn(snapshot);
  if (is_newer(snapshot, newest_)) newest_ = snapshot;
  const std::vector<HeldTransaction> shown = held_.take_shown(snapshot);
  for (const HeldTransaction& transaction : shown) {
    apply(transaction);
    held_.release(transaction);
  }
  if (!shown.empty()) confirm();
  start_rule_.learn_newest(newest_, context_.host.now());
  if (start_rule_.finished_at() != base::kForever && !fills_.any_sent_before(start_rule_.finished_at())) start_rule_.end();
}

void Tracker::apply(const HeldTransaction& transaction) {
  for (const KeyChange& change : transaction.changes) {
    fills_.collect(change, transaction.xid, transaction.end);
    entries_.apply(change, transaction.xid, transaction.end);
    if (context_.watcher) context_.watcher->on_changed(change.key);
  }
  fills_.collect_hashes(transaction);
  if (context_.watcher) {
    for (const storage::CollectionId id : transaction.hashed_of) {
      context_.watcher->on_collection_changed(context_.specs[id].name);
    }
  }
  for (const storage::CollectionId id : transaction.collections) {
    fills_.collect_all(id, transaction.xid);
    drop_collection(id);
  }
}

void Tracker::drop_collection(storage::CollectionId collection) {
  collections_.end_epoch(collection);
  if (context_.watcher) context_.watcher->on_collection_changed(context_.specs[collection].name);
}

void Tracker::on_fill_snapshot(const storage::FillReply& reply, base::Nanoseconds sent) {
  if (sent < history_since_) return;
  if (context_.streaming && reply.identity == context_.identity) learn(reply.snapshot, sent);
}

void Tracker::on_outdated_answer(std::string_view key) {
  if (context_.watcher) context_.watcher->on_changed(key);
}

bool Tracker::on_probe_reply(const storage::ProbeReply& reply, base::Nanoseconds sent) {
  if (!context_.streaming || reply.identity != context_.identity) return false;
  const bool differs = reply.fingerprint != collections_.fingerprint();
  if (differs && context_.protections.fingerprint) {
    collections_.doubt();
    context_.storage.reload();
    return false;
  }
  learn(reply.snapshot, sent);
  return true;
}

void Tracker::on_probe_proven(const std::shared_ptr<Proof>& proof) {
  proof->complete_to = held_.empty() ? proof->position : std::min(proof->position, held_.first_commit());
  context_.published.prove(proof);
}

void Tracker::token(base::Nanoseconds deadline, storage::Callback<SessionToken> done) {
  context_.storage.position(deadline, [done = std::move(done)](Result<std::pair<storage::Identity, storage::Lsn>> position) {
    if (!position) return done(position.error());
    done(SessionToken{position->first.system, position->first.timeline, position->second, 0});
  });
}

}  // namespace freshet::consistency
