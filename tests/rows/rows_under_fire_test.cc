// Rows of guarded tables under fire, over a real PostgreSQL whose connections are cut all the time: commands on columns,
// transactions that move money, plain SQL that must be refused or, where nothing seals the table, must be seen to break
// promises. Seeds are printed.
#include <gtest/gtest.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <random>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "cache/engine.h"
#include "cache/transaction.h"
#include "random_seed.h"
#include "storage/postgres/options.h"
#include "tcp_proxy.h"
#include "temporary_postgres.h"
#include "test_engine.h"

namespace freshet {
namespace {

using cache::Engine;
using cache::Mutation;
using cache::Reading;
using storage::Cell;
using testing::future_of;
using testing::SqlSession;
using testing::take;
using testing::TcpProxy;
using testing::TemporaryPostgres;

constexpr unsigned kAccounts = 6;
constexpr std::int64_t kMoney = 100;
constexpr int kMovers = 4;
constexpr int kMovesEach = 120;
constexpr unsigned kManyAccounts = 200;
constexpr int kManyMovers = 16;
constexpr int kCounters = 4;
constexpr int kAddsEach = 200;
constexpr int kSqlEach = 60;

// A column of a row as it was read.
std::int64_t column(const Reading& reading, std::string_view name) {
  const auto text = storage::column_of(reading.value, *reading.shape->find(name));
  std::int64_t value = -1;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

class RowsUnderFire : public ::testing::Test {
 protected:
  void open(const std::string& table, const std::string& sql, bool sealed = true) {
    random_.seed(testing::random_seed());
    url_ = TemporaryPostgres::shared().create_database();
    TemporaryPostgres::run(url_, sql);
    proxy_ = std::make_unique<TcpProxy>(TemporaryPostgres::shared().port());
    cache::EngineOptions options;
    options.storage_url = TemporaryPostgres::shared().url_through(proxy_->port(), testing::database_of(url_));
    options.memory_bytes = 16 << 20;
    options.storage_connections = connections_;
    storage::CollectionSpec spec;
    spec.name = table;
    spec.table = table;
    spec.guarded = true;
    spec.exclusive_writer = !sealed;
    options.collections.push_back(spec);
    auto opened = Engine::open(options);
    ASSERT_TRUE(opened) << opened.error().what;
    engine_ = std::move(*opened);
    while (engine_->stats().slots_guarded != base::kSlots) std::this_thread::yield();
  }
  // Cuts every connection, again and again, until `done`.
  void cut_until(const std::atomic<bool>& done, int every = 40) {
    while (!done) {
      const int before = writes_;
      while (!done && writes_ < before + every) std::this_thread::yield();
      proxy_->cut();
      ++cuts_;
    }
  }

  Result<std::shared_ptr<cache::Transaction>> begin(std::vector<std::string> keys) {
    auto future = future_of<std::shared_ptr<cache::Transaction>>(
        [&](auto done) { engine_->begin(std::move(keys), base::kForever, std::move(done)); });
    return take(future);
  }
  Result<storage::WriteReply> commit(cache::Transaction& transaction, std::vector<Mutation> mutations) {
    auto future = future_of<storage::WriteReply>(
        [&](auto done) { transaction.commit(std::move(mutations), base::kForever, std::move(done)); });
    return take(future);
  }
  Result<std::shared_ptr<cache::SqlGuard>> guard(const std::string& key, base::Nanoseconds limit) {
    auto future = future_of<std::shared_ptr<cache::SqlGuard>>(
        [&](auto done) { engine_->guard_sql({key}, base::kForever, limit, std::move(done)); });
    return take(future);
  }
  Result<storage::WriteReply> write(Mutation mutation) {
    std::vector<Mutation> mutations;
    mutations.push_back(std::move(mutation));
    auto future = future_of<storage::WriteReply>(
        [&](auto done) { engine_->write(std::move(mutations), false, base::kForever, std::move(done)); });
    return take(future);
  }
  Result<Reading> read(const std::string& key) {
    auto future = future_of<Reading>([&](auto done) { engine_->get(key, {}, std::move(done)); });
    return take(future);
  }
  static Mutation change(const std::string& key, Cell cell) {
    Mutation mutation;
    mutation.kind = storage::MutationKind::change;
    mutation.key = key;
    mutation.expiry.mode = storage::Expiry::Mode::keep;
    mutation.cells.push_back(std::move(cell));
    return mutation;
  }
  std::string sql(const std::string& statement) {
    const auto outcome = SqlSession(url_).run(statement);
    return outcome.ok ? (outcome.rows.empty() ? "" : outcome.rows.front().front()) : outcome.state;
  }
  unsigned draw() {
    std::lock_guard lock(random_mutex_);
    return random_();
  }

  int connections_ = cache::EngineOptions().storage_connections;
  std::mutex random_mutex_;
  std::mt19937 random_;
  std::string url_;
  std::unique_ptr<TcpProxy> proxy_;
  std::unique_ptr<Engine> engine_;
  std::atomic<int> writes_{0};
  std::atomic<int> cuts_{0};
};

// Money moves between accounts, computed from what the transactions have read. Whatever is cut, lost or unknown: it is all
// or nothing, and nothing comes between the reading and the writing.
class MoneyUnderFire : public RowsUnderFire {
 protected:
  void open_accounts(unsigned accounts) {
    accounts_ = accounts;
    open("accounts", fmt::format("CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0), "
                                 "moves int NOT NULL DEFAULT 0); INSERT INTO accounts SELECT i, {} FROM "
                                 "generate_series(1, {}) i",
                                 kMoney, accounts));
    made_by_ = sql("SELECT min(xmin::text) FROM accounts");
  }
  void move() {
    const auto from_key = fmt::format("accounts:{}", 1 + draw() % accounts_);
    const auto to_key = fmt::format("accounts:{}", 1 + draw() % accounts_);
    if (from_key == to_key) return;
    auto transaction = begin({from_key, to_key});
    if (!transaction) return void(++failed_);
    const auto& readings = (*transaction)->readings();
    const auto have = column(readings.at(from_key), "balance");
    const auto amount = std::min<std::int64_t>(have, 1 + static_cast<std::int64_t>(draw() % 50));
    const auto other = column(readings.at(to_key), "balance");
    ++writes_;
    const auto reply =
        commit(**transaction, {change(from_key, {"balance", Cell::Kind::set, std::to_string(have - amount)}),
                               change(to_key, {"balance", Cell::Kind::set, std::to_string(other + amount)}),
                               change(to_key, {"moves", Cell::Kind::add, "1"})});
    (reply ? moved_ : reply.error().code == ErrorCode::unknown_outcome ? unknown_ : failed_) += 1;
  }
  // A transaction of one client's writes two rows: more of one transaction were written by several clients.
  void look_for_company(const std::atomic<bool>& done) {
    SqlSession session(url_);
    const auto look = fmt::format("SELECT FROM accounts WHERE xmin::text <> '{}' GROUP BY xmin::text HAVING count(*) > 2",
                                  made_by_);
    while (!done) together_ += session.run(look).rows.empty() ? 0 : 1;
  }
  // Beside cuts, and looks at what travelled together.
  void move_all(int movers_count, int cut_every) {
    std::atomic<bool> done = false;
    std::thread cutter([&] { cut_until(done, cut_every); });
    std::thread watcher([&] { look_for_company(done); });
    std::vector<std::thread> movers;
    for (int i = 0; i < movers_count; ++i) {
      movers.emplace_back([&] {
        for (int k = 0; k < kMovesEach; ++k) move();
      });
    }
    for (auto& mover : movers) mover.join();
    done = true;
    cutter.join();
    watcher.join();
    expect_nothing_lost();
    std::cerr << fmt::format("{} moved, {} of unknown outcome, {} failed, {} cuts, {} looks showed company\n", moved_.load(),
                             unknown_.load(), failed_.load(), cuts_.load(), together_.load());
    EXPECT_GT(moved_, movers_count * kMovesEach / 4);
    EXPECT_GT(cuts_, 3);
  }
  void expect_nothing_lost() {
    EXPECT_EQ(sql("SELECT sum(balance) FROM accounts"), std::to_string(kMoney * accounts_));
    const auto moves = std::atoi(sql("SELECT sum(moves) FROM accounts").c_str());
    EXPECT_GE(moves, moved_) << "what was acknowledged is there";
    EXPECT_LE(moves, moved_ + unknown_) << "and nothing twice";
  }

  unsigned accounts_ = 0;
  std::string made_by_;
  std::atomic<int> moved_ = 0, unknown_ = 0, failed_ = 0, together_ = 0;
};

TEST_F(MoneyUnderFire, money_is_neither_made_nor_lost) {
  open_accounts(kAccounts);
  move_all(kMovers, 40);
}

// More clients than connections, and rows enough that they seldom want the same: their transactions travel together.
TEST_F(MoneyUnderFire, money_that_moves_together_is_neither_made_nor_lost) {
  connections_ = storage::postgres::kConnectionsMin;
  open_accounts(kManyAccounts);
  move_all(kManyMovers, 200);
  EXPECT_GT(together_, 0) << "inconclusive: each travelled alone";
}

// Each row counts. A read is at least what was acknowledged before it began, and at most what was asked for until it ended;
// and what a trigger makes of the row belongs to it.
class Counting {
 public:
  std::atomic<std::int64_t> acknowledged{0}, asked{0};
};

TEST_F(RowsUnderFire, counters_are_as_new_as_what_was_acknowledged) {
  open("counters", fmt::format("CREATE TABLE counters (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0, twice bigint);"
                               "CREATE FUNCTION doubled() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.twice IS "
                               "DISTINCT FROM NEW.n * 2 THEN UPDATE public.counters SET twice = n * 2 WHERE id = NEW.id; "
                               "END IF; "
                               "RETURN NULL; END $$; CREATE TRIGGER t AFTER INSERT OR UPDATE ON counters FOR EACH ROW "
                               "EXECUTE FUNCTION doubled(); INSERT INTO counters SELECT i FROM generate_series(1, {}) i",
                               kCounters));
  std::vector<Counting> counting(kCounters + 1);
  std::atomic<bool> done = false;
  std::atomic<int> hits = 0, wrong = 0, refused = 0;
  const auto key_of = [](unsigned row) { return fmt::format("counters:{}", row); };
  std::vector<std::thread> threads;
  for (int i = 0; i < kMovers; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < kAddsEach; ++k) {
        const auto row = 1 + draw() % kCounters;
        ++counting[row].asked;
        ++writes_;
        if (write(change(key_of(row), {"n", Cell::Kind::add, "1"}))) ++counting[row].acknowledged;
      }
    });
  }
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!done) {
        const auto row = 1 + draw() % kCounters;
        const auto least = counting[row].acknowledged.load();
        const auto reading = read(key_of(row));
        if (!reading) continue;
        hits += reading->source == cache::Source::memory;
        const auto n = column(*reading, "n");
        wrong += n < least || n > counting[row].asked || column(*reading, "twice") != 2 * n;
      }
    });
  }
  readers.emplace_back([&] {
    while (!done) refused += sql("UPDATE counters SET n = -5") == "FR005";
  });
  std::thread cutter([&] { cut_until(done); });
  for (auto& thread : threads) thread.join();
  done = true;
  cutter.join();
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(hits, 100) << "inconclusive: nothing was served from memory";
  EXPECT_GT(refused, 0);
  std::cerr << fmt::format("{} hits, {} plain updates refused, {} cuts\n", hits.load(), refused.load(), cuts_.load());
}

// The application's own SQL, in transactions that begin with the guard's statement: some commit, some roll back, some are
// cut in the middle, some are left open and forgotten. Hits beside them are never older than what was acknowledged.
TEST_F(RowsUnderFire, guarded_sql_is_seen_at_once_and_abandoned_transactions_are_fenced) {
  open("counters", fmt::format("CREATE TABLE counters (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0);"
                               "INSERT INTO counters SELECT i FROM generate_series(1, {}) i", kCounters));
  std::vector<Counting> counting(kCounters + 1);
  std::atomic<bool> done = false;
  std::atomic<int> wrong = 0, hits = 0, committed = 0, abandoned = 0, refused = 0;
  const auto write_once = [&](SqlSession& session, unsigned row) {
    auto lent = guard(fmt::format("counters:{}", row), 20 * base::kSecond);
    if (!lent) return;
    ++counting[row].asked;
    session.run("BEGIN");
    const bool passed = session.run((*lent)->statement()).ok;
    const auto outcome = session.run(fmt::format("UPDATE counters SET n = n + 1 WHERE id = {}", row));
    refused += session.run(fmt::format("SAVEPOINT s; UPDATE counters SET n = -9 WHERE id <> {}", row)).state == "FR005";
    session.run("ROLLBACK TO s");
    if (!passed || !outcome.ok) {
      session.run("ROLLBACK");
      (*lent)->end(cache::SqlGuard::Outcome::rolled_back);
      return;
    }
    switch (draw() % 4) {
      case 0:  // It never says how it ended, and then it commits after all: too late, or in time.
        ++abandoned;
        lent->reset();
        session.run("COMMIT");
        return;
      case 1:
        session.run("ROLLBACK");
        (*lent)->end(cache::SqlGuard::Outcome::rolled_back);
        return;
      default:
        if (!session.run("COMMIT").ok) return;
        if ((*lent)->end(cache::SqlGuard::Outcome::committed)) ++counting[row].acknowledged;
        ++committed;
    }
  };
  std::vector<std::thread> writers;
  for (int i = 0; i < 2; ++i) {
    writers.emplace_back([&] {
      SqlSession session(url_);
      for (int k = 0; k < kSqlEach; ++k) write_once(session, 1 + draw() % kCounters);
    });
  }
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      std::vector<std::int64_t> seen(kCounters + 1, 0);
      while (!done) {
        const auto row = 1 + draw() % kCounters;
        const auto least = std::max(counting[row].acknowledged.load(), seen[row]);
        const auto reading = read(fmt::format("counters:{}", row));
        if (!reading) continue;
        hits += reading->source == cache::Source::memory;
        seen[row] = column(*reading, "n");
        wrong += seen[row] < least || seen[row] > counting[row].asked;
      }
    });
  }
  for (auto& writer : writers) writer.join();
  done = true;
  for (auto& reader : readers) reader.join();
  std::cerr << fmt::format("{} hits, {} committed, {} abandoned, {} refused\n", hits.load(), committed.load(),
                           abandoned.load(), refused.load());
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(hits, 100) << "inconclusive";
  EXPECT_GT(committed, kSqlEach / 2);
  EXPECT_GT(abandoned, 0);
  EXPECT_GT(refused, 0) << "what it did not name is not its to write";
  EXPECT_EQ(std::to_string(column(*read("counters:1"), "n")), sql("SELECT n FROM counters WHERE id = 1"));
}

// A session that idles inside the guard, unheard of: the server ends it, and the keys come back by themselves.
TEST_F(RowsUnderFire, a_transaction_that_never_ends_gives_its_keys_back) {
  open("counters", "CREATE TABLE counters (id int PRIMARY KEY, n bigint NOT NULL); INSERT INTO counters VALUES (1, 0)");
  SqlSession session(url_);
  {
    auto lent = guard("counters:1", 20 * base::kMillisecond);
    ASSERT_TRUE(lent) << lent.error().what;
    session.run("SET idle_in_transaction_session_timeout = '300ms'");
    session.run("BEGIN");
    ASSERT_TRUE(session.run((*lent)->statement()).ok);
    ASSERT_TRUE(session.run("UPDATE counters SET n = 7").ok);
    while (engine_->stats().unknown_outcomes == 0) std::this_thread::yield();
    EXPECT_FALSE((*lent)->end(cache::SqlGuard::Outcome::committed)) << "its limit has given it up";
  }
  const auto written = write(change("counters:1", {"n", Cell::Kind::add, "1"}));
  ASSERT_TRUE(written) << written.error().what;
  EXPECT_EQ(column(*read("counters:1"), "n"), 1) << "what idled is rolled back";
}

// Without the seal a plain update passes, and the hit behind it is stale: the seal is what makes the difference.
TEST_F(RowsUnderFire, without_a_seal_plain_sql_leaves_stale_hits) {
  open("counters", "CREATE TABLE counters (id int PRIMARY KEY, n bigint NOT NULL); INSERT INTO counters VALUES (1, 0)",
       false);
  ASSERT_TRUE(write(change("counters:1", {"n", Cell::Kind::set, "1"})));
  EXPECT_EQ(sql("UPDATE counters SET n = 2"), "");
  const auto reading = read("counters:1");
  ASSERT_TRUE(reading);
  EXPECT_EQ(column(*reading, "n"), 1) << "stale, as was to be shown";
}

}  // namespace
}  // namespace freshet
