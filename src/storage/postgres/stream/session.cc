// Steps of a start: connect, IDENTIFY_SYSTEM, look at the slot, make it or make it again, draw a transaction's number,
// START_REPLICATION.
#include "storage/postgres/stream/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/log.h"
#include "storage/postgres/output_settings.h"

namespace freshet::storage::postgres {
namespace {

// A server may be silent while it decodes what is not published: it looks at what it is asked after half its timeout.
constexpr int kSilenceQuartersOfTimeout = 3;
constexpr int kSilenceChecks = 6;
// Silent for a third of what is allowed: a server with nothing to send is asked to say so.
constexpr int kSilenceAsked = 3;
// The publication was made after the slot's position, where the server looks for it: it will never find it there.
constexpr const char* kNoSuchObject = "42704";
constexpr const char* kObjectInUse = "55006";
// PostgreSQL counts from 2000-01-01.
constexpr std::int64_t kServerEpochMs = 946'684'800'000;

ConnectionParameters replication_parameters(const StreamOptions& options) {
  auto parameters = options.parameters;
  add_output_settings(parameters);
  parameters.emplace_back("replication", "database");
  return parameters;
}

template <typename Kind>
bool is(const pgoutput::Message& message) {
  return std::holds_alternative<Kind>(message);
}

}  // namespace

ReplicationStream::Session::Session(net::Loop& loop, StreamOptions options, StreamHandler& handler)
    : loop_(loop),
      options_(std::move(options)),
      parameters_(replication_parameters(options_)),
      handler_(handler),
      step_timer_(loop),
      status_timer_(loop),
      silence_timer_(loop),
      backoff_(options_.backoff_min, options_.backoff_max) {
  status_.detail = "connects for the first time";
  step_timer_.start(0, [this] { connect(); });
}

ReplicationStream::Session::~Session() {
  connection_.reset();
  if (!holds_slot_ || !options_.managed || !options_.drop_on_stop) return;
  const auto dropped = drop_slot(parameters_, options_, memory_.last_process, base::now() + kDropMax);
  if (!dropped) base::log_warning("storage", "{}. {}", dropped.error().what, dropped.error().remedy);
}

void ReplicationStream::Session::connect() {
  step_ = Step::connecting;
  identity_ = {};
  skipping_ = false;
  step_timer_.start(options_.step_timeout, [this] { connection_->close("no connection within the connect timeout"); });
  connection_ = std::make_unique<WalConnection>(loop_, parameters_, *this);
}

void ReplicationStream::Session::enter(Step step, const std::string& sql, std::string detail) {
  step_ = step;
  status_.detail = std::move(detail);
  if (step == Step::creating) {
    step_timer_.stop();
  } else {
    step_timer_.start(options_.step_timeout, [this] { connection_->close("no answer: " + status_.detail); });
  }
  connection_->command(sql);
}

void ReplicationStream::Session::on_connected() {
  enter(Step::identifying, "IDENTIFY_SYSTEM", "asks which server this is");
}

void ReplicationStream::Session::on_result(Rows rows) {
  const auto status = PQresultStatus(rows.get());
  if (!succeeded(rows.get()) && status != PGRES_COPY_BOTH) {
    const auto error = sql_error_of(rows.get());
    if (error.state == kObjectInUse) holds_slot_ = false;
    return connection_->close(fmt::format("{}: {}", status_.detail, error.message), error.state);
  }
  switch (step_) {
    case Step::identifying: return take_identity(rows.get());
    case Step::looking: return take_facts(rows.get());
    case Step::ending_old: return connection_->close("the server still ran the last session, which was ended now");
    case Step::dropping: return create_slot();
    case Step::creating: return take_created(rows.get());
    case Step::numbering: return take_xid(rows.get());
    case Step::starting:
      if (status == PGRES_COPY_BOTH) return started();
      return connection_->close("the server did not start to stream");
    default: return connection_->close("the server answered without having been asked");
  }
}

void ReplicationStream::Session::take_identity(const PGresult* rows) {
  if (PQntuples(rows) != 1 || PQnfields(rows) < 2) return connection_->close("IDENTIFY_SYSTEM has another form");
  identity_.system = PQgetvalue(rows, 0, 0);
  identity_.timeline = fmt::format("{:08X}", std::strtoul(PQgetvalue(rows, 0, 1), nullptr, 10));
  enter(Step::looking, facts_sql(options_), "looks for its replication slot");
}

void ReplicationStream::Session::take_facts(const PGresult* rows) {
  const auto facts = read_facts(rows);
  if (!facts) return connection_->close(facts.error().what);
  identity_.started_at = facts->started_at;
  // It may have been promoted since it said who it is.
  if (!facts->timeline.empty()) identity_.timeline = facts->timeline;
  memory_since_ = facts->memory_since;
  sender_timeout_ = facts->sender_timeout;
  if (!facts->standby && options_.history && !options_.history->connect(identity_.system, identity_.timeline)) {
    return connection_->close(fmt::format("this server's timeline {} is older than {}, which was seen before: it is an old "
                                          "primary, to be shut down", identity_.timeline, options_.history->timeline()));
  }
  const bool same_run = last_identity_ == identity_ && last_memory_since_ == memory_since_;
  // Another reader of the slot may have let go what this one has not received.
  continuous_ = same_run && facts->slot_exists && facts->slot_confirmed <= confirmation_.known();
  if (!continuous_) forget(facts->slot_confirmed);
  if (!same_run) memory_.last_process = 0;
  take_next_step(*facts);
}

// Positions of before mean nothing any more, also those that the handler may still confirm.
void ReplicationStream::Session::forget(Lsn confirmed) {
  confirmation_.restart(confirmed);
  status_.received = 0;
  last_commit_end_ = 0;
}

void ReplicationStream::Session::take_next_step(const ServerFacts& facts) {
  const auto next = next_step(options_, facts, memory_);
  switch (next.kind) {
    case SlotStep::Kind::start: return continuous_ ? start() : draw_xid();
    case SlotStep::Kind::create:
      if (memory_.started) ++status_.slots_lost;
      return create_slot();
    case SlotStep::Kind::drop:
      ++status_.slots_lost;
      base::log_warning("storage", "{}: it is made again", next.why);
      return enter(Step::dropping, drop_slot_command(options_, false), "drops its replication slot: " + next.why);
    case SlotStep::Kind::end_old_session:
      return enter(Step::ending_old, end_session_sql(options_, facts.slot_process), "ends its last session in the server");
    case SlotStep::Kind::fail: break;
  }
  if (facts.slot_process != 0) holds_slot_ = false;
  connection_->close(next.why);
}

// Until it has been streamed from, a slot that is created is a new one, over broken connections too.
void ReplicationStream::Session::create_slot() {
  memory_ = {};
  memory_.last_process = connection_->server_process();
  holds_slot_ = new_slot_ = true;
  continuous_ = false;
  enter(Step::creating, create_slot_command(options_),
        fmt::format("creates the replication slot {}, which waits for the transactions that run", options_.slot));
}

void ReplicationStream::Session::take_created(const PGresult* rows) {
  const auto position = PQntuples(rows) == 1 && PQnfields(rows) >= 2
                            ? parse_lsn(PQgetvalue(rows, 0, 1))
                            : Result<Lsn>(Error::of(ErrorCode::internal, "CREATE_REPLICATION_SLOT has another form"));
  if (!position) return connection_->close(position.error().what);
  forget(*position);
  ++status_.slots_created;
  draw_xid();
}

// Transactions before it may have been committing when the slot was made, and may never be told.
void ReplicationStream::Session::draw_xid() {
  enter(Step::numbering, "SELECT pg_current_xact_id()", "draws a transaction's number");
}

void ReplicationStream::Session::take_xid(const PGresult* rows) {
  first_xid_ = PQntuples(rows) == 1 ? std::strtoull(PQgetvalue(rows, 0, 0), nullptr, 10) : 0;
  if (first_xid_ == 0) return connection_->close("pg_current_xact_id() gave no number");
  start();
}

void ReplicationStream::Session::start() {
  memory_.last_process = connection_->server_process();
  enter(Step::starting, start_command(options_, confirmation_.position()),
        fmt::format("starts to stream from the replication slot {}", options_.slot));
}

void ReplicationStream::Session::started() {
  step_timer_.stop();
  step_ = Step::streaming;
  started_at_ = silence_checked_ = base::now();
  if (last_identity_) ++status_.reconnects;
  last_identity_ = identity_;
  last_memory_since_ = memory_since_;
  memory_.started = true;
  holds_slot_ = true;
  shutdown_ = {};
  status_.streaming = true;
  status_.detail = fmt::format("streams from the replication slot {}", options_.slot);
  silence_max_ = std::max(options_.silence_max, sender_timeout_ / 4 * kSilenceQuartersOfTimeout);
  silence_timer_.start(silence_max_ / kSilenceChecks, [this] { check_silence(); }, silence_max_ / kSilenceChecks);
  confirmation_.begin_session(sender_timeout_);
  arm_status();
  handler_.on_started({identity_, continuous_, std::exchange(new_slot_, false), first_xid_});
}

void ReplicationStream::Session::on_closed(const std::string& why, const std::string& state) {
  connection_.reset();
  step_timer_.stop();
  status_timer_.stop();
  silence_timer_.stop();
  status_armed_ = base::kForever;
  const bool was_streaming = std::exchange(step_, Step::waiting) == Step::streaming;
  if (was_streaming && state == kNoSuchObject && options_.managed) memory_.give_up = true;
  if (was_streaming) backoff_.ended(started_at_);
  status_.streaming = false;
  status_.detail = why;
  step_timer_.start(backoff_.next(), [this] { connect(); });
  was_streaming ? handler_.on_stream_broken(why) : handler_.on_start_failed(why);
}

void ReplicationStream::Session::on_data(std::string_view data) {
  if (step_ != Step::streaming) return connection_->close("the server sent data before the stream had started");
  status_.bytes += data.size();
  const auto envelope = pgoutput::open_envelope(data);
  if (!envelope) return connection_->close(envelope.error().what);
  if (const auto* keepalive = std::get_if<pgoutput::Keepalive>(&*envelope)) return take(*keepalive);
  const auto message = decoder_.decode(std::get<pgoutput::WalData>(*envelope).message);
  if (!message) return connection_->close(message.error().what);
  take(*message);
}

void ReplicationStream::Session::take(const pgoutput::Message& message) {
  if (const auto* begin = std::get_if<pgoutput::Begin>(&message)) {
    // Commit records follow each other: one that begins before the last one's end is that one or an earlier one.
    skipping_ = begin->commit < last_commit_end_;
  }
  const auto* commit = std::get_if<pgoutput::Commit>(&message);
  if (skipping_) {
    if (commit != nullptr) skipping_ = false;
    // A session describes a table once: what comes later rests on it.
    if (!is<pgoutput::Relation>(message) && !is<pgoutput::Type>(message)) return;
  }
  if (commit != nullptr) {
    ++status_.transactions;
    last_commit_end_ = commit->end;
    status_.received = std::max(status_.received, commit->end);
  }
  status_.row_changes += is<pgoutput::Insert>(message) || is<pgoutput::Update>(message) || is<pgoutput::Delete>(message);
  handler_.on_message(message);
}

void ReplicationStream::Session::take(const pgoutput::Keepalive& keepalive) {
  if (keepalive.end > status_.received) {
    status_.received = keepalive.end;
    handler_.on_position(keepalive.end);
  }
  if (!keepalive.reply_requested) return;
  if (confirmation_.position() < keepalive.end && shutdown_.asked(base::now())) {
    return connection_->close("the server asks again and again for what cannot be confirmed, as when it shuts down");
  }
  confirmation_.ask();
  arm_status();
}

void ReplicationStream::Session::confirm(Lsn position) {
  confirmation_.advance(std::min(position, status_.received));
  if (step_ == Step::streaming) arm_status();
}

void ReplicationStream::Session::arm_status() {
  const auto due = confirmation_.next_at();
  const auto now = base::now();
  if (due <= now) return send_status();
  if (due >= status_armed_) return;
  status_armed_ = due;
  status_timer_.start(due - now, [this] {
    status_armed_ = base::kForever;
    arm_status();
  });
}

void ReplicationStream::Session::send_status() {
  const auto server_time = (base::wall_ms() - kServerEpochMs) * 1000;
  const bool ask = std::exchange(status_wants_answer_, false);
  connection_->put(pgoutput::encode_status(confirmation_.position(), server_time, ask));
  confirmation_.sent(base::now());
  status_armed_ = base::kForever;
  arm_status();
}

// With a status well inside its timeout the server never has a reason to speak while nothing is written: without a question
// silence would prove nothing. It is asked when it has been silent for long, and never otherwise (questions cost latency).
void ReplicationStream::Session::check_silence() {
  const auto now = base::now();
  const auto since_check = now - std::exchange(silence_checked_, now);
  // This process was stopped, or the loop was: what the server sent meanwhile is still to be read.
  if (since_check > 2 * (silence_max_ / kSilenceChecks)) return;
  const auto silence = now - connection_->heard_at();
  if (silence >= silence_max_) {
    return connection_->close(fmt::format("the server has been silent for {} ms", silence / base::kMillisecond));
  }
  if (silence < silence_max_ / kSilenceAsked) return;
  status_wants_answer_ = true;
  confirmation_.ask();
  arm_status();
}

void ReplicationStream::Session::give_up(const std::string& why) {
  if (!options_.managed) return;
  memory_.give_up = true;
  if (connection_) connection_->close("the replication slot was given up: " + why);
}

ReplicationStatus ReplicationStream::Session::status() const {
  auto status = status_;
  status.confirmed = confirmation_.position();
  return status;
}

}  // namespace freshet::storage::postgres
