// The races of observed collections, played step by step against a real PostgreSQL: each with its protection, where the
// answer must be right, and with the protection taken away, where it must be wrong. docs/CONSISTENCY-OBSERVED.md draws them.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include <fmt/format.h>

#include "cache/composed_engine.h"
#include "storage/postgres/observed/postgres_observed_storage.h"
#include "temporary_postgres.h"

namespace freshet::testing {
namespace {

constexpr auto kPatience = 20 * base::kSecond;
constexpr auto kReadTime = 4 * base::kSecond;

class ObservedRaces : public ::testing::TestWithParam<bool> {
 protected:
  ObservedRaces() : url_(server().create_database()) {
    TemporaryPostgres::run(url_, "CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL); "
                                 "INSERT INTO item VALUES (1, 10), (2, 20)");
  }

  static TemporaryPostgres& server() {
    static TemporaryPostgres server;
    return server;
  }
  bool is_protected() const { return GetParam(); }

  void open(consistency::ObservedProtections protections = {}) {
    storage::postgres::ObservedOptions observed;
    observed.url = url_;
    observed.slot = "races";
    cache::EngineOptions options;
    options.memory_bytes = 16 << 20;
    storage::CollectionSpec spec;
    spec.name = spec.table = "item";
    observed.specs = options.collections = {spec};
    cache::EngineParts parts;
    parts.observed_protections = protections;
    parts.make_observed = [observed](net::Loop& loop) -> std::unique_ptr<storage::ObservedStorage> {
      return *storage::postgres::PostgresObservedStorage::open(observed, loop);
    };
    engine_ = std::make_unique<cache::ComposedEngine>(options, std::move(parts));
    ASSERT_TRUE(eventually([&] { return engine_->stats().observed.streaming; }));
    // The start is over once an absent row is cached: nothing is held back any more.
    ASSERT_TRUE(eventually([&] { read(99); return read(99).source == cache::Source::memory; }));
  }

  bool eventually(const std::function<bool()>& holds) const {
    const auto deadline = base::now() + kPatience;
    while (!holds()) {
      if (base::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  cache::Reading read(int id, cache::Level level = cache::Level::linearizable) {
    std::promise<Result<cache::Reading>> answer;
    cache::ReadOptions options;
    options.level = level;
    options.deadline = base::now() + kReadTime;
    engine_->get(fmt::format("item:{}", id), options,
                 [&](Result<cache::Reading> reading) { answer.set_value(std::move(reading)); });
    auto reading = answer.get_future().get();
    EXPECT_TRUE(reading) << reading.error().what;
    return reading ? *std::move(reading) : cache::Reading{};
  }
  static std::string n_of(const cache::Reading& reading) {
    return reading.present ? std::string(*storage::column_of(reading.value, 1)) : "absent";
  }

  // Commits from now on wait for a standby that does not exist: flushed, sent to the stream, and not visible.
  void hold_visibility() { set_synchronous("'nobody'"); }
  void release_visibility() { set_synchronous("''"); }
  void set_synchronous(const std::string& names) {
    TemporaryPostgres::run(url_, "ALTER SYSTEM SET synchronous_standby_names = " + names);
    TemporaryPostgres::run(url_, "SELECT pg_reload_conf()");
    const bool held = names != "''";
    ASSERT_TRUE(eventually([&] {
      return (TemporaryPostgres::run(url_, "SHOW synchronous_standby_names")[0][0] != "") == held;
    }));
  }

  const std::string url_;
  std::unique_ptr<cache::ComposedEngine> engine_;
};

INSTANTIATE_TEST_SUITE_P(Protection, ObservedRaces, ::testing::Values(true, false),
                         [](const auto& test) { return test.param ? "on" : "off"; });

// The race that breaks other caches: the change arrives before it is visible, and the refill finds the old row.
TEST_P(ObservedRaces, ACommitReachesTheStreamBeforeItIsVisible) {
  consistency::ObservedProtections protections;
  protections.hold_until_visible = is_protected();
  open(protections);
  // The other row is cached, so that a change of it is seen to be applied.
  EXPECT_EQ(n_of(read(2)), "20");
  ASSERT_TRUE(eventually([&] { return read(2).source == cache::Source::memory; }));
  const auto before = engine_->stats().observed;
  hold_visibility();
  SqlSession writer(url_);
  writer.start("UPDATE item SET n = 11 WHERE id = 1");
  ASSERT_TRUE(eventually([&] {
    return !TemporaryPostgres::run(url_, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'").empty();
  }));
  // It has arrived once it is held, or (without the protection, when it is taken for settled) a later commit is applied.
  SqlSession later(url_);
  ASSERT_TRUE(later.run("SET synchronous_commit = local").ok);
  ASSERT_TRUE(later.run("UPDATE item SET n = 21 WHERE id = 2").ok);
  ASSERT_TRUE(eventually([&] {
    const auto now = engine_->stats().observed;
    return is_protected() ? now.held_transactions > 0 : now.changes_applied > before.changes_applied;
  }));
  EXPECT_EQ(n_of(read(1)), "10") << "as every SELECT shows it";
  release_visibility();
  ASSERT_TRUE(writer.finish().ok);
  if (is_protected()) {
    EXPECT_EQ(n_of(read(1)), "11");
  } else {
    EXPECT_EQ(n_of(read(1)), "10") << "invalidate and refill was expected to go stale for good";
  }
}

// An ALTER TABLE that rewrites the table sends nothing.
TEST_P(ObservedRaces, ARewriteSendsNothing) {
  consistency::ObservedProtections protections;
  protections.fingerprint = is_protected();
  open(protections);
  EXPECT_EQ(n_of(read(1)), "10");
  ASSERT_TRUE(eventually([&] { return read(1).source == cache::Source::memory; }));
  TemporaryPostgres::run(url_, "ALTER TABLE item ALTER COLUMN n TYPE int USING n * 2");
  if (is_protected()) {
    EXPECT_EQ(n_of(read(1)), "20");
  } else {
    EXPECT_EQ(n_of(read(1)), "10") << "a cache that only follows the stream was expected to miss it";
  }
}

// The end of the log may lie inside of a record that nobody will flush soon.
TEST_P(ObservedRaces, AnIdleBulkTransactionHoldsTheLogUp) {
  consistency::ObservedProtections protections;
  protections.nudge = is_protected();
  open(protections);
  TemporaryPostgres::run(url_, "CREATE TABLE bulk (id int, filler text)");
  ASSERT_TRUE(eventually([&] { return read(1).source == cache::Source::memory; }));
  SqlSession bulk(url_);
  ASSERT_TRUE(bulk.run("BEGIN").ok);
  const auto before = engine_->stats().observed.passed_through;
  int passed_through = 0;
  // Wherever the log happens to end: some of these leave it inside a record.
  for (int round = 0; round < 30 && passed_through == 0; ++round) {
    const auto end = TemporaryPostgres::run(url_, "SELECT pg_current_wal_insert_lsn()")[0][0];
    ASSERT_TRUE(bulk.run("INSERT INTO bulk SELECT i, repeat('x', 200) FROM generate_series(1, 500) i").ok);
    // The WAL writer flushes it by whole pages.
    ASSERT_TRUE(eventually([&] {
      return TemporaryPostgres::run(url_, "SELECT pg_current_wal_flush_lsn() > '" + end + "'")[0][0] == "t";
    }));
    read(1);
    passed_through = static_cast<int>(engine_->stats().observed.passed_through - before);
  }
  if (is_protected()) {
    EXPECT_EQ(passed_through, 0) << "no read had to go to the database for want of the stream";
  } else {
    EXPECT_GT(passed_through, 0) << "reads were expected to wait until their patience was over";
  }
}

}  // namespace
}  // namespace freshet::testing
