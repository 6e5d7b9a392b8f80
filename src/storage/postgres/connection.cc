// Connecting, pipelining and reconnecting. A reply counts only at its sync: rows may arrive before their commit.
#include "storage/postgres/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>

namespace freshet::storage::postgres {

Connection::Connection(net::Loop& loop, Options options, Observer& observer)
    : options_(std::move(options)),
      observer_(observer),
      backoff_(options_.backoff_min, options_.backoff_max),
      connect_timer_(loop),
      stall_timer_(loop),
      watch_(loop, [this](int status, int events) { on_io(status, events); }) {
  connect_timer_.start(0, [this] { connect(); });
  stall_timer_.start(options_.stall_timeout / 4, [this] { check_stall(); }, options_.stall_timeout / 4);
}

Connection::~Connection() {
  watch_.stop();
  pq_.reset();
  state_ = State::waiting;
  auto lost = std::move(in_flight_);
  in_flight_.clear();
  for (auto& call : lost) {
    Reply reply;
    reply.lost = "Freshet is shutting down";
    if (call.done) call.done(std::move(reply));
  }
}

void Connection::connect() {
  state_ = State::connecting;
  prepare_error_.clear();
  connect_timer_.start(options_.connect_timeout, [this] { drop("no connection within the connect timeout"); });
  const ParameterArrays arrays(options_.parameters);
  pq_.reset(PQconnectStartParams(arrays.keywords.data(), arrays.values.data(), 0));
  if (!pq_ || PQstatus(pq_.get()) == CONNECTION_BAD) return drop(pq_ ? message_of(pq_.get()) : "out of memory");
  PQsetNoticeReceiver(pq_.get(), &Connection::notice, this);
  watch(UV_WRITABLE);
}

void Connection::step_connect(PostgresPollingStatusType status) {
  switch (status) {
    case PGRES_POLLING_READING: return watch(UV_READABLE);
    case PGRES_POLLING_WRITING: return watch(UV_WRITABLE);
    case PGRES_POLLING_OK: return prepare();
    default: return drop(message_of(pq_.get()));
  }
}

void Connection::prepare() {
  state_ = State::preparing;
  bool sent = PQsetnonblocking(pq_.get(), 1) == 0 && PQenterPipelineMode(pq_.get()) == 1;
  sent = sent && PQsendQueryParams(pq_.get(), options_.session_sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0) == 1;
  for (const auto* statement : options_.statements) {
    sent = sent && PQsendPrepare(pq_.get(), statement->name, statement->sql, static_cast<int>(statement->types.size()),
                                 statement->types.data()) == 1;
  }
  if (!sent || PQpipelineSync(pq_.get()) != 1) return drop(message_of(pq_.get()));
  flush();
}

void Connection::finish_preparing() {
  if (!prepare_error_.empty()) return drop(prepare_error_);
  connect_timer_.stop();
  // Warnings while connecting (a collation's version, say) concern no call.
  commit_in_doubt_ = false;
  state_ = State::ready;
  ready_since_ = base::now();
  observer_.connected(*this);
}

void Connection::send(const Statement& statement, const Parameters& parameters, Done done) {
  begin(std::move(done));
  end(add(statement, parameters));
}

void Connection::send(const std::vector<Step>& steps, Done done) {
  begin(std::move(done));
  end(std::all_of(steps.begin(), steps.end(), [this](const Step& step) { return add(*step.statement, step.parameters); }));
}

void Connection::begin(Done done) {
  assert(is_ready());
  in_flight_.push_back({std::move(done), base::now(), {}, false, {}});
}

bool Connection::add(const Statement& statement, const Parameters& parameters) {
  if (!prepare_late(statement) || !parameters.send(pq_.get(), statement.name)) return false;
  in_flight_.back().expected.emplace_back();
  return true;
}

void Connection::end(bool sent) {
  if (!sent || PQpipelineSync(pq_.get()) != 1) {
    // Never inside the caller's loop over connections; libpq keeps what it could not send, the server runs nothing of it.
    const auto why = message_of(pq_.get());
    connect_timer_.start(0, [this, why] { drop(why); });
    return;
  }
  flush();
}

// Together with its first execution: one sync ends both.
bool Connection::prepare_late(const Statement& statement) {
  if (!statement.late || late_.contains(statement.name)) return true;
  in_flight_.back().expected.emplace_back(statement.name);
  if (*statement.name != '\0') late_.insert(statement.name);
  if (late_.size() >= kLateStatementsMax) retiring_ = true;
  return PQsendPrepare(pq_.get(), statement.name, statement.sql, static_cast<int>(statement.types.size()),
                       statement.types.data()) == 1;
}

void Connection::on_io(int status, int events) {
  // libuv reports a refused connection as a bad descriptor; libpq knows better, and goes on to the URL's next host.
  if (status < 0 && state_ != State::connecting) return drop("the connection broke");
  if (state_ == State::connecting) {
    // The socket may be replaced inside: it must not be watched meanwhile.
    watch_.stop();
    return step_connect(PQconnectPoll(pq_.get()));
  }
  if ((events & UV_READABLE) != 0) {
    const bool alive = PQconsumeInput(pq_.get()) == 1;
    const auto why = alive ? std::string() : message_of(pq_.get());
    const auto* session = pq_.get();
    read_results();
    if (pq_.get() != session) return;
    if (!alive || PQstatus(pq_.get()) == CONNECTION_BAD) return drop(why.empty() ? message_of(pq_.get()) : why);
    if (retiring_ && in_flight_.empty()) return drop("the session works no longer");
  }
  if (pq_) flush();
}

void Connection::flush() {
  const int pending = PQflush(pq_.get());
  if (pending < 0) {
    const auto why = message_of(pq_.get());
    connect_timer_.start(0, [this, why] { drop(why); });
    return;
  }
  watch(UV_READABLE | (pending > 0 ? UV_WRITABLE : 0));
}

// Two NULLs in a row mean that libpq has nothing more; one separates a statement's results from its sync.
void Connection::read_results() {
  int nothing = 0;
  while (pq_ && nothing < 2 && (state_ == State::preparing || !in_flight_.empty()) && PQisBusy(pq_.get()) == 0) {
    Rows rows(PQgetResult(pq_.get()));
    if (!rows) {
      ++nothing;
      continue;
    }
    nothing = 0;
    take_result(std::move(rows));
  }
}

void Connection::take_result(Rows rows) {
  const auto status = PQresultStatus(rows.get());
  if (state_ == State::preparing) {
    if (status == PGRES_PIPELINE_SYNC) return finish_preparing();
    if (status == PGRES_TUPLES_OK) {
      server_process_ = std::atoi(PQgetvalue(rows.get(), 0, 0));
      session_.clear();
      for (int column = 0; column < PQnfields(rows.get()); ++column) {
        session_.emplace_back(PQgetvalue(rows.get(), 0, column));
      }
      take_session(rows.get());
    } else if (status != PGRES_COMMAND_OK && prepare_error_.empty() && status != PGRES_PIPELINE_ABORTED) {
      prepare_error_ = sql_error_of(rows.get()).message;
    }
    return;
  }
  if (status != PGRES_PIPELINE_SYNC) return take_call_result(in_flight_.front(), std::move(rows));
  auto call = std::move(in_flight_.front());
  in_flight_.pop_front();
  if (!call.expected.empty() && call.reply.rows) {
    // Not every statement was answered: what did not fail as far as is known may have been rolled back.
    call.reply.rows.reset();
    call.has_result = false;
  }
  if (commit_in_doubt_ && call.reply.rows) {
    call.reply.rows.reset();
    call.reply.lost = "the server stopped waiting for its synchronous standby";
  } else if (!call.has_result) {
    call.reply.lost = "the server gave no result";
  }
  commit_in_doubt_ = false;
  if (call.done) call.done(std::move(call.reply));
}

// Behind the last statement's result there may be one more: an error of the commit itself (a constraint that was deferred).
void Connection::take_call_result(InFlight& call, Rows rows) {
  std::optional<std::string> preparing;
  if (!call.expected.empty()) {
    preparing = std::move(call.expected.front());
    call.expected.pop_front();
  }
  if (succeeded(rows.get())) {
    if (preparing) return;
    if (call.reply.rows) call.reply.earlier.push_back(std::move(call.reply.rows));
    call.reply.rows = std::move(rows);
    call.has_result = true;
    return;
  }
  auto error = sql_error_of(rows.get());
  if (preparing) late_.erase(*preparing);
  if (PQresultStatus(rows.get()) == PGRES_PIPELINE_ABORTED) return;
  call.reply.refused = call.reply.earlier.size() + (call.reply.rows ? 1 : 0);
  call.reply.rows.reset();
  call.reply.earlier.clear();
  call.has_result = false;
  // Without a result the call counts as lost, at its sync or with its session.
  if (leaves_outcome_unknown(error)) return;
  call.reply.error = std::move(error);
  call.has_result = true;
}

void Connection::take_session(const PGresult* rows) {
  const std::string timeline = PQgetvalue(rows, 0, 2);
  if (*PQgetvalue(rows, 0, 1) == 't') {
    if (!options_.accept_standby) prepare_error_ = "this server is a standby: point Freshet at the primary";
  } else if (options_.history && !options_.history->connect(PQgetvalue(rows, 0, 3), timeline)) {
    prepare_error_ = fmt::format("this server's timeline {} is older than {}, which was seen before: it is an old primary, "
                                 "to be shut down. If it was restored on purpose, restart Freshet", timeline,
                                 options_.history->timeline());
  }
  if (options_.history) history_number_ = options_.history->number();
}

bool Connection::is_current(std::string_view timeline) const {
  return !options_.history || (history_number_ == options_.history->number() && options_.history->note(timeline));
}

// PostgreSQL acknowledges a commit whose wait for the synchronous standby was cancelled, with a warning only. Warnings of
// triggers come from PL/pgSQL, or another language's function, and say so.
void Connection::notice(void* self, const PGresult* result) {
  const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (severity == nullptr || state == nullptr) return;
  const char* function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
  const bool raised = function != nullptr && std::strcmp(function, "exec_stmt_raise") == 0;
  if (!raised && std::strcmp(severity, "WARNING") == 0 && std::strcmp(state, "01000") == 0) {
    static_cast<Connection*>(self)->commit_in_doubt_ = true;
  }
}

void Connection::watch(int events) {
  const int status = watch_.watch(PQsocket(pq_.get()), events);
  if (status < 0) connect_timer_.start(0, [this, status] { drop(uv_strerror(status)); });
}

void Connection::drop(const std::string& why) {
  if (state_ == State::waiting) return;
  watch_.stop();
  const bool was_ready = state_ == State::ready;
  if (was_ready) backoff_.ended(ready_since_);
  pq_.reset();
  state_ = State::waiting;
  commit_in_doubt_ = false;
  retiring_ = false;
  server_process_ = 0;
  session_.clear();
  late_.clear();
  auto lost = std::move(in_flight_);
  in_flight_.clear();
  connect_timer_.start(backoff_.next(), [this] { connect(); });
  for (auto& call : lost) {
    // An error reply says "rolled back" even without its sync; rows without theirs say nothing.
    if (!call.reply.error) {
      call.reply.rows.reset();
      call.reply.earlier.clear();
      call.reply.lost = why;
    }
    if (call.done) call.done(std::move(call.reply));
  }
  observer_.disconnected(*this, was_ready, why);
}

void Connection::check_stall() {
  if (state_ == State::ready && oldest_sent() <= base::now() - options_.stall_timeout) {
    drop(fmt::format("no answer for {} ms", options_.stall_timeout / base::kMillisecond));
  }
}

}  // namespace freshet::storage::postgres
