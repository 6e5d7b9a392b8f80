// Updates of several rows that are one statement: nothing of it shows but that they are written together.
#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "storage/postgres/guarded/row_database.h"

namespace freshet::storage::postgres {
namespace {

constexpr const char* kUsers =
    "CREATE TABLE users (id int PRIMARY KEY, name varchar(8) NOT NULL, n int NOT NULL DEFAULT 0 CHECK (n < 100), "
    "born timestamptz);"
    "INSERT INTO users SELECT i, 'user' || i FROM generate_series(1, 20) i";

class GroupedRows : public GuardedRowsFixture {
 protected:
  static std::string key(int id) { return fmt::format("users:{}", id); }
  std::vector<Mutation> changes(std::vector<int> ids, std::vector<Cell> cells) {
    std::vector<Mutation> mutations;
    for (const auto id : ids) mutations.push_back(change(key(id), cells));
    return mutations;
  }
  // Rows that one statement wrote have one transaction and one command number.
  std::string statements(const std::string& condition) {
    return sql("SELECT count(DISTINCT (xmin::text, cmin::text)) FROM users WHERE " + condition);
  }
};

TEST_F(GroupedRows, like_changes_of_a_transaction_are_one_statement) {
  make(kUsers, {guarded("users", "users")});
  auto mutations = changes({3, 1, 12, 2}, {set("name", "Ann"), add("n", "7"), set("born", "2000-01-02 03:04:05+00")});
  mutations[2].cells[0].text = "Bob";
  const auto reply = calls().write(request_of(mutations));
  ASSERT_TRUE(reply) << reply.error().what;
  for (std::size_t i = 0; i < mutations.size(); ++i) {
    const auto& outcome = (*reply)[i];
    ASSERT_TRUE(outcome) << outcome.error().what;
    EXPECT_TRUE(outcome->applied);
    EXPECT_EQ(json(mutations[i].key, outcome->after), read(mutations[i].key));
    ASSERT_TRUE(outcome->before && outcome->before->present);
    EXPECT_NE(json(mutations[i].key, *outcome->before).find("\"n\":0"), std::string::npos);
  }
  EXPECT_EQ(read(key(12)), R"({"id":12,"name":"Bob","n":7,"born":"2000-01-02 03:04:05+00"})");
  EXPECT_EQ(statements("n = 7"), "1");
}

TEST_F(GroupedRows, what_differs_goes_beside_them) {
  make(kUsers, {guarded("users", "users")});
  auto mutations = changes({1, 2, 3, 4, 5}, {add("n", "7")});
  mutations[3].cells = {set("name", "Cleo")};
  mutations.push_back(change(key(5), {add("n", "1")}));  // Of one key: in their order, and so each alone.
  const auto reply = calls().write(request_of(mutations));
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(read(key(4)), R"({"id":4,"name":"Cleo","n":0,"born":null})");
  EXPECT_EQ(json(key(5), (*reply)[5]->after), R"({"id":5,"name":"user5","n":8,"born":null})");
  EXPECT_EQ(statements("n = 7"), "1");
}

TEST_F(GroupedRows, missing_rows_are_inserted_and_all_is_one_transaction) {
  make(kUsers, {guarded("users", "users")});
  auto some = changes({1, 31, 2}, {set("name", "Ann"), set("n", "5")});
  auto reply = calls().write(request_of(some));
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_FALSE((*reply)[1]->before->present);
  EXPECT_TRUE((*reply)[0]->before->present);
  EXPECT_EQ(sql("SELECT count(DISTINCT xmin::text) || ' ' || count(*) FROM users WHERE n = 5"), "1 3");
  // None of them is there.
  reply = calls().write(request_of(changes({41, 42}, {set("name", "Bob"), set("n", "6")})));
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(sql("SELECT count(*) FROM users WHERE n = 6"), "2");
  // One of them cannot be inserted: nothing is.
  reply = calls().write(request_of(changes({1, 51}, {set("n", "8")})));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().what.substr(0, 24), "column 'name' of users: ");
  EXPECT_EQ(sql("SELECT count(*) FROM users WHERE n = 8"), "0");
}

TEST_F(GroupedRows, an_error_names_the_column_as_if_the_row_were_alone) {
  make(kUsers, {guarded("users", "users")});
  auto mutations = changes({1, 2, 3}, {set("name", "Ann"), set("n", "5")});
  const auto error = [&](const std::string& name, const std::string& number) {
    mutations[1].cells = {set("name", name), set("n", number)};
    const auto reply = calls().write(request_of(mutations));
    return reply ? "done" : reply.error().what;
  };
  EXPECT_EQ(error("much too long", "5"), "column 'name' of users: value too long for type character varying(8)")
      << "a text is refused, not cut off";
  EXPECT_EQ(error("Bob", "many"), "column 'n' of users: invalid input syntax for type integer: \"many\"");
  EXPECT_EQ(error("Bob", "100").substr(0, 29), "constraint 'users_n_check' of");
  EXPECT_EQ(sql("SELECT count(*) FROM users WHERE n = 5"), "0");
  EXPECT_EQ(error("Bob", "6"), "done");
}

TEST_F(GroupedRows, another_token_stops_all_of_them) {
  make(kUsers, {guarded("users", "users")});
  auto mutations = changes({1, 2, 3}, {set("n", "5")});
  mutations[2].token = Token::make();
  const auto reply = calls().write(request_of(mutations));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::guard_mismatch);
  EXPECT_EQ(sql("SELECT count(*) FROM users WHERE n = 5"), "0");
}

// Others' casts from text are no business of a value's.
TEST_F(GroupedRows, values_are_read_by_their_types_input_functions) {
  make("CREATE TABLE users (id int PRIMARY KEY, j jsonb, a int[], n varchar(9)[], k \"char\", t text);"
       "CREATE FUNCTION wrapped(text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS "
       "$$ SELECT jsonb_build_object('wrapped', $1) $$;"
       "CREATE CAST (text AS jsonb) WITH FUNCTION wrapped(text); INSERT INTO users VALUES (1), (2)",
       {guarded("users", "users")});
  const auto reply = calls().write(request_of(changes({1, 2}, {set("j", R"({"a": "\"{,}"})"), set("k", "z"),
                                                                set("t", R"( NULL "\ {} )")})));
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(read(key(2)),
            R"({"id":2,"j":{"a": "\"{,}"},"a":null,"n":null,"k":"z","t":" NULL \"\\ {} "})");
  EXPECT_EQ(statements("k = 'z'"), "1");
  ASSERT_TRUE(calls().write(request_of(changes({1, 2}, {set("a", "{1,2}"), set("n", "{x}")}))));
  EXPECT_EQ(sql("SELECT a[2] || n[1] FROM users WHERE id = 2"), "2x");
}

TEST_F(GroupedRows, texts_that_are_too_long_are_refused) {
  make("CREATE DOMAIN short AS varchar(4); CREATE TABLE users (id int PRIMARY KEY, n short, c char(3), k \"char\");"
       "INSERT INTO users VALUES (1), (2), (3)", {guarded("users", "users")});
  auto reply = calls().write(request_of(changes({1, 2}, {set("n", "much too long")})));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().what, "column 'n' of users: value too long for type character varying(4)");
  reply = calls().write(request_of(changes({1, 2}, {set("c", "four")})));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().what, "column 'c' of users: value too long for type character(3)");
  ASSERT_TRUE(calls().write(request_of(changes({1, 2}, {set("c", "x"), set("n", "y"), set("k", "z")}))));
  EXPECT_EQ(read(key(2)), R"({"id":2,"n":"y","c":"x  ","k":"z"})");
}

// Their rows wait for each other in the database, and the loser of a wait finds its row elsewhere: it is there all the same.
TEST_F(GroupedRows, writers_of_one_row_at_once_never_take_it_for_missing) {
  make(kUsers, {guarded("users", "users")});
  constexpr int kWriters = 4, kWrites = 60;
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kWriters; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < kWrites; ++k) {
        const auto outcome = write(change(key(1), {set("n", std::to_string(i))}));
        if (outcome && outcome->applied) continue;
        ++failed;
        ADD_FAILURE() << outcome.error().what;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
}

// Single writes that wait for the connection.
TEST_F(GroupedRows, like_writes_that_wait_are_one_statement_and_a_wrong_guess_is_its_own) {
  make(kUsers, {guarded("users", "users")});
  SqlSession blocker(url_);
  blocker.run("BEGIN");
  for (const int id : {18, 19}) blocker.run(fmt::format("SELECT FROM users WHERE id = {} FOR UPDATE", id));
  std::vector<std::future<Result<WriteReply>>> pending;
  const auto begin = [&](int id, std::vector<Cell> cells) {
    auto promise = std::make_shared<std::promise<Result<WriteReply>>>();
    pending.push_back(promise->get_future());
    storage_->write(request_of({change(key(id), std::move(cells))}),
                    [promise](Result<WriteReply> reply) { promise->set_value(std::move(reply)); });
  };
  // As many as are sent at once, whatever the pool: the first of them wait for the rows that are locked.
  for (int i = 0; i < 40; ++i) begin(i % 2 == 0 ? 18 : 19, {set("name", std::to_string(i))});
  for (int id = 1; id <= 12; ++id) begin(id, {set("name", "Ann"), set("n", "5")});
  begin(77, {set("name", "Ann"), set("n", "5")});
  begin(13, {set("name", "Ann"), set("n", "500")});
  blocker.run("COMMIT");
  for (std::size_t i = 0; i + 1 < pending.size(); ++i) {
    const auto reply = pending[i].get();
    ASSERT_TRUE(reply) << i << reply.error().what;
    EXPECT_TRUE(reply->front()->applied);
  }
  EXPECT_FALSE(pending.back().get()) << "its own error";
  EXPECT_EQ(sql("SELECT count(*) FROM users WHERE n = 5"), "13");
}

}  // namespace
}  // namespace freshet::storage::postgres
