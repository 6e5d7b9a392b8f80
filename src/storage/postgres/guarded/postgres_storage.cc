// PostgresStorage: builds each call on the caller's thread, hands it to the loop's, and turns rows into replies.
#include "storage/postgres/guarded/postgres_storage.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/function_ref.h"
#include "base/log.h"
#include "storage/postgres/guarded/read_lane.h"
#include "storage/postgres/guarded/row_planning.h"
#include "storage/postgres/guarded/rows_watch.h"
#include "storage/postgres/output_settings.h"
#include "storage/postgres/schema.h"
#include "storage/postgres/guarded/set_guard.h"
#include "storage/postgres/statements.h"
#include "storage/postgres/guarded/tombstone_sweep.h"
#include "storage/postgres/guarded/write_lane.h"
#include "storage/passed_keys.h"

namespace freshet::storage::postgres {
namespace {

// Writes in flight a connection. One server process applies them one after the other: more would only wait there, and have
// an unknown outcome if the connection broke.
constexpr std::size_t kWritesInFlightMax = 8;
constexpr std::size_t kWriteQueueMax = 16 * 1024;
constexpr std::size_t kWriteQueueBytesMax = 256ull * 1024 * 1024;
// Read statements in flight a connection: one runs while the next is on its way. Reads that wait are merged.
constexpr std::size_t kReadsInFlightMax = 2;
constexpr std::size_t kReadQueueMax = 64 * 1024;
constexpr std::size_t kReadQueueBytesMax = 64ull * 1024 * 1024;
constexpr int kGuardConnections = 2;
constexpr std::size_t kAdministrationInFlightMax = 4;
constexpr std::size_t kAdministrationQueueMax = 1024;
constexpr std::size_t kAdministrationQueueBytesMax = 32ull * 1024 * 1024;
// Scans read this many rows at most in one call, tombstones included.
constexpr std::size_t kScanRowsMax = 10'000;
// Up to so many rows keys are counted one by one.
constexpr std::int64_t kCountExactRowsMax = 50'000;
constexpr std::int64_t kSplitRowsMax = 20'000;
constexpr std::size_t kForgetBatchMax = 256;
constexpr base::Nanoseconds kForgetDeadline = 5 * base::kSecond;

Error closing_error(const char* doing) {
  return Error::of(ErrorCode::unavailable, fmt::format("{} came while Freshet was shutting down", doing));
}

Error standby_error(const char* doing) {
  return Error::of(ErrorCode::unavailable, fmt::format("{} was answered by a standby", doing),
                   "Point Freshet at the primary.");
}

// Reads know two errors only: out of reach, and out of time.
Error read_error(Error error) {
  if (error.code != ErrorCode::deadline_exceeded) error = Error::of(ErrorCode::unavailable, error.what, error.remedy);
  return error;
}

Error full_error(const char* doing, std::size_t limit) {
  return Error::of(ErrorCode::busy, fmt::format("{}: {} calls wait for PostgreSQL already", doing, limit),
                   "Try again, or open more connections to the database.");
}

Result<void> check(const PostgresOptions& options) {
  const bool printable = std::all_of(options.fleet.begin(), options.fleet.end(), [](unsigned char c) {
    return c > ' ' && c < 127;
  });
  if (options.fleet.empty() || options.fleet.size() > kFleetBytesMax || !printable) {
    return Error::of(ErrorCode::invalid_argument,
                     fmt::format("the fleet's name must be 1 to {} printable ASCII characters", kFleetBytesMax));
  }
  if (options.connections < kConnectionsMin || options.connections > kConnectionsMax) {
    return Error::of(ErrorCode::invalid_argument,
                     fmt::format("{} connections: {} to {} are possible", options.connections, kConnectionsMin,
                                 kConnectionsMax));
  }
  return {};
}

// One blocking session at the start, so that what is wrong is said at once and in one place.
Result<void> prepare_database(const PostgresOptions& options) {
  auto parameters = connection_parameters(options.url, application_name(options.fleet, "setup"));
  if (!parameters) return parameters.error();
  for (auto& [keyword, value] : *parameters) {
    if (keyword == "connect_timeout") value = std::to_string(options.connect_timeout / base::kSecond + 1);
  }
  const ParameterArrays arrays(*parameters);
  const ConnectionPointer connection(PQconnectdbParams(arrays.keywords.data(), arrays.values.data(), 0));
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    return Error::of(ErrorCode::unavailable, "PostgreSQL cannot be reached: " + message_of(connection.get()),
                     "Look whether the database is up, and at host, port, user and password in the storage URL.");
  }
  PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
  const Rows standby(PQexec(connection.get(),
                            "SELECT pg_is_in_recovery()::text, set_config('search_path', 'pg_catalog', false)"));
  if (!succeeded(standby.get())) return error_of(sql_error_of(standby.get()), "opening the storage");
  if (bytes_at(standby.get(), 0, 0) == "true") return standby_error("opening the storage");
  if (auto ensured = ensure_schema(connection.get(), options.create_schema); !ensured) return ensured.error();
  const char* fleet = options.fleet.c_str();
  const Rows claimed(
      PQexecParams(connection.get(), "SELECT freshet.claim($1)", 1, nullptr, &fleet, nullptr, nullptr, 0));
  if (!succeeded(claimed.get())) return error_of(sql_error_of(claimed.get()), "opening the storage");
  return {};
}

// Collections that were guarded when a node ran last, and are not any more.
void unseal_observed(const PostgresOptions& options) {
  std::vector<CollectionSpec> observed;
  for (const auto& spec : options.rows) {
    if (!spec.guarded && !spec.is_query()) observed.push_back(spec);
  }
  for (const auto& [table, error] : unseal_each(options, observed, {})) {
    if (error.code == ErrorCode::invalid_argument) continue;  // What is wrong with the table the follower tells.
    base::log_warning("storage", "{} may still be sealed, so that nobody writes to it: {}. {}", table, error.what,
                      error.remedy);
  }
}

std::string escaped_text(std::string_view text) {
  std::string quoted = "E'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

}  // namespace

// The loop's side: what lives on its thread, and the way there.
class PostgresStorage::Lanes {
 public:
  Lanes(const PostgresOptions& options, PlansInForce& rows)
      : options_(options), rows_(rows), loop_("freshet-postgres") {
    loop_.run([this] { build(); });
  }

  ~Lanes() {
    loop_.run([this] {
      {
        const std::lock_guard lock(mutex_);
        closing_ = true;
      }
      // Callbacks that these run may call the storage again: they are refused.
      drain();
      for (Lane* lane : std::initializer_list<Lane*>{reads_.get(), writes_.get(), guards_.get(), administration_.get()}) {
        lane->close();
      }
      reads_.reset();
      writes_.reset();
      guards_.reset();
      sweep_.reset();
      rows_watch_.reset();
      administration_.reset();
      deadlines_.reset();
    });
  }

  const PostgresOptions& options() const { return options_; }
  Lane& reads() { return *reads_; }
  Lane& writes() { return *writes_; }
  Lane& administration() { return *administration_; }

  // Admits the call, or says busy at once. From any thread.
  void submit(Lane& lane, CallPointer call) {
    if (!lane.admit(*call)) {
      return std::exchange(call->done, nullptr)({{}, full_error(call->doing, lane.queue_max()), {}});
    }
    if (!post([&lane, call] { lane.submit(call); }, [&] { return lane.would_hold_back(*call); })) {
      std::exchange(call->done, nullptr)({{}, closing_error(call->doing), {}});
    }
  }

  void set_guard(base::SlotRange range, Token token, base::Nanoseconds deadline, Callback<void> done) {
    const bool posted = post([=, this] {
      std::make_shared<GuardSetter>(options_, rows_, *guards_, *administration_, *deadlines_, [this] { tell_outdated(); })
          ->run(range, token, deadline, [this, done](Result<void> result) {
            if (result) sweep_->begin();
            done(std::move(result));
          });
    });
    if (!posted) done(closing_error("set_guard"));
  }

  void on_outdated(std::function<bool()> listener) {
    loop_.run([&] { outdated_listener_ = std::move(listener); });
  }

 private:
  bool tell_outdated() { return outdated_listener_ && outdated_listener_(); }

  void build() {
    deadlines_ = std::make_unique<Deadlines>(loop_);
    const int shared = options_.connections - kGuardConnections - 1;
    const int reads = std::max(1, shared / 2);
    reads_ = std::make_unique<ReadLane>(
        loop_, *deadlines_,
        Lane::Options{reads, kReadsInFlightMax, kReadQueueMax, kReadQueueBytesMax,
                      connection("read", options_.lock_timeout, {&statements::kRead, &statements::kReadLong}, false)});
    writes_ = std::make_unique<WriteLane>(
        loop_, *deadlines_,
        Lane::Options{shared - reads, kWritesInFlightMax, kWriteQueueMax, kWriteQueueBytesMax,
                      connection("write", options_.lock_timeout,
                                 {&statements::kPut, &statements::kPutFor, &statements::kPutMany, &statements::kWrite,
                                  &statements::kWriteAll, &statements::kPassRow, &statements::kPassMany,
                                  &statements::kTellPassed, &statements::kSetConstraints},
                                 false)},
        options_, [this] { drain(); });
    guards_ = std::make_unique<Lane>(
        loop_, *deadlines_,
        Lane::Options{kGuardConnections, 1, kGuardQueueMax, SIZE_MAX / 2,
                      connection("guard", options_.guard_lock_timeout, {&statements::kSetGuard}, false)});
    administration_ = std::make_unique<Lane>(
        loop_, *deadlines_,
        Lane::Options{1, kAdministrationInFlightMax, kAdministrationQueueMax, kAdministrationQueueBytesMax,
                      connection("admin", options_.lock_timeout,
                                 {&statements::kHolders, &statements::kScan, &statements::kCount, &statements::kSlotCounts,
                                  &statements::kForget, &statements::kIdentity, &statements::kLastVersion,
                                  &statements::kSweep, &statements::kPassRequests, &statements::kRowsDigest,
                                  &statements::kAcknowledgePasses},
                                 true)});
    sweep_ = std::make_unique<TombstoneSweep>(loop_, *administration_, options_);
    rows_watch_ = std::make_unique<RowsWatch>(loop_, *administration_, rows_, [this] { return tell_outdated(); });
  }

  Connection::Options connection(const char* kind, base::Nanoseconds lock_timeout, std::vector<const Statement*> statements,
                                 bool accept_standby) {
    Connection::Options result;
    // The URL was parsed when the storage was opened.
    result.parameters = connection_parameters(options_.url, application_name(options_.fleet, kind)).value();
    if (!options_.rows.empty()) add_output_settings(result.parameters);
    result.session_sql = session_sql(options_, lock_timeout);
    result.statements = std::move(statements);
    result.accept_standby = accept_standby;
    result.history = history_;
    result.connect_timeout = options_.connect_timeout;
    result.stall_timeout = options_.stall_timeout;
    return result;
  }

  // False if the storage is being destroyed. A task that may wait is drained when something else is.
  bool post(std::function<void()> task, base::FunctionRef<bool()> may_wait) {
    bool wake;
    {
      const std::lock_guard lock(mutex_);
      if (closing_) return false;
      incoming_.push_back(std::move(task));
      wake = !is_woken_ && !may_wait();
      is_woken_ = is_woken_ || wake;
    }
    if (wake) loop_.post([this] { drain(); });
    return true;
  }
  bool post(std::function<void()> task) {
    return post(std::move(task), [] { return false; });
  }

  // What arrived together is queued together: reads can travel together.
  void drain() {
    std::vector<std::function<void()>> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(incoming_);
      is_woken_ = false;
    }
    for (auto& task : tasks) task();
  }

  const PostgresOptions options_;
  PlansInForce& rows_;
  std::function<bool()> outdated_listener_;
  std::mutex mutex_;
  std::vector<std::function<void()>> incoming_;
  bool is_woken_ = false;  // drain() has been called for.
  bool closing_ = false;
  const std::shared_ptr<History> history_ = std::make_shared<History>();
  std::unique_ptr<Deadlines> deadlines_;
  std::unique_ptr<ReadLane> reads_;
  std::unique_ptr<WriteLane> writes_;
  std::unique_ptr<Lane> guards_;
  std::unique_ptr<Lane> administration_;
  std::unique_ptr<TombstoneSweep> sweep_;
  std::unique_ptr<RowsWatch> rows_watch_;
  net::Loop loop_;
};

Result<std::unique_ptr<PostgresStorage>> PostgresStorage::open(const PostgresOptions& options) {
  if (auto checked = check(options); !checked) return checked.error();
  if (auto prepared = prepare_database(options); !prepared) return prepared.error();
  auto rows = plan_guarded(options, options.rows, {});
  if (!rows) return rows.error();
  unseal_observed(options);
  return std::unique_ptr<PostgresStorage>(new PostgresStorage(options, RowPlans().changed_to(std::move(*rows))));
}

PostgresStorage::PostgresStorage(const PostgresOptions& options, RowPlans rows)
    : rows_(std::move(rows)), lanes_(std::make_unique<Lanes>(options, rows_)) {}
PostgresStorage::~PostgresStorage() = default;

const RowCollections* PostgresStorage::rows() const {
  return lanes_->options().rows.empty() ? nullptr : &rows_.now().collections();
}

Result<std::function<void()>> PostgresStorage::guard_rows(const RowChange& change) {
  if (rows_.is_full()) {
    return Error::of(ErrorCode::out_of_range, "guarded tables have been planned too often in this process",
                     "Restart Freshet.");
  }
  const LeaseClaim claim{true, lanes_->options().fleet, change.period};
  auto rows = plan_guarded(lanes_->options(), change.specs, claim);
  if (!rows && change.lenient) rows = plan_each(change.specs, claim);
  if (!rows) return rows.error();
  return std::function<void()>([this, rows = std::move(*rows)] {
    rows_.change([&](const RowPlans& now) { return now.changed_to(rows); });
  });
}

// Those that cannot be planned go by what they were. Errors: one was never planned.
Result<std::vector<RowPlanRef>> PostgresStorage::plan_each(const std::vector<CollectionSpec>& specs,
                                                           const LeaseClaim& claim) const {
  std::vector<RowPlanRef> plans;
  for (const auto& spec : specs) {
    if (!spec.guarded) continue;
    auto planned = plan_guarded(lanes_->options(), {spec}, claim);
    if (planned) {
      plans.push_back(std::move(planned->front()));
      continue;
    }
    auto before = rows_.now().serving(spec.name);
    if (!before) return planned.error();
    base::log_warning("storage", "{} goes by what it was: {}. {}", spec.name, planned.error().what, planned.error().remedy);
    plans.push_back(std::move(before));
  }
  return plans;
}

Result<void> PostgresStorage::unseal_rows(const CollectionSpec& spec, std::uint64_t period) {
  const auto errors = unseal_each(lanes_->options(), {spec}, {true, lanes_->options().fleet, period});
  return errors.empty() ? Result<void>() : Result<void>(errors.front().second);
}

void PostgresStorage::on_rows_outdated(std::function<bool()> listener) { lanes_->on_outdated(std::move(listener)); }

// By numbers and escapes alone, so that no setting of the other session changes what it says.
Result<std::string> PostgresStorage::guard_statement(const std::vector<CheckedKey>& keys) const {
  const auto& options = lanes_->options();
  const auto& plans = rows_.now();
  std::string slots, tokens, texts, told;
  for (const auto& [key, token] : keys) {
    const auto* plan = plans.find(key);
    if (plan == nullptr) {
      return Error::of(ErrorCode::unsupported, fmt::format("'{}' is no row of a guarded table", key),
                       "name rows, as in users:42");
    }
    if (key.find('\0') != key.npos) return Error::of(ErrorCode::invalid_argument, "a key with a zero byte");
    const char* comma = slots.empty() ? "" : ", ";
    slots += fmt::format("{}{}", comma, base::slot_of(key));
    tokens += fmt::format("{}'{}'", comma, token.to_text());
    texts += fmt::format("{}{}", comma, escaped_text(key));
    if (plan->collection().spec.followed) told += note_passed(key);
  }
  const bool advisory = options.dialect == GuardDialect::advisory;
  if (!told.empty()) {
    told = fmt::format(", pg_catalog.pg_logical_emit_message(true, '{}', {})", kPassedPrefix, escaped_text(told));
  }
  return fmt::format("SELECT freshet.pass_rows({}, {}, ARRAY[{}]::integer[], ARRAY[{}]::uuid[], ARRAY[{}]::text[]){}",
                     advisory ? std::to_string(options.advisory_lock_class) : "NULL", escaped_text(options.fleet), slots,
                     tokens, texts, told);
}

// Of many keys: the answers of its parts, as they come.
struct PostgresStorage::Gathering {
  std::mutex mutex;
  ReadReply reply;
  std::optional<Error> error;
  std::size_t missing = 0;
  Callback<ReadReply> done;

  void take(const std::vector<std::size_t>& places, Result<ReadReply> part) {
    {
      const std::lock_guard lock(mutex);
      if (part) {
        for (std::size_t i = 0; i < places.size(); ++i) reply.states[places[i]] = std::move(part->states[i]);
        for (auto& [place, fault] : part->faults) reply.faults.emplace_back(places[place], std::move(fault));
        if (reply.database_ms == 0 || (part->database_ms > 0 && part->database_ms < reply.database_ms)) {
          reply.database_ms = part->database_ms;
        }
      } else if (!error) {
        error = std::move(part).error();
      }
      if (--missing > 0) return;
    }
    if (error) return done(std::move(*error));
    done(std::move(reply));
  }
};

// Rows are read one call a key, which the lane puts together again by their tables.
void PostgresStorage::read_with_rows(const RowPlans& plans, std::vector<std::string> keys, base::Nanoseconds deadline,
                                     Callback<ReadReply> done) {
  auto gathering = std::make_shared<Gathering>();
  gathering->reply.states.resize(keys.size());
  gathering->done = std::move(done);
  std::vector<std::string> pairs;
  std::vector<std::size_t> pair_places;
  std::vector<std::pair<std::shared_ptr<ReadCall>, std::size_t>> calls;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto* plan = plans.find(keys[i]);
    if (plan == nullptr) {
      pair_places.push_back(i);
      pairs.push_back(std::move(keys[i]));
      continue;
    }
    auto parts = plan->split(keys[i]);
    if (!parts) {
      gathering->reply.faults.emplace_back(i, parts.error());
      continue;
    }
    auto call = std::make_shared<ReadCall>();
    call->plan = plan;
    call->parts = *std::move(parts);
    call->keys.push_back(std::move(keys[i]));
    calls.emplace_back(std::move(call), i);
  }
  gathering->missing = calls.size() + (pairs.empty() ? 0 : 1);
  if (gathering->missing == 0) return gathering->done(std::move(gathering->reply));
  if (!pairs.empty()) {
    submit_read(std::make_shared<ReadCall>(), std::move(pairs), deadline, [gathering, pair_places](Result<ReadReply> part) {
      gathering->take(pair_places, std::move(part));
    });
  }
  for (auto& [call, place] : calls) {
    auto row_keys = std::move(call->keys);
    submit_read(std::move(call), std::move(row_keys), deadline, [gathering, place = place](Result<ReadReply> part) {
      gathering->take({place}, std::move(part));
    });
  }
}

void PostgresStorage::read(std::vector<std::string> keys, base::Nanoseconds deadline, Callback<ReadReply> done) {
  if (keys.size() > kBatchKeysMax) {
    return done(Error::of(ErrorCode::invalid_argument,
                          fmt::format("a read of {} keys; the limit is {}", keys.size(), kBatchKeysMax)));
  }
  const auto& plans = rows_.now();
  if (!plans.empty()) return read_with_rows(plans, std::move(keys), deadline, std::move(done));
  submit_read(std::make_shared<ReadCall>(), std::move(keys), deadline, std::move(done));
}

void PostgresStorage::submit_read(std::shared_ptr<ReadCall> call, std::vector<std::string> keys, base::Nanoseconds deadline,
                                  Callback<ReadReply> done) {
  call->doing = "a read";
  for (const auto& key : keys) call->bytes += key.size();
  call->keys = std::move(keys);
  call->deadline = deadline;
  call->on_loss = OnLoss::resend;
  call->done = [done = std::move(done), read = call.get()](Answer answer) {
    if (answer.error) return done(read_error(std::move(*answer.error)));
    done(std::move(read->reply));
  };
  lanes_->submit(lanes_->reads(), std::move(call));
}

void PostgresStorage::write(WriteRequest request, Callback<WriteReply> done) {
  const auto& plans = rows_.now();
  const auto concerns_rows = [&](const Mutation& each) { return plans.find(each.key) || !each.cells.empty(); };
  if (auto fault = fault_of(request, concerns_rows)) return done(std::move(*fault));
  auto call = std::make_shared<WriteCall>();
  call->doing = "a write";
  call->deadline = request.deadline;
  call->request = std::move(request);
  call->on_loss = OnLoss::unknown;
  const auto& mutations = call->request.mutations;
  if (!call->request.also.empty() || std::any_of(mutations.begin(), mutations.end(), concerns_rows)) {
    auto transaction = WriteTransaction::make(call->request, plans);
    if (!transaction) return done(std::move(transaction).error());
    call->transaction = *std::move(transaction);
    call->bytes = bytes_of(call->request);
  } else {
    prepare_write(*call, lanes_->options());
  }
  call->done = [done = std::move(done), write = call.get()](Answer answer) {
    if (answer.error) return done(std::move(*answer.error));
    if (write->transaction_reply) return done(std::move(*write->transaction_reply));
    done(decode_write(*write, answer.rows.get()));
  };
  lanes_->submit(lanes_->writes(), std::move(call));
}

void PostgresStorage::set_guard(base::SlotRange range, Token token, base::Nanoseconds deadline, Callback<void> done) {
  if (range.first > range.last || range.last >= base::kSlots || token.is_nil()) {
    return done(Error::of(ErrorCode::invalid_argument, "set_guard needs a range of slots and a token that is not nil"));
  }
  lanes_->set_guard(range, token, deadline, std::move(done));
}

void PostgresStorage::scan(std::uint64_t position, std::size_t limit, base::Nanoseconds deadline, Callback<ScanReply> done) {
  const auto rows_max = std::clamp<std::size_t>(limit, 1, kScanRowsMax);
  auto call = std::make_shared<Call>();
  call->doing = "a scan";
  call->statement = &statements::kScan;
  call->tells_timeline = true;
  call->deadline = deadline;
  call->on_loss = OnLoss::resend;
  call->parameters.add(encoded(static_cast<std::int64_t>(std::min(position, kPositionEnd))))
      .add(encoded(static_cast<std::int64_t>(rows_max)));
  call->done = [done = std::move(done), rows_max](Answer answer) {
    if (answer.error) return done(read_error(std::move(*answer.error)));
    const auto* rows = answer.rows.get();
    const int count = PQntuples(rows);
    ScanReply reply;
    if (count > 0) reply.database_ms = int8_at(rows, 0, 1);
    for (int row = 0; row < count; ++row) {
      if (!bool_at(rows, row, 4)) continue;
      reply.keys.push_back(
          {std::string(bytes_at(rows, row, 3)), int8_at(rows, row, 5), static_cast<ValueKind>(int4_at(rows, row, 6))});
    }
    if (static_cast<std::size_t>(count) >= rows_max) {
      reply.next = static_cast<std::uint64_t>(int8_at(rows, count - 1, 2)) + 1;
    }
    done(std::move(reply));
  };
  lanes_->submit(lanes_->administration(), std::move(call));
}

void PostgresStorage::count(base::Nanoseconds deadline, Callback<KeyCount> done) {
  auto call = std::make_shared<Call>();
  call->doing = "counting keys";
  call->statement = &statements::kCount;
  call->tells_timeline = true;
  call->deadline = deadline;
  call->on_loss = OnLoss::resend;
  call->parameters.add(encoded(kCountExactRowsMax));
  call->done = [done = std::move(done)](Answer answer) {
    if (answer.error) return done(read_error(std::move(*answer.error)));
    done(KeyCount{static_cast<std::uint64_t>(int8_at(answer.rows.get(), 0, 1)), bool_at(answer.rows.get(), 0, 2)});
  };
  lanes_->submit(lanes_->administration(), std::move(call));
}

void PostgresStorage::split_points(base::SlotRange range, int parts, base::Nanoseconds deadline,
                                   Callback<std::vector<base::Slot>> done) {
  if (range.first > range.last || range.last >= base::kSlots || parts < 1) {
    return done(Error::of(ErrorCode::invalid_argument, "split_points needs a range of slots and at least one part"));
  }
  auto call = std::make_shared<Call>();
  call->doing = "looking for split points";
  call->statement = &statements::kSlotCounts;
  call->tells_timeline = true;
  call->deadline = deadline;
  call->on_loss = OnLoss::resend;
  call->parameters.add(encoded(static_cast<std::int64_t>(first_position_of(range.first))))
      .add(encoded(static_cast<std::int64_t>((std::uint64_t{range.last} + 1) << 48)))
      .add(encoded(kSplitRowsMax));
  call->done = [done = std::move(done), range, parts](Answer answer) {
    if (answer.error) return done(read_error(std::move(*answer.error)));
    std::vector<std::pair<base::Slot, std::uint64_t>> counts;
    for (int row = 0; row < PQntuples(answer.rows.get()); ++row) {
      counts.emplace_back(static_cast<base::Slot>(int4_at(answer.rows.get(), row, 1)),
                          static_cast<std::uint64_t>(int8_at(answer.rows.get(), row, 2)));
    }
    done(split_evenly(range, parts, counts));
  };
  lanes_->submit(lanes_->administration(), std::move(call));
}

void PostgresStorage::forget(std::vector<Tombstone> tombstones) {
  for (std::size_t from = 0; from < tombstones.size(); from += kForgetBatchMax) {
    ArrayBuilder keys(oid::kBytea);
    ArrayBuilder versions(oid::kInt8);
    for (std::size_t i = from; i < std::min(from + kForgetBatchMax, tombstones.size()); ++i) {
      keys.add(tombstones[i].key);
      versions.add(encoded(static_cast<std::int64_t>(tombstones[i].version)));
    }
    auto call = std::make_shared<Call>();
    call->doing = "forgetting tombstones";
    call->statement = &statements::kForget;
    call->deadline = base::now() + kForgetDeadline;
    call->on_loss = OnLoss::fail;
    call->parameters.add(keys.take()).add(versions.take());
    call->bytes = call->parameters.bytes();
    call->done = [](const Answer&) {};
    lanes_->submit(lanes_->administration(), std::move(call));
  }
}

void PostgresStorage::health(base::Nanoseconds deadline, Callback<Health> done) {
  auto call = std::make_shared<Call>();
  call->doing = "a health check";
  call->statement = &statements::kIdentity;
  call->tells_timeline = true;
  call->standby_may_answer = true;
  call->deadline = deadline;
  call->on_loss = OnLoss::resend;
  call->done = [done = std::move(done)](Answer answer) {
    if (answer.error) return done(read_error(std::move(*answer.error)));
    const auto text = [&](int column) { return std::string(bytes_at(answer.rows.get(), 0, column)); };
    Health health;
    health.identity = {text(1), text(2), text(3)};
    health.writable = !bool_at(answer.rows.get(), 0, 4);
    health.database_ms = int8_at(answer.rows.get(), 0, 5);
    done(std::move(health));
  };
  lanes_->submit(lanes_->administration(), std::move(call));
}

// On the lane of scans and counts: the others may wait behind locks.
void PostgresStorage::pass_requests(const PassRequests& known, bool standing, base::Nanoseconds deadline,
                                    Callback<PassRequests> done) {
  if (lanes_->options().dialect != GuardDialect::advisory) {
    return done(Error::of(ErrorCode::unsupported, "freshet.pass needs guards of the advisory dialect"));
  }
  auto call = std::make_shared<Call>();
  call->doing = "looking for freshet.pass";
  call->statement = &statements::kPassRequests;
  call->tells_timeline = true;
  call->deadline = deadline;
  call->on_loss = OnLoss::fail;
  call->parameters.add(encoded(static_cast<std::int64_t>(known.number))).add(known.server).add(encoded(standing));
  call->done = [done = std::move(done)](Answer answer) {
    if (answer.error) return done(read_error(std::move(*answer.error)));
    const auto* rows = answer.rows.get();
    PassRequests requests{static_cast<std::uint64_t>(int8_at(rows, 0, 1)), std::string(bytes_at(rows, 0, 2))};
    if (!is_null(rows, 0, 3)) requests.cells = int4s_at(rows, 0, 3);
    done(std::move(requests));
  };
  lanes_->submit(lanes_->administration(), std::move(call));
}

void PostgresStorage::acknowledge_passes(const PassesHeard& heard, base::Nanoseconds deadline, Callback<void> done) {
  ArrayBuilder cells(oid::kInt4);
  for (const int cell : heard.cells) cells.add(encoded(std::int32_t{cell}));
  auto call = std::make_shared<Call>();
  call->doing = "acknowledging freshet.pass";
  call->statement = &statements::kAcknowledgePasses;
  call->tells_timeline = true;
  call->deadline = deadline;
  call->on_loss = OnLoss::fail;
  call->parameters.add(lanes_->options().fleet)
      .add(cells.take())
      .add(encoded(static_cast<std::int64_t>(heard.number)))
      .add(heard.server)
      .add(encoded(static_cast<std::int64_t>(heard.period)));
  call->done = [done = std::move(done)](Answer answer) {
    if (answer.error) return done(std::move(*answer.error));
    done({});
  };
  lanes_->submit(lanes_->administration(), std::move(call));
}

}  // namespace freshet::storage::postgres
