// MULTI and its kin over an engine in memory: what is queued, what is answered when, and what WATCH sees.
#include <gmock/gmock.h>

#include "server/testing/server_fixture.h"

namespace freshet::server {
namespace {

using testing::StartsWith;
using Words = std::vector<std::string_view>;

class TransactionsTest : public ServerTest {
 protected:
  void SetUp() override { start(); }
  static void play(TestClient& client, const std::vector<std::pair<Words, std::string>>& script) {
    for (const auto& [words, expected] : script) EXPECT_EQ(client.call(words), expected) << words.front();
  }
};

TEST_F(TransactionsTest, CommandsAreQueuedAndAnsweredTogether) {
  auto client = connect();
  play(*client, {{{"MULTI"}, "OK"},
                 {{"SET", "a", "1"}, "QUEUED"},
                 {{"INCRBY", "a", "4"}, "QUEUED"},
                 {{"GET", "a"}, "QUEUED"},
                 {{"DEL", "a", "none"}, "QUEUED"},
                 {{"EXISTS", "a"}, "QUEUED"},
                 {{"MSET", "b", "2", "c", "3"}, "QUEUED"},
                 {{"MGET", "a", "b", "c"}, "QUEUED"},
                 {{"APPEND", "b", "0"}, "QUEUED"},
                 {{"SET", "c", "new", "XX", "GET"}, "QUEUED"},
                 {{"GETDEL", "c"}, "QUEUED"},
                 {{"SETNX", "b", "no"}, "QUEUED"},
                 {{"PING"}, "QUEUED"}});
  EXPECT_EQ(client->call({"EXEC"}),
            "[OK, 5, \"5\", 1, 0, OK, [null, \"2\", \"3\"], 2, \"3\", \"new\", 0, PONG]");
  play(*client, {{{"MGET", "a", "b", "c"}, "[null, \"20\", null]"}, {{"EXEC"}, "-ERR EXEC without MULTI"}});
}

TEST_F(TransactionsTest, OthersSeeNothingOfItBeforeExec) {
  auto client = connect();
  auto other = connect();
  client->call({"MULTI"});
  client->call({"SET", "a", "1"});
  EXPECT_EQ(other->call({"GET", "a"}), "null");
  EXPECT_EQ(client->call({"DISCARD"}), "OK");
  EXPECT_EQ(client->call({"GET", "a"}), "null");
  EXPECT_EQ(client->call({"DISCARD"}), "-ERR DISCARD without MULTI");
}

TEST_F(TransactionsTest, ACommandThatCannotBeQueuedSpoilsIt) {
  auto client = connect();
  for (const auto& wrong : {Words{"NOSUCH"}, {"GET"}, {"SCAN", "0"}, {"SUBSCRIBE", "x"}}) {
    client->call({"MULTI"});
    client->call({"SET", "a", "1"});
    EXPECT_THAT(client->call(wrong), StartsWith("-ERR"));
    EXPECT_THAT(client->call({"EXEC"}), StartsWith("-EXECABORT"));
  }
  EXPECT_EQ(client->call({"GET", "a"}), "null");
  client->call({"MULTI"});
  EXPECT_EQ(client->call({"MULTI"}), "-ERR MULTI calls can not be nested");
  EXPECT_EQ(client->call({"WATCH", "a"}), "-ERR WATCH inside MULTI is not allowed");
  EXPECT_EQ(client->call({"EXEC"}), "[]") << "these two leave it as it is";
}

TEST_F(TransactionsTest, AnErrorOfOneCommandLeavesTheOthers) {
  auto client = connect();
  client->call({"SET", "word", "abc"});
  play(*client, {{{"MULTI"}, "OK"}, {{"SET", "a", "1"}, "QUEUED"}, {{"INCR", "word"}, "QUEUED"}, {{"INCR", "a"}, "QUEUED"}});
  EXPECT_EQ(client->call({"EXEC"}), "[OK, -ERR value is not an integer or out of range, 2]");
}

TEST_F(TransactionsTest, AnErrorOfTheWholeIsItsOnlyAnswer) {
  auto client = connect();
  client->call({"MULTI"});
  client->call({"SET", "a", "1"});
  client->call({"SET", "b", "1"});
  engine_.fail_next(Error::of(ErrorCode::unavailable, "the database is away", "wait"));
  EXPECT_EQ(client->call({"EXEC"}), "-UNAVAILABLE the database is away; wait");
  EXPECT_EQ(client->call({"MGET", "a", "b"}), "[null, null]");
}

TEST_F(TransactionsTest, AWatchedKeyThatChangedStopsIt) {
  auto client = connect();
  auto other = connect();
  client->call({"SET", "a", "1"});
  const auto execute = [&] {
    client->call({"MULTI"});
    client->call({"SET", "b", "2"});
    return client->call({"EXEC"});
  };
  client->call({"WATCH", "a", "none"});
  EXPECT_EQ(execute(), "[OK]");
  client->call({"WATCH", "a"});
  other->call({"SET", "a", "1"});
  EXPECT_EQ(execute(), "null") << "written anew, if with the same value";
  EXPECT_EQ(execute(), "[OK]") << "EXEC forgets what was watched";
  client->call({"WATCH", "none"});
  other->call({"SET", "none", "1"});
  EXPECT_EQ(execute(), "null");
  client->call({"WATCH", "a"});
  other->call({"SET", "a", "1"});
  EXPECT_EQ(client->call({"UNWATCH"}), "OK");
  EXPECT_EQ(execute(), "[OK]");
  client->call({"WATCH", "a"});
  other->call({"DEL", "a"});
  EXPECT_EQ(execute(), "null");
}

TEST_F(TransactionsTest, ResetEndsIt) {
  auto client = connect();
  client->call({"MULTI"});
  client->call({"SET", "a", "1"});
  EXPECT_EQ(client->call({"RESET"}), "RESET");
  EXPECT_EQ(client->call({"EXEC"}), "-ERR EXEC without MULTI");
}

TEST_F(TransactionsTest, EveryKindOfExpiryWorksWithin) {
  auto client = connect();
  play(*client, {{{"MULTI"}, "OK"},
                 {{"SET", "a", "1", "EX", "100"}, "QUEUED"},
                 {{"TTL", "a"}, "QUEUED"},
                 {{"PERSIST", "a"}, "QUEUED"},
                 {{"TTL", "a"}, "QUEUED"},
                 {{"EXPIRE", "a", "50"}, "QUEUED"},
                 {{"GETEX", "a", "EX", "70"}, "QUEUED"},
                 {{"TTL", "a"}, "QUEUED"},
                 {{"EXPIRE", "none", "50"}, "QUEUED"}});
  EXPECT_EQ(client->call({"EXEC"}), "[OK, 100, 1, -1, 1, \"1\", 70, 0]");
  EXPECT_EQ(client->call({"TTL", "a"}), "70");
}

}  // namespace
}  // namespace freshet::server
