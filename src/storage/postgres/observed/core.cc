// The stream, the catalog and the lanes: what happens when.
#include "storage/postgres/observed/core.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "storage/postgres/observed/ask.h"
#include "storage/postgres/statements.h"
#include "storage/postgres/output_settings.h"

namespace freshet::storage::postgres {
namespace {

// One probe runs at a time; the next may be on its way.
constexpr std::size_t kProbesInFlightMax = 2;
constexpr std::size_t kProbeQueueMax = 64;
constexpr std::size_t kSmallQueueBytesMax = 64 * 1024;
constexpr std::size_t kPositionsInFlightMax = 16;
constexpr std::size_t kPositionQueueMax = 16 * 1024;
// One fill runs while the next is on its way.
constexpr std::size_t kFillsInFlightMax = 2;
// A nudge that has no answer by then is given up.
constexpr base::Nanoseconds kNudgeDeadline = 5 * base::kSecond;
// The catalog is looked up again so soon after an error, doubling,
constexpr base::Nanoseconds kLookRetryMin = 50 * base::kMillisecond;
constexpr base::Nanoseconds kLookRetryMax = 5 * base::kSecond;
// and so often while a collection has a fault.
constexpr base::Nanoseconds kFaultRetry = 5 * base::kSecond;
constexpr int kDoublingsMax = 10;
// How much of the retained log's bound may be used up before the slot is given up: the log grows between two looks.
constexpr std::uint64_t kRetainedPercentMax = 90;

Connection::Options connection_options(const ObservedOptions& options, const ConnectionParameters& parameters,
                                       const std::shared_ptr<History>& history, const char* kind, const char* settings) {
  Connection::Options connection;
  connection.parameters = parameters;
  for (auto& [keyword, value] : connection.parameters) {
    if (keyword == "application_name") value = application_name(options.fleet, kind);
  }
  connection.session_sql =
      session_sql(fmt::format("{}, pg_catalog.set_config('statement_timeout', '{}', false){}", output_settings_sql(),
                              options.statement_timeout / base::kMillisecond, settings));
  connection.history = history;
  connection.connect_timeout = options.connect_timeout;
  connection.stall_timeout = options.stall_timeout;
  return connection;
}

// Index lookups only: see fingerprint_sql().
constexpr const char* kProbeSettings =
    ", pg_catalog.set_config('enable_seqscan', 'off', false), pg_catalog.set_config('enable_bitmapscan', 'off', false)";
// An answer for each connection: nobody waits for standbys here.
constexpr const char* kNudgeSettings = ", pg_catalog.set_config('synchronous_commit', 'local', false)";
// A plan of its own for each array of keys would cost more than the read.
constexpr const char* kFillSettings =
    ", pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', false)";

StatementRef make_statement(const char* kind, std::string sql) {
  return std::make_shared<OwnedStatement>(kind, std::move(sql), std::vector<Oid>());
}

}  // namespace

PostgresObservedStorage::Core::Core(const ObservedOptions& options, const ConnectionParameters& parameters, net::Loop& loop)
    : options_(options), parameters_(parameters), loop_(loop), history_(std::make_shared<History>()), deadlines_(loop),
      nudge_statement_(make_statement("nudge", "SELECT pg_catalog.pg_logical_emit_message(true, 'freshet', '')")),
      position_statement_(make_statement("position", "SELECT pg_catalog.pg_current_wal_insert_lsn()")),
      flushed_statement_(make_statement("flushed", "SELECT pg_catalog.pg_current_wal_flush_lsn()")),
      look_timer_(loop), slot_timer_(loop) {
  const auto lane = [&](const char* kind, const char* settings, int connections, std::size_t in_flight, std::size_t queue,
                        std::size_t bytes) {
    return std::make_unique<SessionLane>(
        loop_, deadlines_,
        Lane::Options{connections, in_flight, queue, bytes,
                      connection_options(options_, parameters_, history_, kind, settings)});
  };
  probes_ = lane("probe", kProbeSettings, 1, kProbesInFlightMax, kProbeQueueMax, kSmallQueueBytesMax);
  prober_ = std::make_unique<Prober>(*probes_);
  nudges_ = lane("nudge", kNudgeSettings, 1, kPositionsInFlightMax, kPositionQueueMax, kSmallQueueBytesMax);
  fills_ = lane("fill", kFillSettings, options_.fill_connections, kFillsInFlightMax, options_.fill_queue_max,
                options_.fill_queue_bytes_max);
}

PostgresObservedStorage::Core::~Core() {
  worker_.reset();
  stream_.reset();
  for (auto* lane : {probes_.get(), nudges_.get(), fills_.get()}) lane->close();
}

void PostgresObservedStorage::Core::follow(StreamListener& listener) {
  listener_ = &listener;
  worker_ = std::make_unique<CatalogWorker>(loop_, options_, parameters_, *this);
  worker_->look();
  slot_timer_.start(options_.slot_check_interval, [this] { watch_slot(); }, options_.slot_check_interval);
}

void PostgresObservedStorage::Core::confirm(Lsn position) {
  if (stream_) stream_->confirm(position);
}

void PostgresObservedStorage::Core::reload() {
  look_timer_.stop();
  if (worker_) worker_->look();
}

void PostgresObservedStorage::Core::describe(std::vector<CollectionSpec> specs) {
  look_timer_.stop();
  if (worker_) worker_->look_at(std::move(specs));
}

void PostgresObservedStorage::Core::look_after(base::Nanoseconds delay) {
  look_timer_.start(delay, [this] { worker_->look(); });
}

void PostgresObservedStorage::Core::on_catalog(Result<CatalogRef> catalog) {
  if (catalog) {
    failed_looks_ = 0;
    return take_catalog(std::move(*catalog));
  }
  catalog_detail_ = catalog.error().what;
  if (failed_looks_ == 0) base::log_warning("storage", "the collections could not be looked up: {}", catalog_detail_);
  const auto delay = kLookRetryMin << std::min(failed_looks_++, kDoublingsMax);
  look_after(std::min(delay, kLookRetryMax));
}

// The listener hears of it first: what it drops, it must not drop from what comes after.
void PostgresObservedStorage::Core::take_catalog(CatalogRef catalog) {
  catalog_detail_.clear();
  const auto before = std::exchange(catalog_, std::move(catalog));
  if (catalog_->faults > 0) look_after(kFaultRetry);
  mapper_.describe(catalog_->mappings());
  for (std::size_t i = 0; i < catalog_->collections.size(); ++i) {
    const auto& plan = catalog_->collections[i];
    const bool is_news = !before || i >= before->collections.size() || before->collections[i].fault != plan.fault;
    if (plan.fault && is_news && !plan.rests()) {
      base::log_warning("storage", "{}: {}. {}", plan.spec.name, plan.fault->what, plan.fault->remedy);
    }
  }
  listener_->on_described(catalog_->description());
  if (!stream_) return start_stream();
  // Transactions that were writing while the publication changed may be told in part only. A stream's start says just that.
  if (before && before->publishing != catalog_->publishing) start_anew_ = true;
  start_anew_if_due();
}

void PostgresObservedStorage::Core::start_stream() {
  StreamOptions options;
  options.parameters = parameters_;
  for (auto& [keyword, value] : options.parameters) {
    if (keyword == "application_name") value = application_name(options_.fleet, "stream");
  }
  options.publication = options_.publication;
  options.slot = options_.slot;
  options.managed = options_.slot_managed;
  options.messages = options_.messages;
  options.history = history_;
  if (options_.retained_wal_bytes_max > 0) {
    options.reuse_lag_bytes_max = std::min(options.reuse_lag_bytes_max, options_.retained_wal_bytes_max / 2);
  }
  stream_ = std::make_unique<ReplicationStream>(loop_, std::move(options), *this);
}

// The number was drawn by the last look, on its own thread: the listener, who has heard what was told since, sees to those.
void PostgresObservedStorage::Core::start_anew_if_due() {
  if (!start_anew_ || !streaming_ || transaction_ != 0) return;
  start_anew_ = false;
  listener_->on_stream_broken("what the publication publishes has changed");
  listener_->on_stream_started({identity_, false, catalog_->first_xid});
}

void PostgresObservedStorage::Core::on_started(const Started& started) {
  identity_ = started.identity;
  streaming_ = true;
  start_failure_.clear();
  transaction_ = 0;
  mapper_.forget_relations();
  // Not continuous says more than a new start.
  start_anew_ = start_anew_ && started.continuous;
  listener_->on_stream_started({started.identity, started.continuous, started.first_xid});
  start_anew_if_due();
}

void PostgresObservedStorage::Core::on_message(const pgoutput::Message& message) {
  if (const auto* begin = std::get_if<pgoutput::Begin>(&message)) {
    transaction_ = begin->xid;
    mapper_.begin();
    return listener_->on_begin(begin->xid, begin->commit);
  }
  if (const auto* commit = std::get_if<pgoutput::Commit>(&message)) {
    listener_->on_commit(std::exchange(transaction_, 0), commit->end);
    return start_anew_if_due();
  }
  if (const auto* told = std::get_if<pgoutput::LogicalMessage>(&message)) {
    if (told->transactional) listener_->on_message(told->prefix, told->content);
    return;
  }
  mapper_.map(message, *listener_);
}

void PostgresObservedStorage::Core::on_position(Lsn received) { listener_->on_position(received); }

void PostgresObservedStorage::Core::on_stream_broken(const std::string& why) {
  streaming_ = false;
  transaction_ = 0;
  base::log_warning("storage", "the change stream broke: {}", why);
  listener_->on_stream_broken(why);
  reload();
}

// The publication may be what is missing.
void PostgresObservedStorage::Core::on_start_failed(const std::string& why) {
  if (why != start_failure_) base::log_warning("storage", "the change stream did not start: {}", why);
  start_failure_ = why;
  reload();
}

void PostgresObservedStorage::Core::watch_slot() {
  if (streaming_ && options_.retained_wal_bytes_max > 0) worker_->look_at_slot();
}

void PostgresObservedStorage::Core::on_slot(const SlotState& slot) {
  const bool is_full = slot.exists && slot.retained_bytes >= options_.retained_wal_bytes_max / 100 * kRetainedPercentMax;
  const bool is_news = is_full && !slot_is_full_;
  slot_is_full_ = is_full;
  if (!is_full || !stream_) return;
  const auto why = fmt::format("replication slot {} retains {} bytes of the log, near its bound of {}", options_.slot,
                               slot.retained_bytes, options_.retained_wal_bytes_max);
  if (options_.slot_managed) {
    base::log_warning("storage", "{}: it is given up, and a new one made", why);
    stream_->give_up(why);
  } else if (is_news) {
    base::log_warning("storage", "{}. If nothing needs it: SELECT pg_drop_replication_slot('{}');", why, options_.slot);
  }
}

StreamStatus PostgresObservedStorage::Core::status() const {
  StreamStatus status;
  status.slot = options_.slot;
  status.publication = options_.publication;
  status.detail = catalog_detail_;
  if (!stream_) return status;
  const auto stream = stream_->status();
  status.streaming = stream.streaming;
  if (status.detail.empty()) status.detail = stream.detail;
  if (slot_is_full_) status.detail += " The slot retains nearly as much of the log as it may.";
  status.reconnects = stream.reconnects;
  status.slots_lost = stream.slots_lost;
  status.transactions = stream.transactions;
  status.row_changes = stream.row_changes;
  return status;
}

void PostgresObservedStorage::Core::probe(base::Nanoseconds deadline, Callback<ProbeReply> done) {
  if (!catalog_) {
    return done(Error::of(ErrorCode::unavailable, "the collections have not been looked up yet: " + catalog_detail_));
  }
  prober_->probe(catalog_, deadline, std::move(done));
}

// One at a time: what is committed meanwhile is what the next one is for.
void PostgresObservedStorage::Core::nudge() {
  if (std::exchange(nudging_, true)) return;
  const auto read = [](const PGresult*, const SessionCall&) -> Result<bool> { return true; };
  const auto done = [this](const Result<bool>&) { nudging_ = false; };
  ask<bool>(*nudges_, nudge_statement_, "a nudge", base::now() + kNudgeDeadline, done, read);
}

void PostgresObservedStorage::Core::position(base::Nanoseconds deadline, Callback<std::pair<Identity, Lsn>> done) {
  using Position = std::pair<Identity, Lsn>;
  const bool insert_position = !catalog_ || catalog_->insert_position;
  const auto read = [](const PGresult* rows, const SessionCall& call) -> Result<Position> {
    return Position(call.identity, without_page_header(static_cast<Lsn>(int8_at(rows, 0, 0))));
  };
  const auto& statement = insert_position ? position_statement_ : flushed_statement_;
  ask<Position>(*nudges_, statement, "a position", deadline, std::move(done), read);
}

void PostgresObservedStorage::Core::fill(CollectionKeys keys, base::Nanoseconds deadline, Callback<FillReply> done) {
  if (!catalog_) {
    return done(Error::of(ErrorCode::unavailable, "the collections have not been looked up yet: " + catalog_detail_));
  }
  for (const auto& [collection, key] : keys) {
    if (const auto& fault = catalog_->collections[collection].fault) return done(*fault);
  }
  std::make_shared<Fill>(*fills_, catalog_, deadline, [this] { reload(); }, std::move(done))->run(std::move(keys));
}

}  // namespace freshet::storage::postgres
