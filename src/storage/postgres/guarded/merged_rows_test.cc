// Transactions on rows that wait for a connection travel together, and nothing of it shows but the speed: each is all or
// nothing, with an outcome of its own.
//
// One write connection, whose transaction waits for a row that the test has locked: what is written meanwhile waits, and
// goes together afterwards. With more connections, whether it waits at all.
#include <fmt/format.h>

#include <future>
#include <thread>

#include "storage/postgres/guarded/row_database.h"
#include "storage/postgres/guarded/write_lane.h"
#include "tcp_proxy.h"

namespace freshet::storage::postgres {
namespace {

using freshet::testing::database_of;
using freshet::testing::TcpProxy;

constexpr base::Nanoseconds kPatience = 30 * base::kSecond;
constexpr int kGate = 1000;  // The row that is locked.
constexpr int kThreeForWrites = kConnectionsMin + 3;
constexpr const char* kUsers =
    "CREATE TABLE users (id int PRIMARY KEY, name varchar(8) NOT NULL, n int NOT NULL DEFAULT 0 CHECK (n < 100), "
    "note text);"
    "INSERT INTO users SELECT i, 'user' || i FROM generate_series(1, 1000) i";

class MergedRows : public GuardedRowsFixture, public ::testing::WithParamInterface<GuardDialect> {
 protected:
  using Pending = std::future<Result<WriteReply>>;

  void SetUp() override {
    url_ = TemporaryPostgres::shared().create_database();
    TemporaryPostgres::run(url_, kUsers);
    open(url_);
    keeper_ = std::make_unique<SqlSession>(url_);
  }
  void open(const std::string& url, int connections = kConnectionsMin) {
    auto options = options_for(url, GetParam());
    options.connections = connections;
    // Of what is held up by tests: longer than these take.
    if (connections > kConnectionsMin) options.lock_timeout = kPatience;
    options.rows = {guarded("users", "users")};
    storage_.reset();
    storage_ = open_storage(options);
    ASSERT_TRUE(storage_);
    token_ = Token::make();
    ASSERT_TRUE(calls().set_guard(kAllSlots, token_));
  }
  static std::string key(int id) { return fmt::format("users:{}", id); }
  // Of a row that the node knows.
  Mutation known(int id, std::vector<Cell> cells) {
    auto mutation = change(key(id), std::move(cells));
    mutation.was_present = true;
    mutation.want_before = false;
    return mutation;
  }
  // Ten rows each, none of them another's.
  std::vector<WriteRequest> transactions(int count) {
    std::vector<WriteRequest> all;
    for (int i = 0; i < count; ++i) {
      std::vector<Mutation> mutations;
      for (int row = 0; row < 10; ++row) mutations.push_back(known(i * 10 + row + 1, {set("n", std::to_string(i + 1))}));
      all.push_back(request_of(std::move(mutations)));
    }
    return all;
  }
  Pending begin(const WriteRequest& request) {
    auto promise = std::make_shared<std::promise<Result<WriteReply>>>();
    storage_->write(request, [promise](Result<WriteReply> reply) { promise->set_value(std::move(reply)); });
    return promise->get_future();
  }
  std::vector<Pending> begin_all(const std::vector<WriteRequest>& all) {
    std::vector<Pending> pending;
    for (const auto& request : all) pending.push_back(begin(request));
    return pending;
  }
  // Everything written after this waits in the queue until pass().
  void shut() {
    ASSERT_TRUE(calls().write(request_of({known(kGate, {set("n", "1")})})));
    ASSERT_TRUE(keeper_->run("BEGIN").ok);
    ASSERT_TRUE(keeper_->run(fmt::format("SELECT FROM users WHERE id = {} FOR UPDATE", kGate)).ok);
    gate_ = begin(request_of({known(kGate, {set("n", "2")})}));
    ASSERT_TRUE(await("SELECT count(*) FROM " + waiter_for(*keeper_)));
  }
  void pass() {
    ASSERT_TRUE(keeper_->run("COMMIT").ok);
    EXPECT_TRUE(gate_.get());
  }
  // Writes of two rows, one after the other, that wait for the holder to commit.
  std::vector<Pending> hold_two(SqlSession& holder, int id) {
    EXPECT_TRUE(holder.run("BEGIN").ok);
    EXPECT_TRUE(holder.run(fmt::format("SELECT FROM users WHERE id IN ({}, {}) FOR UPDATE", id, id + 1)).ok);
    std::vector<Pending> pending;
    for (const int row : {id, id + 1}) {
      pending.push_back(begin(request_of({known(row, {set("n", "1")})})));
      EXPECT_TRUE(await(fmt::format("SELECT count(*) FILTER (WHERE count = {}) FROM (SELECT count(*) FROM {}) AS waiters",
                                    pending.size(), waiter_for(holder))));
    }
    return pending;
  }
  // The process that waits for a lock of this session.
  static std::string waiter_for(const SqlSession& session) {
    return fmt::format("(SELECT pid FROM pg_stat_activity WHERE {} = ANY(pg_blocking_pids(pid))) AS waiter",
                       session.process());
  }
  // Until the count is another than 0; false: it never is.
  bool await(const std::string& count) {
    for (const auto give_up = base::now() + kPatience; base::now() < give_up;) {
      if (sql(count) != "0") return true;
    }
    return false;
  }
  // In how many transactions the rows were written last; those that nobody has written do not count.
  int written_in(const std::string& condition) {
    return std::stoi(sql("SELECT count(DISTINCT xmin::text) FROM users WHERE (n > 0 OR note <> '' OR name <> 'user' || id) "
                         "AND (" + condition + ")"));
  }

  std::unique_ptr<SqlSession> keeper_;
  Pending gate_;
};

INSTANTIATE_TEST_SUITE_P(Postgres, MergedRows, ::testing::Values(GuardDialect::advisory, GuardDialect::for_share),
                         [](const auto& tested) {
                           return tested.param == GuardDialect::advisory ? "advisory" : "for_share";
                         });

TEST_P(MergedRows, transactions_that_wait_are_one_and_each_has_its_own_answers) {
  shut();
  auto all = transactions(8);
  all[2].mutations.push_back(known(25, {set("note", "twice")}));  // The row's second change, in the order of its request:
  all[2].mutations.back().was_present.reset();                    // it is there since the first.
  all[3].mutations[4].cells = {set("name", "Cleo"), clear("note")};
  all[5].mutations[0] = known(51, {{"note", Cell::Kind::set_if_null, "was null"}});
  all[5].mutations[1].want_before = true;
  all[6].mutations = {known(61, {set("n", "7")})};  // A single one among them.
  all[7].also.push_back({key(500), token_});
  auto pending = begin_all(all);
  pass();
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    const auto reply = pending[i].get();
    ASSERT_TRUE(reply) << reply.error().what;
    ASSERT_EQ(reply->size(), all[i].mutations.size());
    for (std::size_t k = 0; k < reply->size(); ++k) {
      const auto& outcome = (*reply)[k];
      ASSERT_TRUE(outcome) << outcome.error().what;
      EXPECT_TRUE(outcome->applied);
      EXPECT_EQ(bool(outcome->before), i == 5 && k < 2 && all[i].mutations[k].want_before);
      const bool is_first_of_two = i == 2 && k == 4;
      if (is_first_of_two) continue;
      EXPECT_EQ(json(all[i].mutations[k].key, outcome->after), read(all[i].mutations[k].key));
    }
  }
  EXPECT_EQ(read(key(25)), R"({"id":25,"name":"user25","n":3,"note":"twice"})");
  EXPECT_EQ(read(key(35)), R"({"id":35,"name":"Cleo","n":0,"note":null})");
  EXPECT_EQ(read(key(51)), R"({"id":51,"name":"user51","n":0,"note":"was null"})");
  EXPECT_EQ(written_in("id <= 61 OR id BETWEEN 71 AND 80"), 1);
}

TEST_P(MergedRows, a_constraint_fails_its_own_transaction_only) {
  shut();
  auto all = transactions(6);
  all[1].mutations[7].cells[0].text = "100";
  all[4].mutations[2].cells = {set("name", "much too long")};
  auto pending = begin_all(all);
  pass();
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    const auto reply = pending[i].get();
    const bool fails = i == 1 || i == 4;
    EXPECT_EQ(bool(reply), !fails);
    if (i == 1) {
      EXPECT_EQ(reply.error().what.substr(0, 38), "constraint 'users_n_check' of users: n");
    }
    if (i == 4) {
      EXPECT_EQ(reply.error().what, "column 'name' of users: value too long for type character varying(8)");
    }
    EXPECT_EQ(sql(fmt::format("SELECT count(*) FROM users WHERE n = {} AND id <= 60", i + 1)), fails ? "0" : "10");
  }
}

TEST_P(MergedRows, another_token_fails_its_own_transaction_only) {
  shut();
  auto all = transactions(6);
  all[2].mutations[3].token = Token::make();
  all[3].also.push_back({key(700), Token::make()});  // Of a key that is only read.
  auto pending = begin_all(all);
  pass();
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    const auto reply = pending[i].get();
    const bool fails = i == 2 || i == 3;
    EXPECT_EQ(bool(reply), !fails);
    if (!reply) {
      EXPECT_EQ(reply.error().code, ErrorCode::guard_mismatch) << reply.error().what;
    }
    EXPECT_EQ(sql(fmt::format("SELECT count(*) FROM users WHERE n = {} AND id <= 60", i + 1)), fails ? "0" : "10");
  }
}

// Neither would be the later one; and what one has read, the other must not change beside it.
TEST_P(MergedRows, those_that_share_a_key_are_two) {
  shut();
  auto all = transactions(3);
  all[1].mutations[0] = known(5, {set("note", "shared")});
  all[2].also.push_back({key(1), token_});
  auto pending = begin_all(all);
  pass();
  for (auto& one : pending) {
    const auto reply = one.get();
    ASSERT_TRUE(reply) << reply.error().what;
  }
  EXPECT_EQ(read(key(5)), R"({"id":5,"name":"user5","n":1,"note":"shared"})");
  EXPECT_EQ(written_in("id BETWEEN 1 AND 4"), 1);
  EXPECT_EQ(written_in("id = 5 OR id BETWEEN 12 AND 20"), 1);
  EXPECT_EQ(written_in("id BETWEEN 1 AND 30"), 2);
}

// A row that is not as it is taken to be is an ordinary answer, which must not take others back.
TEST_P(MergedRows, what_does_not_know_its_rows_travels_alone) {
  shut();
  auto all = transactions(4);
  all[1].mutations[3] = change(key(2001), {set("name", "new"), set("n", "2")});
  all[2].mutations[3].was_present.reset();
  auto pending = begin_all(all);
  pass();
  for (auto& one : pending) {
    const auto reply = one.get();
    ASSERT_TRUE(reply) << reply.error().what;
  }
  EXPECT_EQ(sql("SELECT n FROM users WHERE id = 2001"), "2");
  EXPECT_EQ(written_in("id <= 10 OR id BETWEEN 31 AND 40"), 1);
  EXPECT_EQ(written_in("id <= 40 OR id = 2001"), 3);
}

// Known to be there, and gone all the same: all are rolled back, and each is sent by itself.
TEST_P(MergedRows, a_row_that_is_gone_costs_the_others_a_round_trip) {
  shut();
  auto all = transactions(4);
  all[1].mutations[3] = known(2001, {set("name", "new"), set("n", "2")});
  auto pending = begin_all(all);
  pass();
  for (auto& one : pending) {
    const auto reply = one.get();
    ASSERT_TRUE(reply) << reply.error().what;
  }
  EXPECT_EQ(sql("SELECT n FROM users WHERE id = 2001"), "2");
  EXPECT_EQ(written_in("id <= 40 OR id = 2001"), 4);
}

TEST_P(MergedRows, so_many_rows_and_statements_travel_together) {
  constexpr int kTogether = kMergedRowsMax / 10;
  shut();
  auto pending = begin_all(transactions(kTogether + 1));
  pass();
  for (auto& one : pending) ASSERT_TRUE(one.get());
  EXPECT_EQ(written_in(fmt::format("id <= {}", kTogether * 10)), 1);
  EXPECT_EQ(written_in(fmt::format("id <= {}", kTogether * 10 + 10)), 2);
  // Each a statement of its own.
  shut();
  pending.clear();
  for (int id = 1; id <= static_cast<int>(kMergedStatementsMax) + 1; ++id) {
    pending.push_back(begin(request_of({known(id, {{"note", Cell::Kind::set_if_null, "x"}})})));
  }
  pass();
  for (auto& one : pending) ASSERT_TRUE(one.get());
  EXPECT_EQ(written_in(fmt::format("id <= {}", kMergedStatementsMax)), 1);
  EXPECT_EQ(written_in(fmt::format("id <= {}", kMergedStatementsMax + 1)), 2);
}

// A row that somebody holds: its transaction waits, and the others go on without it.
TEST_P(MergedRows, a_locked_row_holds_up_its_own_transaction) {
  shut();
  SqlSession holder(url_);
  ASSERT_TRUE(holder.run("BEGIN").ok);
  ASSERT_TRUE(holder.run("SELECT FROM users WHERE id = 47 FOR UPDATE").ok);
  auto all = transactions(5);
  auto pending = begin_all(all);
  pass();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(pending[static_cast<std::size_t>(i)].get());
  EXPECT_EQ(pending[4].wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  ASSERT_TRUE(holder.run("COMMIT").ok);
  ASSERT_TRUE(pending[4].get());
}

// Two are under way, as long as somebody holds their rows: one that comes then waits for another, and both are one
// transaction on the connection that is left.
TEST_P(MergedRows, fewer_than_are_under_way_wait_for_company) {
  open(url_, kThreeForWrites);
  SqlSession holder(url_);
  bool together = false;
  // The second one of a pair may come too late on a busy machine, when the first has gone.
  for (int id = 1; !together && id < 100; id += 4) {
    auto held = hold_two(holder, id);
    auto first = begin(request_of({known(id + 2, {set("n", "1")})}));
    auto second = begin(request_of({known(id + 3, {set("n", "1")})}));
    ASSERT_TRUE(first.get());
    ASSERT_TRUE(second.get());
    together = written_in(fmt::format("id IN ({}, {})", id + 2, id + 3)) == 1;
    ASSERT_TRUE(holder.run("COMMIT").ok);
    for (auto& one : held) ASSERT_TRUE(one.get());
  }
  EXPECT_TRUE(together);
}

TEST_P(MergedRows, who_waits_for_company_does_not_wait_for_locks) {
  open(url_, kThreeForWrites);
  SqlSession holder(url_);
  auto held = hold_two(holder, 1);
  ASSERT_TRUE(begin(request_of({known(3, {set("n", "1")})})).get());
  for (auto& one : held) EXPECT_EQ(one.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  ASSERT_TRUE(holder.run("COMMIT").ok);
  for (auto& one : held) ASSERT_TRUE(one.get());
}

// The answer is lost, after the commit or with the server's process: each is unknown, none is sent again, none is half done.
TEST_P(MergedRows, what_gets_no_answer_is_unknown_and_never_half_done) {
  TcpProxy proxy(TemporaryPostgres::shared().port());
  open(TemporaryPostgres::shared().url_through(proxy.port(), database_of(url_)));
  // So that they wait for the lock as long as it takes: the setting is the function's own, and ends with it.
  TemporaryPostgres::run(url_, "ALTER FUNCTION freshet.pass_many SET lock_timeout = '20s'");
  for (const bool commits : {true, false}) {
    SCOPED_TRACE(commits);
    const int first = commits ? 0 : 6;  // Others than before.
    shut();
    SqlSession holder(url_);
    ASSERT_TRUE(holder.run("BEGIN").ok);
    ASSERT_TRUE(holder.run(fmt::format("SELECT FROM users WHERE id = {} FOR UPDATE", first * 10 + 47)).ok);
    auto all = transactions(12);
    auto pending = begin_all({all.begin() + first, all.begin() + first + 6});
    pass();
    ASSERT_TRUE(await("SELECT count(*) FROM " + waiter_for(holder)));
    proxy.set_mode(TcpProxy::Mode::swallow_replies);
    const auto swallowed = proxy.swallowed();
    if (!commits) {
      EXPECT_EQ(sql("SELECT pg_terminate_backend(pid) FROM " + waiter_for(holder)), "t");
    }
    ASSERT_TRUE(holder.run("COMMIT").ok);
    ASSERT_TRUE(proxy.wait_for_swallowed(swallowed + 1));
    proxy.set_mode(TcpProxy::Mode::pass);
    proxy.cut();
    for (auto& one : pending) {
      const auto reply = one.get();
      ASSERT_FALSE(reply);
      EXPECT_EQ(reply.error().code, ErrorCode::unknown_outcome) << reply.error().what;
    }
    // A new guard waits for what may still be under way. Its own connection was cut, too: it may be told so first.
    token_ = Token::make();
    auto guarded = calls().set_guard(kAllSlots, token_);
    for (const auto give_up = base::now() + kPatience; !guarded && base::now() < give_up;) {
      guarded = calls().set_guard(kAllSlots, token_);
    }
    ASSERT_TRUE(guarded) << guarded.error().what;
    const auto written = fmt::format("SELECT count(*) FROM users WHERE n > 0 AND id BETWEEN {} AND {}", first * 10 + 1,
                                     first * 10 + 60);
    EXPECT_EQ(sql(written), commits ? "60" : "0");
    if (commits) {
      EXPECT_EQ(written_in("id <= 60"), 1);
    }
  }
}

}  // namespace
}  // namespace freshet::storage::postgres
