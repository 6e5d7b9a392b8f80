// Queueing, choosing a connection, and what each end of a call means.
#include "storage/postgres/lane.h"

#include <fmt/format.h>

#include <utility>

namespace freshet::storage::postgres {

Lane::Lane(net::Loop& loop, Deadlines& deadlines, Options options) : deadlines_(deadlines), options_(std::move(options)) {
  for (int i = 0; i < options_.connections; ++i) {
    connections_.emplace_back(new Connection(loop, options_.connection, *this));
  }
}

Lane::~Lane() { close(); }

bool Lane::admit(const Call& call) {
  const auto waiting = waiting_.fetch_add(1, std::memory_order_relaxed);
  const auto bytes = waiting_bytes_.fetch_add(call.bytes, std::memory_order_relaxed);
  if (waiting == 0 || (waiting < options_.queue_max && bytes + call.bytes <= options_.queue_bytes_max)) return true;
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  waiting_bytes_.fetch_sub(call.bytes, std::memory_order_relaxed);
  return false;
}

void Lane::submit(CallPointer call) {
  call->state = Call::State::queued;
  call->place = queue_.insert(queue_.end(), call);
  if (closed_) return finish(*call, {{}, unavailable(*call, "Freshet is shutting down"), {}});
  if (call->deadline <= base::now()) return on_deadline(call);
  if (down_) return finish(*call, {{}, unavailable(*call, last_failure_), {}});
  call->timer = deadlines_.add(call->deadline, [this, call] {
    call->timer.reset();
    on_deadline(call);
  });
  pump();
}

void Lane::close() {
  if (closed_) return;
  closed_ = true;
  while (!queue_.empty()) {
    const auto call = queue_.front();
    finish(*call, {{}, unavailable(*call, "Freshet is shutting down"), {}});
  }
  connections_.clear();
}

void Lane::leave_queue(Call& call) {
  queue_.erase(call.place);
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  waiting_bytes_.fetch_sub(call.bytes, std::memory_order_relaxed);
}

void Lane::finish(Call& call, Answer answer) {
  if (call.state == Call::State::finished) return;
  const auto keep = call.state == Call::State::queued ? *call.place : nullptr;
  if (call.state == Call::State::queued) leave_queue(call);
  call.state = Call::State::finished;
  call.connection = nullptr;
  if (call.timer) deadlines_.cancel(*call.timer);
  call.timer.reset();
  call.parameters = {};
  const auto done = std::exchange(call.done, nullptr);
  done(std::move(answer));
}

CallPointer Lane::take() {
  auto call = queue_.front();
  take(call);
  return call;
}

void Lane::take(CallPointer call) {
  leave_queue(*call);
  call->state = Call::State::sent;
  ++call->attempts;
}

void Lane::queue_again(const CallPointer& call) {
  call->state = Call::State::queued;
  call->connection = nullptr;
  call->place = queue_.insert(queue_.begin(), call);
  waiting_.fetch_add(1, std::memory_order_relaxed);
  waiting_bytes_.fetch_add(call->bytes, std::memory_order_relaxed);
  if (down_) finish(*call, {{}, unavailable(*call, last_failure_), {}});
}

Connection* Lane::pick() {
  Connection* best = nullptr;
  const auto limit = in_flight_max();
  const auto suspect_before = base::now() - kSuspectAfter;
  const auto is_worse = [&](const Connection& left, const Connection& right) {
    const bool left_suspect = left.oldest_sent() < suspect_before;
    const bool right_suspect = right.oldest_sent() < suspect_before;
    return left_suspect != right_suspect ? left_suspect : left.in_flight() > right.in_flight();
  };
  for (const auto& connection : connections_) {
    if (!connection->is_ready() || connection->in_flight() >= limit) continue;
    if (best == nullptr || is_worse(*best, *connection)) best = connection.get();
  }
  return best;
}

void Lane::pump() {
  while (!queue_.empty() && !holds_back() && send_first()) {
  }
}

void Lane::pump_all() {
  while (!queue_.empty() && send_first()) {
  }
}

bool Lane::send_first() {
  Connection* connection = pick();
  if (connection == nullptr) return false;
  dispatch(*connection);
  return true;
}

void Lane::dispatch(Connection& connection) { send(take(), connection); }

void Lane::send(const CallPointer& call, Connection& connection) {
  call->connection = &connection;
  connection.send(*call->statement, call->parameters,
                  [this, call, &connection](Reply reply) { on_reply(call, connection, std::move(reply)); });
}

void Lane::on_reply(const CallPointer& call, Connection& connection, Reply reply) {
  if (reply.error) {
    refuse(call, connection, *reply.error);
  } else if (reply.rows && !is_trustworthy(*call, connection, reply.rows.get())) {
    distrust(call, connection);
  } else if (reply.rows) {
    finish(*call, {std::move(reply.rows), {}, {}});
  } else {
    lose(call, reply.lost);
  }
  go_on();
}

void Lane::judge_session(Connection& connection, const SqlError& error) {
  const auto is = [&](const char* state) { return error.state == state; };
  if (is(sqlstate::kReadOnly) || is(sqlstate::kNoSuchStatement) || is(sqlstate::kStalePlan)) connection.retire();
}

void Lane::refuse(const CallPointer& call, Connection& connection, const SqlError& error) {
  judge_session(connection, error);
  if (call->state == Call::State::finished) return;
  // The last one: its preparation failed (a schema that was being changed), so another session must prepare it.
  const bool rolled_back = error.state == sqlstate::kDeadlock || error.state == sqlstate::kSerializationFailure ||
                           error.state == sqlstate::kNoSuchStatement;
  if (rolled_back && !closed_ && call->attempts <= kRolledBackRetriesMax) return queue_again(call);
  finish(*call, {{}, error_of(error, call->doing), error.state});
}

void Lane::lose(const CallPointer& call, const std::string& why) {
  if (call->state == Call::State::finished) return;
  if (call->on_loss == OnLoss::resend && !closed_ && call->attempts <= kResendsMax) return queue_again(call);
  if (call->on_loss == OnLoss::unknown) {
    return finish(*call, {{},
                          Error::of(ErrorCode::unknown_outcome,
                                    fmt::format("{} was sent to PostgreSQL and got no answer: {}", call->doing, why),
                                    "It may have been applied: set a new guard, then read the key."),
                          {}});
  }
  finish(*call, {{}, unavailable(*call, why), {}});
}

bool Lane::is_trustworthy(const Call& call, const Connection& connection, const PGresult* rows) const {
  if (!call.tells_timeline || PQntuples(rows) == 0) return true;
  const auto timeline = bytes_at(rows, 0, 0);
  return timeline.empty() ? call.standby_may_answer : connection.is_current(timeline);
}

void Lane::distrust(const CallPointer& call, Connection& connection) {
  connection.retire();
  lose(call, "a standby or an old primary answered: point Freshet at the primary, and shut the old one down");
}

void Lane::on_deadline(const CallPointer& call) {
  if (call->state == Call::State::sent && call->on_loss == OnLoss::unknown) {
    return lose(call, "the deadline passed");
  }
  finish(*call, {{}, Error::of(ErrorCode::deadline_exceeded, fmt::format("{} was not done in time", call->doing)), {}});
}

Error Lane::unavailable(const Call& call, const std::string& why) const {
  return Error::of(ErrorCode::unavailable, fmt::format("{} did not reach PostgreSQL: {}", call.doing, why),
                   "Freshet connects again by itself; look whether the database is up.");
}

void Lane::connected(Connection&) {
  down_ = false;
  failed_attempts_ = 0;
  pump();
}

void Lane::disconnected(Connection&, bool was_ready, const std::string& why) {
  last_failure_ = why;
  for (const auto& connection : connections_) {
    if (connection->is_ready()) return;
  }
  // Calls wait while the first attempts after a loss are under way.
  if (was_ready || ++failed_attempts_ < kFailedAttemptsMax * options_.connections) return;
  down_ = true;
  while (!queue_.empty()) {
    const auto call = queue_.front();
    finish(*call, {{}, unavailable(*call, why), {}});
  }
}

}  // namespace freshet::storage::postgres
