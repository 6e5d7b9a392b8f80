// freshet.pass in the database: whom it waits for, what it holds and for how long, and what it refuses. The node's part is
// played by hand; tests/rows/plain_sql_test.cc has real ones.
#include <future>
#include <random>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/slot.h"
#include "storage/postgres/guarded/row_database.h"

namespace freshet::storage::postgres {
namespace {

constexpr const char* kUsers = "CREATE TABLE users (id int PRIMARY KEY, n int); INSERT INTO users SELECT i, 0 FROM "
                               "generate_series(1, 9) i";
constexpr const char* kOpen = "BEGIN; SELECT freshet.pass('users:1')";

constexpr const char* kIfStill =
    "freshet.pass_if_still(text,integer[],bigint,text,boolean,text,bigint,bigint)";

int cell_of(const std::string& key) { return base::cell_of(base::slot_of(key)); }

class Pass : public GuardedRowsFixture {
 protected:
  // Two rows of different cells, of a table that is sealed; `holder` has the lease, and never renews it.
  void open(const std::string& holder, int lease_ms) {
    make(kUsers, {guarded("users", "users")});
    ASSERT_NE(cell_of("users:1"), cell_of("users:2"));
    sql(fmt::format("INSERT INTO freshet.lease VALUES ('default', '{}', 7, 1, {})", holder, lease_ms));
  }
  // Writes a function anew with a piece of it changed.
  void change_function(const std::string& signature, const std::string& from, const std::string& to) {
    auto text = sql(fmt::format("SELECT pg_get_functiondef('{}'::regprocedure)", signature));
    const auto place = text.find(from);
    ASSERT_NE(place, text.npos) << text;
    text.replace(place, from.size(), to);
    ASSERT_EQ(sql(text), "");
  }
  PassRequests requests(bool standing = true) {
    const auto reply = freshet::testing::await<PassRequests>(
        [&](auto done) { storage_->pass_requests(known_, standing, base::kForever, std::move(done)); });
    EXPECT_TRUE(reply) << reply.error().what;
    return reply ? *reply : PassRequests();
  }
  // Waits until a request stands on every one of the cells.
  PassRequests await_requests(const std::vector<int>& cells, std::uint64_t number) {
    PassRequests found;
    do {
      found = requests();
    } while (found.cells != cells || found.number < number);
    return found;
  }
  void acknowledge(std::vector<int> cells, const PassRequests& heard, std::uint64_t period = 7) {
    const auto reply = freshet::testing::await<void>([&](auto done) {
      storage_->acknowledge_passes({std::move(cells), heard.number, heard.server, period}, base::kForever, std::move(done));
    });
    EXPECT_TRUE(reply) << reply.error().what;
  }
  // How many of the cells a request would find heard.
  std::string heard(const std::vector<int>& cells, std::uint64_t request, const std::string& server) {
    return sql(fmt::format("SELECT heard_cells FROM freshet.pass_state('default', ARRAY[{}], {}, '{}')",
                           fmt::join(cells, ","), request, server));
  }

  PassRequests known_;
};

TEST_F(Pass, slots_are_those_of_the_nodes) {
  make(kUsers, {guarded("users", "users")});
  std::vector<std::string> keys{"", "{}", "{}x", "a{b}c", "a{}b{c}", "{{a}}", "}{a", "{a", "a}b", "123456789", "größe:{ä}x"};
  std::mt19937 random(1);
  for (int i = 0; i < 500; ++i) {
    std::string key;
    for (unsigned length = random() % 24; length > 0; --length) key += "ab{}:1é "[random() % 5];
    keys.push_back(std::move(key));
  }
  std::string array, expected;
  for (const auto& key : keys) {
    array += fmt::format("{}'{}'", array.empty() ? "" : ",", key);
    expected += fmt::format("{}{}", expected.empty() ? "" : ",", base::slot_of(key));
  }
  EXPECT_EQ(sql("SELECT string_agg(freshet.slot_of(k)::text, ',' ORDER BY o) FROM unnest(ARRAY[" + array +
                "]) WITH ORDINALITY u(k, o)"), expected);
}

TEST_F(Pass, it_waits_for_the_owners_word_on_every_cell_and_then_no_guard_is_set_before_its_end) {
  open("node", 60'000);
  SqlSession session(url_);
  session.run("BEGIN");
  session.start("SELECT freshet.pass('users:1', 'users:2')");
  std::vector<int> cells{cell_of("users:1"), cell_of("users:2")};
  std::sort(cells.begin(), cells.end());
  const auto asked = await_requests(cells, 1);
  acknowledge({cells[0]}, asked);
  EXPECT_EQ(heard(cells, asked.number, asked.server), "1");
  EXPECT_EQ(sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2"), "0") << "it holds no guard";
  acknowledge({cells[1]}, asked);
  ASSERT_TRUE(session.finish().ok);
  ASSERT_TRUE(session.run("UPDATE users SET n = 1 WHERE id IN (1, 2)").ok);
  std::promise<Result<void>> guarded;
  const auto slot = base::slot_of("users:2");
  storage_->set_guard({slot, slot}, Token::make(), base::now() + 30 * base::kSecond,
                      [&](Result<void> result) { guarded.set_value(std::move(result)); });
  ASSERT_TRUE(wait_for_lock_waiter(url_, 0));
  ASSERT_TRUE(session.run("COMMIT").ok);
  EXPECT_TRUE(guarded.get_future().get());
  EXPECT_TRUE(requests().cells->empty());
  known_ = requests();
  EXPECT_FALSE(requests(false).cells) << "nothing came since";
  EXPECT_EQ(session.run("UPDATE users SET n = 2 WHERE id = 1").state, "FR005") << "the next transaction has passed nothing";
}

TEST_F(Pass, words_of_another_period_or_server_or_for_earlier_numbers_do_not_count) {
  open("node", 60'000);
  const std::vector<int> cells{3};
  const PassRequests word{10, requests().server};
  acknowledge(cells, word);
  EXPECT_EQ(heard(cells, 10, word.server), "1");
  EXPECT_EQ(heard(cells, 11, word.server), "0");
  EXPECT_EQ(heard(cells, 10, "another"), "0");
  acknowledge(cells, {9, word.server});
  EXPECT_EQ(heard(cells, 10, word.server), "1") << "an earlier word that comes late";
  acknowledge(cells, {20, word.server}, 6);
  EXPECT_EQ(heard(cells, 11, word.server), "0") << "of an earlier period";
  acknowledge(cells, {20, word.server}, 8);
  EXPECT_EQ(heard(cells, 10, word.server), "0") << "the period has not begun, as far as this reader sees";
  sql("UPDATE freshet.lease SET period = 8");
  EXPECT_EQ(heard(cells, 20, word.server), "1");
  acknowledge(cells, {2, "after a crash"}, 8);
  EXPECT_EQ(heard(cells, 2, "after a crash"), "1");
}

TEST_F(Pass, transactions_of_one_cell_do_not_wait_for_each_other) {
  open("node", 60'000);
  const std::vector<int> cells{cell_of("users:1")};
  SqlSession first(url_), second(url_);
  first.start(kOpen);
  acknowledge(cells, await_requests(cells, 1));
  ASSERT_TRUE(first.finish().ok);
  second.start(kOpen);
  acknowledge(cells, await_requests(cells, 2));
  ASSERT_TRUE(second.finish().ok);
  ASSERT_TRUE(first.run("UPDATE users SET n = n + 1 WHERE id = 1; COMMIT").ok);
  ASSERT_TRUE(second.run("UPDATE users SET n = n + 1 WHERE id = 1; COMMIT").ok);
  EXPECT_EQ(sql("SELECT n FROM users WHERE id = 1"), "2");
}

TEST_F(Pass, a_request_stands_as_long_as_what_made_it) {
  open("", 60'000);
  const std::vector<int> cells{cell_of("users:1")};
  SqlSession session(url_);
  session.run("BEGIN; SAVEPOINT s");
  ASSERT_TRUE(session.run("SELECT freshet.pass('users:1')").ok);
  EXPECT_EQ(requests().cells, cells);
  ASSERT_TRUE(session.run("UPDATE users SET n = 1 WHERE id = 1; ROLLBACK TO s").ok);
  EXPECT_TRUE(requests().cells->empty()) << "rolled back with its savepoint, and so is what has passed";
  EXPECT_EQ(session.run("UPDATE users SET n = 1 WHERE id = 1").state, "FR005");
  ASSERT_TRUE(session.run("ROLLBACK TO s; SELECT freshet.pass('users:1'); RELEASE s").ok);
  EXPECT_EQ(requests().cells, cells);
  ASSERT_TRUE(session.run("SELECT freshet.pass('users:1')").ok) << "again, for nothing";
  ASSERT_TRUE(session.run("UPDATE users SET n = 1 WHERE id = 1; COMMIT").ok);
  EXPECT_TRUE(requests().cells->empty());
  {
    SqlSession abandoned(url_);
    ASSERT_TRUE(abandoned.run(kOpen).ok);
  }
  while (!requests().cells->empty()) std::this_thread::yield();
}

TEST_F(Pass, without_an_owner_it_takes_the_cells_over_and_fences_what_is_on_its_way) {
  open("", 60'000);
  SqlSession session(url_);
  ASSERT_TRUE(session.run(kOpen).ok) << "the lease was given up: nobody can serve";
  ASSERT_TRUE(session.run("UPDATE users SET n = 5 WHERE id = 1; COMMIT").ok);
  auto late = change("users:1", {set("n", "9")});
  const auto written = write(std::move(late));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::guard_mismatch) << "sent by the last owner, under its guard";
  EXPECT_EQ(sql("SELECT n FROM users WHERE id = 1"), "5");
}

// It waits for a write in flight when another node takes the lease: what it saw before does not hold any more.
TEST_F(Pass, a_takeover_while_it_waits_for_locks_is_seen) {
  for (const bool is_protected : {true, false}) {
    url_.clear();
    open("", 60'000);
    if (!is_protected) change_function(kIfStill, "ELSE (now_is.holder", "ELSE true OR (now_is.holder");
    SqlSession writer(url_), session(url_);
    ASSERT_TRUE(writer.run("BEGIN; " + put_sql("users:1", "in flight", token_, GuardDialect::advisory)).ok);
    session.start(kOpen);
    ASSERT_TRUE(wait_for_lock_waiter(url_, session.process()));
    sql("UPDATE freshet.lease SET holder = 'b', period = 8");
    ASSERT_TRUE(writer.run("COMMIT").ok);
    std::string state;
    while (state != "idle in transaction" && state != "active PgSleep") {
      state = sql(fmt::format("SELECT state || CASE WHEN wait_event = 'PgSleep' THEN ' PgSleep' ELSE '' END FROM "
                              "pg_stat_activity WHERE pid = {}", session.process()));
    }
    EXPECT_EQ(state, is_protected ? "active PgSleep" : "idle in transaction");
    const std::vector<int> cells{cell_of("users:1")};
    if (is_protected) acknowledge(cells, await_requests(cells, 1), 8);
    EXPECT_TRUE(session.finish().ok);
  }
}

TEST_F(Pass, an_owner_that_does_not_answer_is_outlasted) {
  open("node", 300);
  const auto begun = base::now();
  SqlSession session(url_);
  const auto passed = session.run(kOpen);
  ASSERT_TRUE(passed.ok) << passed.message;
  EXPECT_GE(base::now() - begun, 315 * base::kMillisecond) << "a whole lease and a margin";
}

TEST_F(Pass, an_owner_that_renews_and_does_not_answer_is_not_passed) {
  open("node", 400);
  change_function("freshet.pass(text[])", "wait_ms_max CONSTANT integer := 10000", "wait_ms_max CONSTANT integer := 400");
  std::atomic<bool> done = false;
  std::thread renewing([&] {
    SqlSession session(url_);
    while (!done) session.run("UPDATE freshet.lease SET counter = counter + 1");
  });
  SqlSession session(url_);
  const auto refused = session.run(kOpen);
  EXPECT_EQ(refused.state, "FR007");
  EXPECT_NE(refused.message.find("no leave to write users:1"), std::string::npos) << refused.message;
  session.run("ROLLBACK");
  change_function("freshet.pass(text[])", "unchanged_ms >= lease_wait_ms", "true");
  change_function(kIfStill, "ELSE (now_is.holder", "ELSE true OR (now_is.holder");
  EXPECT_TRUE(session.run(kOpen).ok) << "without the wait, and the second look, it is";
  done = true;
  renewing.join();
}

TEST_F(Pass, what_it_cannot_do_is_refused) {
  make(kUsers, {guarded("users", "users")});
  const auto state = [&](const std::string& statements) { return SqlSession(url_).run(statements).state; };
  EXPECT_EQ(state("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT freshet.pass('users:1')"), "FR002");
  EXPECT_EQ(state("SELECT freshet.pass(VARIADIC '{}')"), "FR008");
  EXPECT_EQ(state("SELECT freshet.pass('users:1', NULL)"), "FR008");
  SqlSession both(url_);
  ASSERT_TRUE(both.run("BEGIN; " + *storage_->guard_statement({{"users:1", token_}})).ok);
  EXPECT_EQ(both.run("SELECT freshet.pass('users:1')").state, "FR008") << "it would wait for itself";
  both.run("ROLLBACK");
  SqlSession session(url_);
  ASSERT_TRUE(session.run("BEGIN; SELECT freshet.pass('users:1', 'other:2')").ok);
  EXPECT_EQ(session.run("UPDATE users SET n = 1 WHERE id = 3").state, "FR005") << "a row that was not named";
  session.run("ROLLBACK");
  make("", {guarded("users", "users")}, GuardDialect::for_share);
  EXPECT_EQ(state(kOpen), "FR008");
}

TEST_F(Pass, a_role_needs_execute_and_its_own_tables) {
  make(kUsers, {guarded("users", "users")});
  sql("DROP ROLE IF EXISTS application");
  sql("CREATE ROLE application LOGIN; GRANT USAGE ON SCHEMA freshet TO application; GRANT SELECT, UPDATE ON users TO "
      "application");
  SqlSession session(TemporaryPostgres::shared().url(freshet::testing::database_of(url_), "application"));
  const auto passed = session.run(kOpen);
  ASSERT_TRUE(passed.ok) << passed.message;
  const auto updated = session.run("UPDATE users SET n = 3 WHERE id = 1; COMMIT");
  ASSERT_TRUE(updated.ok) << updated.message;
  EXPECT_EQ(session.run("SELECT * FROM freshet.pass_heard").state, "42501");
  EXPECT_EQ(sql("SELECT n FROM users WHERE id = 1"), "3");
}

}  // namespace
}  // namespace freshet::storage::postgres
