// Transactions of plain SQL on guarded tables (freshet.pass) beside nodes that serve the rows from memory: over a real
// PostgreSQL, each protection played with and without. Seeds are printed.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <random>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "cache/composed_engine.h"
#include "cache/transaction.h"
#include "held_storage.h"
#include "random_seed.h"
#include "tcp_proxy.h"
#include "temporary_postgres.h"
#include "test_engine.h"

namespace freshet {
namespace {

using cache::Mutation;
using cache::Reading;
using consistency::Protections;
using storage::Cell;
using testing::future_of;
using testing::HeldStorage;
using testing::SqlSession;
using testing::take;
using testing::TcpProxy;
using testing::TemporaryPostgres;

constexpr int kCounters = 4;
constexpr int kSqlWriters = 3;
constexpr int kSqlEach = 60;
constexpr int kRounds = 6;

struct NodeOptions {
  Protections protections = {};
  base::Nanoseconds poll_interval = consistency::OutsideLimits{}.poll_interval;
  base::Nanoseconds lease = base::kSecond;
};

// A node over a database, as Engine::open composes it, whose calls to storage a test can hold.
class Node {
 public:
  Node(const std::string& url, const NodeOptions& chosen) {
    cache::EngineOptions options;
    options.storage_url = url;
    options.memory_bytes = 16 << 20;
    options.lease = chosen.lease;
    auto& spec = options.collections.emplace_back();
    spec.name = spec.table = "counters";
    spec.guarded = true;
    auto parts = cache::open_parts(options);
    if (!parts) throw std::runtime_error(parts.error().what);
    auto holding = std::make_unique<HeldStorage>(std::move(parts->storage));
    held = holding.get();
    parts->storage = std::move(holding);
    parts->protections = chosen.protections;
    parts->limits.outside.poll_interval = chosen.poll_interval;
    engine = std::make_unique<cache::ComposedEngine>(options, std::move(*parts));
  }
  void wait_until_guarded() const {
    while (engine->stats().slots_guarded != base::kSlots) std::this_thread::yield();
  }
  // The counter, and where it came from.
  Result<std::pair<std::int64_t, cache::Source>> read(const std::string& key) {
    auto future = future_of<Reading>([&](auto done) { engine->get(key, {}, std::move(done)); });
    auto reading = take(future);
    if (!reading) return std::move(reading).error();
    return std::pair(count_in(*reading), reading->source);
  }
  std::int64_t count(const std::string& key) {
    const auto reading = read(key);
    EXPECT_TRUE(reading) << reading.error().what;
    return reading ? reading->first : -1;
  }
  static std::int64_t count_in(const Reading& reading) {
    const auto text = storage::column_of(reading.value, *reading.shape->find("n"));
    std::int64_t value = -1;
    if (text) std::from_chars(text->data(), text->data() + text->size(), value);
    return value;
  }
  Result<storage::WriteReply> write(Mutation mutation) {
    std::vector<Mutation> mutations;
    mutations.push_back(std::move(mutation));
    auto future = future_of<storage::WriteReply>(
        [&](auto done) { engine->write(std::move(mutations), false, base::kForever, std::move(done)); });
    return take(future);
  }
  Result<std::shared_ptr<cache::Transaction>> begin(std::vector<std::string> keys) {
    auto future = future_of<std::shared_ptr<cache::Transaction>>(
        [&](auto done) { engine->begin(std::move(keys), base::kForever, std::move(done)); });
    return take(future);
  }
  // Reads until it is a hit, so that what comes has something to make stale.
  std::int64_t warm(const std::string& key) {
    while (true) {
      const auto reading = read(key);
      if (reading && reading->second == cache::Source::memory) return reading->first;
    }
  }

  HeldStorage* held;
  std::unique_ptr<cache::ComposedEngine> engine;
};

Mutation change(const std::string& key, Cell::Kind kind, const std::string& text) {
  Mutation mutation;
  mutation.kind = storage::MutationKind::change;
  mutation.key = key;
  mutation.expiry.mode = storage::Expiry::Mode::keep;
  mutation.cells.push_back({"n", kind, text});
  return mutation;
}

std::string key_of(unsigned row) { return fmt::format("counters:{}", row); }

class PlainSql : public ::testing::Test {
 protected:
  void SetUp() override {
    url_ = TemporaryPostgres::shared().create_database();
    TemporaryPostgres::run(url_, fmt::format("CREATE TABLE counters (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0);"
                                             "INSERT INTO counters SELECT i FROM generate_series(1, {}) i", kCounters));
  }
  std::unique_ptr<Node> open(const NodeOptions& options = {}) {
    auto node = std::make_unique<Node>(url_, options);
    node->wait_until_guarded();
    return node;
  }
  std::string sql(const std::string& statement) {
    const auto outcome = SqlSession(url_).run(statement);
    return outcome.ok ? (outcome.rows.empty() ? "" : outcome.rows.front().front()) : outcome.state;
  }
  // Writes freshet.pass anew with a piece of it changed.
  void change_pass(const std::string& from, const std::string& to) {
    auto text = sql("SELECT pg_get_functiondef('freshet.pass(text[])'::regprocedure)");
    const auto place = text.find(from);
    ASSERT_NE(place, text.npos) << text;
    ASSERT_EQ(sql(text.replace(place, from.size(), to)), "");
  }
  unsigned draw() {
    std::lock_guard lock(random_mutex_);
    return random_();
  }

  std::mutex random_mutex_;
  std::mt19937 random_;
  std::string url_;
};

TEST_F(PlainSql, rows_are_not_cached_from_before_it_passes_until_after_it_has_ended) {
  const auto node = open();
  EXPECT_EQ(node->warm(key_of(1)), 0);
  SqlSession session(url_);
  ASSERT_TRUE(session.run("BEGIN; SELECT freshet.pass('counters:1')").ok);
  EXPECT_EQ(node->engine->stats().pass_cells_open, 1u);
  ASSERT_TRUE(session.run("UPDATE counters SET n = 1 WHERE id = 1").ok);
  for (int i = 0; i < 3; ++i) {
    const auto reading = node->read(key_of(1));
    ASSERT_TRUE(reading);
    EXPECT_EQ(*reading, std::pair(std::int64_t{0}, cache::Source::storage));
  }
  const auto explained = node->engine->explain(key_of(1));
  EXPECT_TRUE(std::any_of(explained.begin(), explained.end(), [](const auto& line) {
    return line.second.find("a transaction of plain SQL") != line.second.npos;
  }));
  ASSERT_TRUE(node->write(change(key_of(2), Cell::Kind::add, "5"))) << "writes through the node go on";
  ASSERT_TRUE(session.run("COMMIT").ok);
  EXPECT_EQ(node->count(key_of(1)), 1);
  EXPECT_EQ(node->warm(key_of(1)), 1) << "and it is cached again";
  ASSERT_EQ(sql("BEGIN; SELECT freshet.pass('counters:1'); ROLLBACK"), "");
  EXPECT_GE(node->engine->stats().pass_requests, 1u);
  EXPECT_EQ(node->engine->stats().pass_cells, 2u);
  while (node->engine->stats().pass_cells_open != 0) std::this_thread::yield();
}

TEST_F(PlainSql, without_the_marks_a_stale_hit_is_found) {
  NodeOptions options;
  options.protections.outside_marks = false;
  const auto node = open(options);
  node->warm(key_of(1));
  SqlSession session(url_);
  ASSERT_TRUE(session.run("BEGIN; SELECT freshet.pass('counters:1'); UPDATE counters SET n = 1 WHERE id = 1; COMMIT").ok);
  EXPECT_EQ(node->count(key_of(1)), 0) << "stale, as was to be shown";
}

// A fill that is on its way when the cell is marked, and answered after the commit.
TEST_F(PlainSql, a_fill_in_flight_is_not_cached) {
  const auto node = open();
  node->held->hold(HeldStorage::Kind::read, true);
  auto reading = future_of<Reading>([&](auto done) { node->engine->get(key_of(1), {}, std::move(done)); });
  const auto call = node->held->next(HeldStorage::Kind::read);
  node->held->hold(HeldStorage::Kind::read, false);
  call->execute();
  ASSERT_EQ(sql("BEGIN; SELECT freshet.pass('counters:1'); UPDATE counters SET n = 1 WHERE id = 1; COMMIT"), "");
  while (node->engine->stats().pass_cells_open != 0) std::this_thread::yield();
  call->reply();
  EXPECT_EQ(Node::count_in(*take(reading)), 0) << "it began before";
  EXPECT_EQ(node->count(key_of(1)), 1);
}

// A write whose answer was lost is looked for in its row. What is seen there may be another's, and is not taken for its own.
TEST_F(PlainSql, a_lost_write_is_not_judged_by_a_row_that_plain_sql_has_changed) {
  for (const bool is_protected : {true, false}) {
    NodeOptions options;
    options.protections.outside_marks = is_protected;
    const auto node = open(options);
    const unsigned row = is_protected ? 1 : 2;
    node->warm(key_of(row));
    node->held->hold(HeldStorage::Kind::write, true);
    node->held->hold(HeldStorage::Kind::read, true);
    auto written = future_of<storage::WriteReply>([&](auto done) {
      node->engine->write({change(key_of(row), Cell::Kind::set, "5")}, false, base::kForever, std::move(done));
    });
    node->held->next(HeldStorage::Kind::write)->answer(Error::of(ErrorCode::unknown_outcome, "lost"));
    const auto look = node->held->next(HeldStorage::Kind::read);
    node->held->hold(HeldStorage::Kind::write, false);
    node->held->hold(HeldStorage::Kind::read, false);
    ASSERT_EQ(sql(fmt::format("BEGIN; SELECT freshet.pass('{}'); UPDATE counters SET n = 7 WHERE id = {}; COMMIT",
                              key_of(row), row)), "");
    look->execute();
    look->reply();
    const auto reply = take(written);
    EXPECT_EQ(reply.operator bool(), !is_protected) << "it never happened; without the mark the seven counts as its trace";
    EXPECT_TRUE(reply || reply.error().code == ErrorCode::unknown_outcome);
  }
}

class PlainSqlFence : public PlainSql, public ::testing::WithParamInterface<bool> {};

// A transaction of the node has read its key, plain SQL writes it, then the transaction's write arrives.
TEST_P(PlainSqlFence, a_transaction_that_read_before_does_not_write_after) {
  NodeOptions options;
  options.protections.outside_fence = GetParam();
  const auto node = open(options);
  auto transaction = node->begin({key_of(1)});
  ASSERT_TRUE(transaction) << transaction.error().what;
  EXPECT_EQ(Node::count_in((*transaction)->readings().at(key_of(1))), 0);
  node->held->hold(HeldStorage::Kind::write, true);
  auto committed = future_of<storage::WriteReply>([&](auto done) {
    (*transaction)->commit({change(key_of(1), Cell::Kind::set, "1")}, base::kForever, std::move(done));
  });
  const auto call = node->held->next(HeldStorage::Kind::write);
  node->held->hold(HeldStorage::Kind::write, false);
  ASSERT_EQ(sql("BEGIN; SELECT freshet.pass('counters:1'); UPDATE counters SET n = n + 7 WHERE id = 1; COMMIT"), "");
  call->execute();
  call->reply();
  const auto reply = take(committed);
  EXPECT_EQ(sql("SELECT n FROM counters WHERE id = 1"), GetParam() ? "7" : "1") << "the seven are lost without the fence";
  EXPECT_EQ(reply.operator bool(), !GetParam());
}

INSTANTIATE_TEST_SUITE_P(Fence, PlainSqlFence, ::testing::Values(true, false),
                         [](const auto& tested) { return tested.param ? "on" : "off"; });

TEST_F(PlainSql, transactions_of_the_node_wait_for_its_end) {
  const auto node = open();
  SqlSession session(url_);
  ASSERT_TRUE(session.run("BEGIN; SELECT freshet.pass('counters:1'); UPDATE counters SET n = 1").state == "FR005");
  ASSERT_TRUE(session.run("ROLLBACK; BEGIN; SELECT freshet.pass('counters:1')").ok);
  auto begun = future_of<std::shared_ptr<cache::Transaction>>(
      [&](auto done) { node->engine->begin({key_of(1)}, base::kForever, std::move(done)); });
  ASSERT_TRUE(session.run("UPDATE counters SET n = 1 WHERE id = 1; COMMIT").ok);
  const auto transaction = take(begun);
  ASSERT_TRUE(transaction) << transaction.error().what;
  EXPECT_EQ(Node::count_in((*transaction)->readings().at(key_of(1))), 1);
}

TEST_F(PlainSql, a_transaction_that_waits_when_the_node_stops_is_told) {
  auto node = open();
  SqlSession session(url_);
  ASSERT_TRUE(session.run("BEGIN; SELECT freshet.pass('counters:1')").ok);
  auto begun = future_of<std::shared_ptr<cache::Transaction>>(
      [&](auto done) { node->engine->begin({key_of(1)}, base::kForever, std::move(done)); });
  node.reset();
  EXPECT_FALSE(take(begun));
}

// The node serves hits and never looks: it is outlasted only when its lease has run out.
TEST_F(PlainSql, a_node_that_does_not_hear_is_not_passed_by_while_its_lease_lasts) {
  NodeOptions deaf;
  deaf.poll_interval = 3600 * base::kSecond;
  deaf.lease = 400 * base::kMillisecond;
  auto node = open(deaf);
  change_pass("wait_ms_max CONSTANT integer := 10000", "wait_ms_max CONSTANT integer := 400");
  node->warm(key_of(1));
  EXPECT_EQ(sql("BEGIN; SELECT freshet.pass('counters:1'); UPDATE counters SET n = 1 WHERE id = 1; COMMIT"), "FR007");
  EXPECT_EQ(node->count(key_of(1)), 0);
  change_pass("unchanged_ms >= lease_wait_ms", "unchanged_ms >= 0");
  EXPECT_EQ(sql("BEGIN; SELECT freshet.pass('counters:1'); UPDATE counters SET n = 1 WHERE id = 1; COMMIT"), "");
  EXPECT_EQ(node->count(key_of(1)), 0) << "stale, as was to be shown";
  node.reset();
  EXPECT_EQ(sql("BEGIN; SELECT freshet.pass('counters:1'); UPDATE counters SET n = 2 WHERE id = 1; COMMIT"), "");
}

// Its node goes while a transaction goes on; the next one has the lease, and does not cache what that may write.
TEST_F(PlainSql, the_next_owner_waits_for_the_end) {
  auto first = open();
  SqlSession session(url_);
  ASSERT_TRUE(session.run("BEGIN; SELECT freshet.pass('counters:1'); UPDATE counters SET n = 1 WHERE id = 1").ok);
  first.reset();
  Node second(url_, {});
  while (!second.engine->stats().pass_cells_open) std::this_thread::yield();
  for (int i = 0; i < 3; ++i) {
    const auto reading = second.read(key_of(1));
    ASSERT_TRUE(reading);
    EXPECT_EQ(*reading, std::pair(std::int64_t{0}, cache::Source::storage));
  }
  ASSERT_TRUE(session.run("COMMIT").ok);
  EXPECT_EQ(second.warm(key_of(1)), 1);
}

// Clients that keep what they have read (CLIENT TRACKING) are told of the table when a transaction is over.
TEST_F(PlainSql, who_keeps_rows_is_told_at_the_end) {
  class Watcher final : public consistency::ChangeWatcher {
   public:
    void on_changed(std::string_view) override {}
    void on_collection_changed(std::string_view collection) override { told += collection == "counters"; }
    void on_everything_changed() override {}
    std::atomic<int> told{0};
  } watcher;
  const auto node = open();
  node->engine->watch(&watcher);
  SqlSession session(url_);
  ASSERT_TRUE(session.run("BEGIN; SELECT freshet.pass('counters:1')").ok);
  EXPECT_EQ(watcher.told, 0);
  ASSERT_TRUE(session.run("COMMIT").ok);
  while (watcher.told == 0) std::this_thread::yield();
  node->engine->watch(nullptr);
}

// Cut off, it still has what it cached, and serves it until its lease has run out.
TEST_F(PlainSql, a_node_that_is_cut_off_is_outlasted) {
  TcpProxy proxy(TemporaryPostgres::shared().port());
  Node node(TemporaryPostgres::shared().url_through(proxy.port(), testing::database_of(url_)), {});
  node.wait_until_guarded();
  node.warm(key_of(1));
  proxy.set_mode(TcpProxy::Mode::stall);
  ASSERT_EQ(sql("BEGIN; SELECT freshet.pass('counters:1'); UPDATE counters SET n = 1 WHERE id = 1; COMMIT"), "");
  const auto is_hit = [&] { return node.engine->try_get(key_of(1), base::now(), [](const cache::HitView&) {}); };
  EXPECT_EQ(is_hit(), cache::Engine::Lookup::miss);
  proxy.set_mode(TcpProxy::Mode::pass);
}

// Each row counts. A read is at least what was acknowledged before it began, at most what was asked for until it ended, and
// never less than the same reader saw before.
class PlainSqlUnderFire : public PlainSql {
 protected:
  void SetUp() override {
    PlainSql::SetUp();
    random_.seed(testing::random_seed());
  }

  // One transaction of plain SQL: it commits, rolls back, or is abandoned.
  void write_once(std::unique_ptr<SqlSession>& session) {
    const auto row = 1 + draw() % kCounters;
    ++asked_[row];
    session->run("BEGIN");
    if (!session->run(fmt::format("SELECT freshet.pass('{}', '{}')", key_of(1 + row % kCounters), key_of(row))).ok) {
      ++refused_;
      return void(session->run("ROLLBACK"));
    }
    session->run(fmt::format("UPDATE counters SET n = n + 1 WHERE id = {}", row));
    switch (draw() % 5) {
      case 0:
        return void(session->run("ROLLBACK"));
      case 1:  // The connection is cut: before the commit, or while it is made.
        ++abandoned_;
        if (draw() % 2) session->start("COMMIT");
        session = std::make_unique<SqlSession>(url_);
        return;
      default:
        if (session->run("COMMIT").ok) ++acknowledged_[row];
        ++committed_;
    }
  }
  std::vector<std::thread> sql_writers(const std::function<bool(int)>& goes_on) {
    std::vector<std::thread> writers;
    for (int i = 0; i < kSqlWriters; ++i) {
      writers.emplace_back([this, goes_on] {
        auto session = std::make_unique<SqlSession>(url_);
        for (int k = 0; goes_on(k); ++k) write_once(session);
      });
    }
    return writers;
  }
  // Through the node.
  void add_once(Node& node) {
    const auto row = 1 + draw() % kCounters;
    ++asked_[row];
    if (node.write(change(key_of(row), Cell::Kind::add, "1"))) ++acknowledged_[row];
  }
  // A transaction of the node that computes: nothing may come between its reading and its writing.
  void compute_once(Node& node) {
    const auto row = 1 + draw() % kCounters;
    ++asked_[row];
    const auto transaction = node.begin({key_of(row)});
    if (!transaction) return;
    const auto next = Node::count_in((*transaction)->readings().at(key_of(row))) + 1;
    auto future = future_of<storage::WriteReply>([&](auto done) {
      (*transaction)->commit({change(key_of(row), Cell::Kind::set, std::to_string(next))}, base::kForever, std::move(done));
    });
    if (!take(future)) return;
    ++acknowledged_[row];
    ++computed_;
  }
  void read_until(Node& node, const std::atomic<bool>& done) {
    std::vector<std::int64_t> seen(kCounters + 1, 0);
    while (!done) {
      const auto row = 1 + draw() % kCounters;
      const auto least = std::max(acknowledged_[row].load(), seen[row]);
      const auto reading = node.read(key_of(row));
      if (!reading) continue;
      hits_ += reading->second == cache::Source::memory;
      seen[row] = reading->first;
      wrong_ += seen[row] < least || seen[row] > asked_[row];
    }
  }
  // All of it, over one node.
  void run(Protections protections) {
    NodeOptions options;
    options.protections = protections;
    options.poll_interval = 5 * base::kMillisecond;
    const auto node = open(options);
    std::atomic<bool> done = false;
    std::atomic<int> writing = kSqlWriters;
    auto threads = sql_writers([&](int k) {
      if (k == kSqlEach) --writing;
      return k < kSqlEach;
    });
    threads.emplace_back([&] {
      while (writing > 0) {
        add_once(*node);
        compute_once(*node);
      }
    });
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) readers.emplace_back([&] { read_until(*node, done); });
    for (auto& thread : threads) thread.join();
    done = true;
    for (auto& reader : readers) reader.join();
  }
  void report() {
    std::cerr << fmt::format("{} hits, {} committed, {} abandoned, {} refused, {} computed\n", hits_.load(),
                             committed_.load(), abandoned_.load(), refused_.load(), computed_.load());
    EXPECT_EQ(wrong_, 0);
    EXPECT_EQ(refused_, 0);
    EXPECT_GT(hits_, 50) << "inconclusive: nothing was served from memory";
    EXPECT_GT(abandoned_, 0);
    for (unsigned row = 1; row <= kCounters; ++row) {
      EXPECT_GE(std::stoll(sql(fmt::format("SELECT n FROM counters WHERE id = {}", row))), acknowledged_[row]);
    }
  }

  std::array<std::atomic<std::int64_t>, kCounters + 1> acknowledged_{}, asked_{};
  std::atomic<int> wrong_ = 0, hits_ = 0, committed_ = 0, abandoned_ = 0, refused_ = 0, computed_ = 0;
};

TEST_F(PlainSqlUnderFire, hits_are_as_new_as_what_plain_sql_was_told_is_committed) {
  run({});
  report();
  EXPECT_GT(committed_, kSqlEach);
  EXPECT_GT(computed_, 0);
}

TEST_F(PlainSqlUnderFire, without_the_marks_stale_hits_are_found) {
  Protections protections;
  protections.outside_marks = false;
  run(protections);
  EXPECT_GT(wrong_, 0);
}

// Nodes give the lease up to each other, or lose it because they are cut off, while plain SQL goes on.
TEST_F(PlainSqlUnderFire, hits_stay_right_while_nodes_come_and_go) {
  NodeOptions options;
  options.poll_interval = 5 * base::kMillisecond;
  options.lease = 400 * base::kMillisecond;
  TcpProxy proxy(TemporaryPostgres::shared().port());
  const auto through = TemporaryPostgres::shared().url_through(proxy.port(), testing::database_of(url_));
  std::atomic<bool> all_done = false;
  auto node = open(options);
  auto writers = sql_writers([&](int) { return !all_done; });
  for (int round = 0; round < kRounds; ++round) {
    const bool is_cut = round % 2 != 0;
    auto next = std::make_unique<Node>(is_cut ? url_ : through, options);
    std::atomic<bool> done = false;
    std::vector<std::thread> readers;
    for (auto* read : {node.get(), next.get()}) readers.emplace_back([&, read] { read_until(*read, done); });
    is_cut ? proxy.set_mode(TcpProxy::Mode::stall) : node->engine->release();
    const int hits = hits_;
    while (next->engine->stats().slots_guarded != base::kSlots || hits_ < hits + 50) add_once(*next);
    done = true;
    proxy.set_mode(TcpProxy::Mode::pass);
    for (auto& reader : readers) reader.join();
    node = std::move(next);
  }
  all_done = true;
  for (auto& writer : writers) writer.join();
  report();
  EXPECT_GT(committed_, kRounds);
}

}  // namespace
}  // namespace freshet
