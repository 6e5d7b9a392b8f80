// Which histories are older: the rule, and what a storage does with an answer of an old primary.
#include "storage/postgres/history.h"

#include "storage/postgres/guarded/test_database.h"

namespace freshet::storage::postgres {
namespace {

TEST(PostgresHistory, an_older_timeline_and_a_standby_are_refused) {
  History history;
  EXPECT_TRUE(history.connect("system", "00000002"));
  EXPECT_TRUE(history.note("00000002"));
  EXPECT_TRUE(history.note("0000000A"));
  EXPECT_FALSE(history.note("00000002"));
  EXPECT_FALSE(history.note(""));
  EXPECT_FALSE(history.connect("system", "00000009"));
  EXPECT_EQ(history.timeline(), "0000000A");
}

TEST(PostgresHistory, another_system_starts_anew) {
  History history;
  EXPECT_TRUE(history.connect("old", "00000005"));
  const auto number = history.number();
  EXPECT_TRUE(history.connect("new", "00000001"));
  EXPECT_NE(history.number(), number) << "connections to the old system can tell";
}

// Two primaries are played by one: what it says of its timeline is replaced under the storage's connections.
class PostgresTimelines : public ::testing::Test {
 protected:
  void SetUp() override {
    url_ = TemporaryPostgres::shared().create_database();
    storage_ = open_storage(options_for(url_));
    ASSERT_TRUE(storage_);
    token_ = Token::make();
    ASSERT_TRUE(calls().set_guard(kAllSlots, token_));
    ASSERT_TRUE(calls().write(request_of({put("k", "v", token_)})));
  }
  BlockingStorage calls() { return BlockingStorage(*storage_); }
  void say(const std::string& timeline) {
    TemporaryPostgres::run(url_, "CREATE OR REPLACE FUNCTION freshet.timeline() RETURNS text LANGUAGE sql VOLATILE AS "
                                 "$$ SELECT '" + timeline + "' $$");
  }
  static base::Nanoseconds soon() { return base::now() + 5 * base::kSecond; }

  std::string url_;
  std::unique_ptr<PostgresStorage> storage_;
  Token token_;
};

TEST_F(PostgresTimelines, after_a_guard_on_the_new_primary_the_old_one_answers_nothing) {
  ASSERT_TRUE(calls().read({"k"}));
  say("0000000B");
  ASSERT_TRUE(calls().set_guard(kAllSlots, Token::make()));
  say("0000000A");
  const auto read = calls().read({"k"}, soon());
  ASSERT_FALSE(read) << "a fill from the old primary";
  EXPECT_EQ(read.error().code, ErrorCode::unavailable) << read.error().what;
  EXPECT_FALSE(calls().health());
  EXPECT_FALSE(calls().scan(0, 10));
  EXPECT_FALSE(calls().count());
  EXPECT_FALSE(calls().set_guard(kAllSlots, Token::make(), soon()));
  say("0000000B");
  auto again = calls().read({"k"}, soon());
  const auto give_up = base::now() + 60 * base::kSecond;
  while (!again && base::now() < give_up) again = calls().read({"k"}, soon());
  ASSERT_TRUE(again) << again.error().what;
  EXPECT_EQ(again->states[0].value, "v");
}

TEST_F(PostgresTimelines, a_standby_answers_no_read) {
  say("");
  const auto read = calls().read({"k"}, soon());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::unavailable) << read.error().what;
}

}  // namespace
}  // namespace freshet::storage::postgres
