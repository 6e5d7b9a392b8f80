// See consistency/observed/fills.h.
#include "consistency/observed/fills.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace freshet::consistency {

Fills::Fills(Context& context, Collections& collections, Entries& entries, HeldChanges& held, StartRule& start_rule,
             FillListener& listener)
    : context_(context),
      collections_(collections),
      entries_(entries),
      held_(held),
      start_rule_(start_rule),
      listener_(listener),
      queues_(context.specs.size()) {}

bool Fills::read(storage::CollectionId collection, const std::string& key, std::uint64_t hash, base::Nanoseconds deadline,
                 FillDone done) {
  ++context_.stats.fills;
  if (const auto found = waiting_.find(key); found != waiting_.end()) {
    ++context_.stats.joined_fills;
    found->second->deadline = std::max(found->second->deadline, deadline);
    found->second->waiters.push_back(std::move(done));
    return true;
  }
  if (waiting_.size() >= context_.limits.waiting_fills_max) return false;
  auto request = std::make_shared<Request>();
  request->key = key;
  request->hash = hash;
  request->collection = collection;
  request->deadline = deadline;
  request->waiters.push_back(std::move(done));
  queue(std::move(request));
  return true;
}

void Fills::queue(RequestRef request) {
  waiting_.emplace(request->key, request);
  queues_[request->collection].push_back(std::move(request));
}

void Fills::put_off(RequestRef request, const Error& why) {
  if (++request->outdated > context_.limits.outdated_rounds_max) return request->answer(why);
  request->collected.clear();
  request->voided = false;
  put_off_.push_back(std::move(request));
}

void Fills::resume() {
  for (RequestRef& request : std::exchange(put_off_, {})) {
    const auto found = waiting_.find(request->key);
    if (found == waiting_.end()) {
      queue(std::move(request));
      continue;
    }
    auto& waiters = found->second->waiters;
    std::move(request->waiters.begin(), request->waiters.end(), std::back_inserter(waiters));
    found->second->deadline = std::max(found->second->deadline, request->deadline);
    found->second->outdated = std::max(found->second->outdated, request->outdated);
  }
}

void Fills::send() {
  while (statements_.size() < static_cast<std::size_t>(context_.limits.fill_statements_max)) {
    storage::CollectionId collection = 0;
    std::vector<RequestRef> requests = take_next(collection);
    if (requests.empty()) return;
    send(collection, std::move(requests));
  }
}

// The next collection's turn, if any has keys that somebody still waits for.
std::vector<Fills::RequestRef> Fills::take_next(storage::CollectionId& collection) {
  const base::Nanoseconds now = context_.host.now();
  std::vector<RequestRef> requests;
  for (std::size_t tries = 0; tries < queues_.size() && requests.empty(); ++tries) {
    collection = turn_;
    turn_ = static_cast<storage::CollectionId>((turn_ + 1) % queues_.size());
    std::deque<RequestRef>& queue = queues_[collection];
    while (!queue.empty() && requests.size() < storage::ObservedStorage::kFillKeysMax) {
      RequestRef request = std::move(queue.front());
      queue.pop_front();
      waiting_.erase(request->key);
      if (request->deadline > now) requests.push_back(std::move(request));
    }
  }
  return requests;
}

void Fills::send(storage::CollectionId collection, std::vector<RequestRef> requests) {
  ++context_.stats.fill_statements;
  base::Nanoseconds deadline = 0;
  std::vector<std::string> keys;
  keys.reserve(requests.size());
  for (const RequestRef& request : requests) {
    keys.push_back(request->key);
    deadline = std::max(deadline, request->deadline);
    in_flight_.emplace(request->hash, request);
  }
  const auto statement = statements_.insert(
      statements_.end(),
      Statement{collection, context_.host.now(), context_.published.shape_of(collection), std::move(requests), {}});
  context_.storage.fill(collection, std::move(keys), deadline, [this, statement](Result<storage::FillReply> reply) {
    on_reply(statement, std::move(reply));
    context_.advance();
  });
}

void Fills::on_reply(std::list<Statement>::iterator at, Result<storage::FillReply> reply) {
  // Its own snapshot settles changes first: they are collected like any others.
  const bool read = reply && !reply->outdated;
  if (read) listener_.on_fill_snapshot(*reply, at->sent);
  std::list<Statement> over;
  over.splice(over.end(), statements_, at);
  Statement& statement = over.front();
  for (const RequestRef& request : statement.requests) {
    const auto [begin, end] = in_flight_.equal_range(request->hash);
    in_flight_.erase(std::find_if(begin, end, [&](const auto& one) { return one.second == request; }));
  }
  const auto snapshot = read ? std::make_shared<const storage::Snapshot>(reply->snapshot) : nullptr;
  for (std::size_t i = 0; i < statement.requests.size(); ++i) {
    Request& request = *statement.requests[i];
    if (!reply) {
      request.answer(reply.error());
    } else if (!read) {
      put_off(statement.requests[i], *reply->outdated);
    } else {
      settle(statement, request, reply->values[i], *reply, snapshot);
    }
  }
}

void Fills::settle(const Statement& statement, Request& request, storage::FilledValue& value,
                   const storage::FillReply& reply, const SnapshotRef& snapshot) {
  if (value.error) return request.answer(*value.error);
  storage::FilledValue current{{}, value.present, value.value, value.unsettled};
  const Caught caught = catch_up(statement, request, current, *snapshot);
  const bool followed = may_cache(request, current, reply);
  bool cached = caught.known && followed &&
                held_.claim(request.key, request.hash, request.collection, *snapshot);
  if (cached) {
    cached = entries_.insert({request.collection, request.key, request.hash, current.present, current.value, snapshot,
                              std::max(reply.position, caught.position), caught.on_top});
  }
  const bool same_history = context_.streaming && reply.identity == context_.identity;
  if (!cached && same_history) entries_.supersede(request.key, request.hash, snapshot, reply.position);
  ++(cached ? context_.stats.fills_cached : context_.stats.fills_not_cached);
  request.answer(FillAnswer{value.present, value.value, statement.shape, cached, reply});
  if (!followed || !caught.on_top.empty()) listener_.on_outdated_answer(request.key);
}

Fills::Caught Fills::catch_up(const Statement& statement, Request& request, storage::FilledValue& value,
                              const storage::Snapshot& snapshot) const {
  Caught caught;
  if (!context_.protections.collect_during_fill) return caught;
  for (const storage::Xid xid : statement.all_changed) {
    if (snapshot.shows(xid)) continue;
    caught.known = false;
    caught.on_top.push_back(xid);
  }
  for (Collected& collected : request.collected) {
    if (snapshot.shows(collected.xid)) continue;
    caught.on_top.push_back(collected.xid);
    caught.position = std::max(caught.position, collected.end);
    if (collected.change.kind == storage::Change::Kind::drop) {
      caught.known = false;
    } else {
      value.present = collected.change.kind == storage::Change::Kind::put;
      value.value = std::move(collected.change.value);
    }
  }
  return caught;
}

bool Fills::may_cache(const Request& request, const storage::FilledValue& value, const storage::FillReply& reply) const {
  if (request.voided || !context_.streaming || reply.identity != context_.identity) return false;
  if (!collections_.active(request.collection)) return false;
  const bool careful = !value.present || value.unsettled || context_.specs[request.collection].is_query();
  return !careful || !start_rule_.concerns(reply.snapshot);
}

void Fills::collect(const KeyChange& change, storage::Xid xid, storage::Lsn end) {
  const auto [first, last] = in_flight_.equal_range(change.hash);
  for (auto one = first; one != last; ++one) {
    if (one->second->key == change.key) one->second->collected.push_back({xid, end, change});
  }
}

void Fills::collect_hashes(const HeldTransaction& transaction) {
  if (transaction.hashes.empty()) return;
  for (const auto& [hash, request] : in_flight_) {
    if (!transaction.has_hash(hash)) continue;
    KeyChange dropped{storage::Change::Kind::drop, request->collection, hash, request->key, {}};
    request->collected.push_back({transaction.xid, transaction.end, std::move(dropped)});
  }
}

void Fills::collect_all(storage::CollectionId collection, storage::Xid xid) {
  for (Statement& statement : statements_) {
    if (statement.collection == collection) statement.all_changed.push_back(xid);
  }
}

void Fills::void_all() {
  for (const auto& [hash, request] : in_flight_) request->voided = true;
}

void Fills::void_collection(storage::CollectionId collection) {
  for (const auto& [hash, request] : in_flight_) request->voided |= request->collection == collection;
}

void Fills::void_if(base::FunctionRef<bool(std::string_view key)> concerned) {
  for (const auto& [hash, request] : in_flight_) {
    if (!request->voided) request->voided = concerned(request->key);
  }
}

bool Fills::any_sent_before(base::Nanoseconds moment) const {
  return std::any_of(statements_.begin(), statements_.end(), [&](const Statement& one) { return one.sent < moment; });
}

void Fills::stop(const Error& error) {
  resume();
  const auto waiting = std::move(waiting_);
  waiting_.clear();
  for (auto& queue : queues_) queue.clear();
  for (const auto& [key, request] : waiting) request->answer(error);
}

}  // namespace freshet::consistency
