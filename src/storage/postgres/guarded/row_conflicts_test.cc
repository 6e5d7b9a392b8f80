// Writers of rows that get into each other's way, provoked: deadlocks, and transactions of other isolation levels.
#include <fmt/format.h>

#include <future>

#include "storage/postgres/guarded/row_database.h"

namespace freshet::storage::postgres {
namespace {

constexpr const char* kUsers =
    "CREATE TABLE users (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);"
    "INSERT INTO users SELECT i FROM generate_series(1, 9) i";

class RowConflicts : public GuardedRowsFixture, public ::testing::WithParamInterface<GuardDialect> {
 protected:
  std::string statement(std::vector<std::string> keys, Token token) {
    std::vector<CheckedKey> named;
    for (auto& key : keys) named.push_back({std::move(key), token});
    const auto statement = storage_->guard_statement(named);
    EXPECT_TRUE(statement);
    return *statement;
  }
  std::future<Result<WriteReply>> begin_write(std::vector<Mutation> mutations) {
    auto promise = std::make_shared<std::promise<Result<WriteReply>>>();
    storage_->write(request_of(std::move(mutations)),
                    [promise](Result<WriteReply> reply) { promise->set_value(std::move(reply)); });
    return promise->get_future();
  }
  // Until somebody waits for the session's locks.
  void await_waiter(const SqlSession& session) {
    while (sql(fmt::format("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {} = ANY(pg_blocking_pids(pid)))",
                           session.process())) != "t") {
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Postgres, RowConflicts, ::testing::Values(GuardDialect::advisory, GuardDialect::for_share),
                         [](const auto& dialect) {
                           return dialect.param == GuardDialect::advisory ? "advisory" : "for_share";
                         });

// The node's transaction is the one that the server ends: it is rolled back, and sent again.
TEST_P(RowConflicts, a_deadlock_is_a_write_that_is_sent_again) {
  make(kUsers, {guarded("users", "users")}, GetParam());
  SqlSession other(url_);
  other.run("SET deadlock_timeout = '60s'");
  other.run("BEGIN");
  ASSERT_TRUE(other.run(statement({"users:1", "users:2"}, token_)).ok);
  ASSERT_TRUE(other.run("UPDATE users SET n = 1 WHERE id = 2").ok);
  auto written = begin_write({change("users:1", {add("n", "10")}), change("users:2", {add("n", "10")})});
  await_waiter(other);
  const auto last = other.run("UPDATE users SET n = 1 WHERE id = 1");
  ASSERT_TRUE(last.ok) << last.message;
  ASSERT_TRUE(other.run("COMMIT").ok);
  const auto reply = written.get();
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(sql("SELECT string_agg(n::text, ' ' ORDER BY id) FROM users WHERE id < 3"), "11 11") << "once, and after it";
}

// The guard is replaced after such a transaction took its snapshot: it sees the old token still.
TEST_P(RowConflicts, transactions_with_an_older_snapshot_do_not_pass) {
  make(kUsers, {guarded("users", "users")}, GetParam());
  for (const char* level : {"REPEATABLE READ", "SERIALIZABLE"}) {
    SqlSession other(url_);
    other.run(fmt::format("BEGIN ISOLATION LEVEL {}", level));
    other.run("SELECT FROM users");
    const auto old = std::exchange(token_, Token::make());
    ASSERT_TRUE(calls().set_guard(kAllSlots, token_));
    const auto outcome = other.run(statement({"users:1"}, old));
    EXPECT_FALSE(outcome.ok);
    EXPECT_EQ(outcome.state, GetParam() == GuardDialect::advisory ? "FR002" : "40001") << outcome.message;
    other.run("ROLLBACK");
    ASSERT_TRUE(write(change("users:1", {set("n", "3")})));
  }
}

}  // namespace
}  // namespace freshet::storage::postgres
