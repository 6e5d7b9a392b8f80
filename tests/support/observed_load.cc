// Registers: written by every kind of SQL, read linearizably. See observed_load.h.
#include "observed_load.h"

#include <algorithm>
#include <chrono>
#include <future>

#include <fmt/format.h>

#include "observed_counters.h"
#include "progress.h"

namespace freshet::testing {
namespace {

using checker::Kind;
using checker::Operation;
using checker::Outcome;

constexpr auto kPauseAfterFailure = std::chrono::milliseconds(2);
constexpr std::size_t kAnomaliesMax = 8;
constexpr std::uint64_t kContendedHits = 2 * checker::kReadsDuringWriteMin;

std::string upsert(std::uint64_t id, const std::string& value) {
  return fmt::format("INSERT INTO register VALUES ({0}, '{1}') ON CONFLICT (id) DO UPDATE SET value = '{1}'", id, value);
}

std::string key_of(std::uint64_t id) { return fmt::format("register:{}", id); }

}  // namespace

std::vector<storage::CollectionSpec> observed_load_collections() {
  std::vector<storage::CollectionSpec> specs(3);
  specs[0].name = specs[0].table = "register";
  specs[1].name = specs[1].table = "counter";
  specs[2].name = specs[2].table = "account";
  return specs;
}

std::string observed_load_schema(const ObservedLoadOptions& options) {
  const std::string registers = options.partitioned
      ? "CREATE TABLE register (id bigint PRIMARY KEY, value text NOT NULL) PARTITION BY HASH (id);"
        "CREATE TABLE register_0 PARTITION OF register FOR VALUES WITH (MODULUS 3, REMAINDER 0);"
        "CREATE TABLE register_1 PARTITION OF register FOR VALUES WITH (MODULUS 3, REMAINDER 1);"
        "CREATE TABLE register_2 PARTITION OF register FOR VALUES WITH (MODULUS 3, REMAINDER 2);"
      : "CREATE TABLE register (id bigint PRIMARY KEY, value text NOT NULL);";
  return registers + fmt::format(
      "CREATE TABLE counter (id int PRIMARY KEY, n bigint NOT NULL);"
      "INSERT INTO counter SELECT i, 0 FROM generate_series(0, {}) i;"
      "CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL);"
      "INSERT INTO account SELECT i, 100 FROM generate_series(0, {}) i;",
      kObservedCounters - 1, options.accounts - 1);
}

std::string without_numbers(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit || result.empty() || result.back() != '#') result += digit ? '#' : c;
  }
  return result;
}

ObservedLoad::ObservedLoad(const ObservedLoadOptions& options, std::string url, Engines engines)
    : options_(options),
      url_(std::move(url)),
      engines_(std::move(engines)),
      recorder_(static_cast<std::size_t>(options.writers + options.readers + options.sql_readers)) {
  for (int i = 0; i < kObservedCounters; ++i) counters_.push_back(std::make_unique<Counter>());
  std::uint32_t id = 0;
  for (int i = 0; i < options_.writers; ++i, ++id) threads_.emplace_back([this, id] { write_registers(id); });
  for (int i = 0; i < options_.readers; ++i, ++id) threads_.emplace_back([this, id] { read_registers(id); });
  for (int i = 0; i < options_.sql_readers; ++i, ++id) threads_.emplace_back([this, id] { select_registers(id); });
  threads_.emplace_back([this] { write_counters(); });
  threads_.emplace_back([this, id] { read_counters(id); });
  threads_.emplace_back([this, id] { read_counters(id + 1); });
  threads_.emplace_back([this] { move_money(); });
  threads_.emplace_back([this, id] { read_accounts(id + 2); });
}

ObservedLoad::~ObservedLoad() { stop(); }

void ObservedLoad::stop() {
  stopping_ = true;
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

bool ObservedLoad::wait_for_progress(std::uint64_t reads, base::Nanoseconds timeout) {
  return wait_for_more(reads_, reads, timeout);
}

void ObservedLoad::pause_writing() const {
  if (options_.write_pause > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(options_.write_pause));
}

bool ObservedLoad::wait_for_contention(base::Nanoseconds timeout) const {
  const auto seen = contended_hits_.load();
  return wait_for_more(contended_hits_, std::max(kContendedHits, seen) - seen, timeout);
}

checker::Judgement ObservedLoad::judge() { return checker::judge(recorder_.take()); }

std::vector<std::string> ObservedLoad::anomalies() const {
  std::lock_guard lock(mutex_);
  return anomalies_;
}

std::map<std::string, std::uint64_t> ObservedLoad::errors() const {
  std::lock_guard lock(mutex_);
  return errors_;
}

ObservedLoad::Counts ObservedLoad::counts() const {
  return {writes_, reads_, hits_, failed_reads_, any_, bounded_, session_, snapshots_};
}

void ObservedLoad::anomaly(std::string text) {
  std::lock_guard lock(mutex_);
  if (anomalies_.size() < kAnomaliesMax) anomalies_.push_back(std::move(text));
}

// Every register is replaced after a while, so that histories stay short enough to search.
std::uint64_t ObservedLoad::draw_register(base::Random& random) {
  const auto keys = static_cast<std::uint64_t>(options_.keys);
  const auto generation = turns_.fetch_add(1) / (keys * static_cast<std::uint64_t>(options_.operations_a_key));
  return generation * keys + random.below(keys);
}

void ObservedLoad::write_registers(std::uint32_t id) {
  LoadSession session(url_);
  base::Random random(options_.seed * 1000 + id);
  for (std::uint64_t turn = 0; !stopping_; ++turn) {
    if (!session.connect()) {
      std::this_thread::sleep_for(kPauseAfterFailure);
      continue;
    }
    write_register(session, id, random, turn);
    pause_writing();
  }
}

// A transaction takes effect between the sending of its commit and the answer: its operations' interval.
void ObservedLoad::transact(LoadSession& session, std::uint32_t id, const std::vector<std::string>& statements,
                            std::vector<Operation> operations, const std::string& commit) {
  for (auto& operation : operations) operation.client = id;
  bool alive = true;
  std::vector<std::uint64_t> touched;
  for (const auto& statement : statements) {
    const auto outcome = session.run(statement);
    alive = outcome.ok;
    if (!alive) break;
    touched.push_back(outcome.rows_touched);
  }
  if (!alive) return session.roll_back();  // Nothing was committed: not in the history.
  const auto invoked = base::now();
  for (const auto& operation : operations) ++commits_of(operation.key).under_way;
  const auto outcome = session.run(commit);
  for (const auto& operation : operations) {
    --commits_of(operation.key).under_way;
    ++commits_of(operation.key).ended;
  }
  const auto returned = base::now();
  if (!outcome.ok && !outcome.lost) return session.roll_back();
  writes_.fetch_add(1);
  for (auto& operation : operations) {
    // A writer must look at its row count: a DELETE that waited behind a delete and an insert touches no row, and so proves
    // nothing, not even that there was none.
    if (operation.kind == Kind::erase && touched.back() == 0) continue;
    operation.invoked_ns = invoked;
    operation.returned_ns = returned;
    operation.outcome = outcome.ok ? Outcome::ok : Outcome::unknown;
    recorder_.record(std::move(operation));
  }
  // A prepared transaction outlives the session, and its locks with it. If it is still there it was not committed.
  constexpr std::string_view kPrepared = "COMMIT PREPARED ";
  while (outcome.lost && commit.starts_with(kPrepared) && !stopping_) {
    if (!session.run("ROLLBACK PREPARED " + commit.substr(kPrepared.size())).lost) break;
    std::this_thread::sleep_for(kPauseAfterFailure);
  }
}

void ObservedLoad::write_register(LoadSession& session, std::uint32_t id, base::Random& random, std::uint64_t turn) {
  const auto row = draw_register(random);
  const auto value = fmt::format("w{}-{}", id, turn);
  Operation set;
  set.kind = Kind::set;
  set.key = key_of(row);
  set.argument = value;
  const auto dice = random.below(100);
  if (dice < 40) return transact(session, id, {"BEGIN", upsert(row, value)}, {set}, "COMMIT");
  if (dice < 50) {
    return transact(session, id, {"BEGIN", "SAVEPOINT a", upsert(row, "never"), "ROLLBACK TO a", "SAVEPOINT b",
                                  upsert(row, value), "RELEASE b"}, {set}, "COMMIT");
  }
  if (dice < 60) {
    return transact(session, id, {"BEGIN", fmt::format("DELETE FROM register WHERE id = {}", row),
                                  fmt::format("INSERT INTO register VALUES ({}, '{}')", row, value)}, {set}, "COMMIT");
  }
  if (dice < 70 && options_.prepared_transactions) {
    const auto name = fmt::format("load-{}-{}", id, turn);
    return transact(session, id, {"BEGIN", upsert(row, value), fmt::format("PREPARE TRANSACTION '{}'", name)}, {set},
                    fmt::format("COMMIT PREPARED '{}'", name));
  }
  if (dice < 85) {
    const auto first = row / static_cast<std::uint64_t>(options_.keys) * static_cast<std::uint64_t>(options_.keys);
    const auto other = first + (row - first + 1) % static_cast<std::uint64_t>(options_.keys);
    Operation second = set;
    second.key = key_of(other);
    const auto low = std::min(row, other), high = std::max(row, other);
    return transact(session, id, {"BEGIN", upsert(low, value), upsert(high, value)}, {set, second}, "COMMIT");
  }
  Operation erase;
  erase.kind = Kind::erase;
  erase.key = key_of(row);
  transact(session, id, {"BEGIN", fmt::format("DELETE FROM register WHERE id = {}", row)}, {erase}, "COMMIT");
}

Result<std::vector<cache::Reading>> ObservedLoad::get(cache::Engine& engine, std::vector<std::string> keys,
                                                      cache::ReadOptions options) {
  options.deadline = base::now() + options_.read_timeout;
  std::promise<Result<std::vector<cache::Reading>>> answer;
  engine.get_many(std::move(keys), options,
                  [&](Result<std::vector<cache::Reading>> readings) { answer.set_value(std::move(readings)); });
  auto readings = answer.get_future().get();
  if (readings) {
    reads_.fetch_add(1);
  } else {
    failed_reads_.fetch_add(1);
    {
      std::lock_guard lock(mutex_);
      ++errors_[without_numbers(readings.error().what)];
    }
    std::this_thread::sleep_for(kPauseAfterFailure);
  }
  return readings;
}

void ObservedLoad::read_registers(std::uint32_t id) {
  base::Random random(options_.seed * 1000 + id);
  while (!stopping_) {
    Operation read;
    read.client = id;
    read.kind = Kind::get;
    read.key = key_of(draw_register(random));
    cache::ReadOptions options;
    options.level = cache::Level::linearizable;
    const Commits& commits = commits_of(read.key);
    read.invoked_ns = base::now();
    const auto ended = commits.ended.load();
    const bool contended = commits.under_way > 0;
    const auto readings = get(*engines_[random.below(engines_.size())], {read.key}, options);
    const bool throughout = contended && commits.ended == ended;
    read.returned_ns = base::now();
    if (!readings) continue;
    const auto& reading = readings->front();
    if (reading.present) read.result = std::string(*storage::column_of(reading.value, 1));
    read.source = reading.source == cache::Source::memory ? checker::Source::memory : checker::Source::storage;
    if (read.source == checker::Source::memory) {
      hits_.fetch_add(1);
      contended_hits_.fetch_add(throughout ? 1 : 0);
    }
    recorder_.record(std::move(read));
  }
}

void ObservedLoad::select_registers(std::uint32_t id) {
  LoadSession session(url_);
  base::Random random(options_.seed * 1000 + id);
  while (!stopping_) {
    Operation read;
    read.client = id;
    read.kind = Kind::get;
    read.source = checker::Source::sql;
    const auto row = draw_register(random);
    read.key = key_of(row);
    read.invoked_ns = base::now();
    const auto outcome = session.run(fmt::format("SELECT value FROM register WHERE id = {}", row));
    read.returned_ns = base::now();
    if (!outcome.ok) {
      std::this_thread::sleep_for(kPauseAfterFailure);
      continue;
    }
    if (!outcome.rows.empty()) read.result = outcome.rows[0][0];
    recorder_.record(std::move(read));
  }
}

}  // namespace freshet::testing
