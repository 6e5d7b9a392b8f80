// Read levels: a command's, a connection's, and what a session remembers.
#include "server/testing/observed_fixture.h"

namespace freshet::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class LevelsTest : public ObservedTest {
 protected:
  // The level at which the engine was asked last.
  std::string asked_by(TestClient& client, const Words& words) {
    const std::string reply = client.call(words);
    EXPECT_FALSE(client.last().is_error()) << words[0] << ": " << reply;
    return engine_.last_read();
  }
};

TEST_F(LevelsTest, EveryReadHonoursTheConnectionsLevel) {
  put_user("1", "Ada");
  put_top("top:x", {"Ada"});
  const Words reads[] = {{"GET", "users:1"}, {"MGET", "users:1", "top:x"}, {"STRLEN", "k"}, {"GETRANGE", "k", "0", "1"},
                         {"EXISTS", "users:1"}, {"EXISTS", "k", "users:1"}, {"TOUCH", "users:1"}, {"TYPE", "users:1"},
                         {"TTL", "users:1"}, {"PEXPIRETIME", "k"}, {"HGET", "users:1", "id"}, {"HMGET", "users:1", "id"},
                         {"HGETALL", "users:1"}, {"HEXISTS", "users:1", "id"}, {"HLEN", "users:1"}, {"HKEYS", "users:1"},
                         {"HVALS", "users:1"}, {"HSTRLEN", "users:1", "id"}, {"FRESHET.GET", "users:1"}};
  auto client = connect();
  const std::pair<Words, std::string> levels[] = {
      {{"FRESHET.LEVEL", "any"}, "any"},           {{"FRESHET.LEVEL", "BOUNDED", "50"}, "bounded 50"},
      {{"FRESHET.LEVEL", "snapshot"}, "snapshot"}, {{"FRESHET.LEVEL", "linearizable"}, "linearizable"},
      {{"FRESHET.LEVEL", "default"}, "default"}};
  for (const auto& [words, name] : levels) {
    EXPECT_EQ(client->call(words), "OK");
    EXPECT_EQ(client->call({"FRESHET.LEVEL"}), "\"" + name + "\"");
    for (const auto& read : reads) {
      EXPECT_EQ(asked_by(*client, read), name) << read[0];
    }
  }
}

TEST_F(LevelsTest, TheCommandsLevelComesFirst) {
  put_user("1", "Ada");
  auto client = connect();
  client->call({"FRESHET.LEVEL", "bounded", "70ms"});
  EXPECT_EQ(asked_by(*client, {"FRESHET.GET", "users:1", "LEVEL", "any"}), "any");
  EXPECT_EQ(asked_by(*client, {"FRESHET.WITH", "LEVEL", "linearizable", "HGET", "users:1", "id"}), "linearizable");
  EXPECT_EQ(asked_by(*client, {"FRESHET.WITH", "LEVEL", "default", "GET", "k"}), "default");
  EXPECT_EQ(asked_by(*client, {"FRESHET.WITH", "LEVEL", "snapshot", "MGET", "k", "users:1"}), "snapshot");
  EXPECT_EQ(asked_by(*client, {"GET", "users:1"}), "bounded 70");
  EXPECT_EQ(client->call({"RESET"}), "RESET");
  EXPECT_EQ(asked_by(*client, {"GET", "users:1"}), "default");
}

TEST_F(LevelsTest, ASnapshotIsOneReadOfAllKeys) {
  put_user("1", "Ada");
  auto client = connect();
  client->call({"SET", "k", "v"});
  client->call({"FRESHET.WITH", "LEVEL", "any", "MGET", "k", "users:1"});
  EXPECT_EQ(client->last().items.size(), 2u);
  client->call({"FRESHET.LEVEL", "snapshot"});
  EXPECT_EQ(asked_by(*client, {"MGET", "k", "k"}), "snapshot");
  std::vector<std::string> keys;
  for (std::size_t i = 0; i <= storage::kBatchKeysMax; ++i) keys.push_back("k" + std::to_string(i));
  Words words{"MGET"};
  words.insert(words.end(), keys.begin(), keys.end());
  EXPECT_EQ(client->call(words), "-ERR at most 1024 keys can be read as of one moment");
  words.pop_back();
  client->call(words);
  EXPECT_EQ(client->last().items.size(), storage::kBatchKeysMax);
}

TEST_F(LevelsTest, ASessionRemembersWhatItHasSeen) {
  put_user("1", "Ada");
  auto client = connect();
  EXPECT_EQ(client->call({"FRESHET.LEVEL", "session"}), "OK");
  EXPECT_EQ(client->call({"FRESHET.LEVEL"}), "\"session 7-00000001-L0/1000\"") << "begun at what was acknowledged";
  EXPECT_EQ(asked_by(*client, {"GET", "users:1"}), "session 7-00000001-L0/1000");
  put_user("2", "Bob");
  client->call({"GET", "users:2"});
  EXPECT_EQ(client->call({"FRESHET.LEVEL"}), "\"session 7-00000001-L0/2000\"");
  put_user("3", "Eve");
  client->call({"MGET", "users:1", "users:3"});
  EXPECT_EQ(client->call({"FRESHET.LEVEL"}), "\"session 7-00000001-L0/3000\"");
  put_user("4", "Joe");
  EXPECT_EQ(client->call({"FRESHET.TOKEN"}), "\"7-00000001-L0/4000\"");
  EXPECT_EQ(asked_by(*client, {"FRESHET.GET", "users:1", "LEVEL", "session"}), "session 7-00000001-L0/4000");
  EXPECT_EQ(asked_by(*client, {"FRESHET.GET", "users:1", "LEVEL", "session", "7-00000001-L0/1"}), "session 7-00000001-L0/1");
  put_user("5", "Zoe");
  EXPECT_THAT(client->call({"FRESHET.GET", "users:1", "LEVEL", "any"}), HasSubstr("\"memory\""));
  EXPECT_EQ(client->call({"FRESHET.LEVEL"}), "\"session 7-00000001-L0/5000\"") << "hits count too";
}

TEST_F(LevelsTest, AGivenTokenIsUsed) {
  put_user("1", "Ada");
  auto client = connect();
  EXPECT_EQ(client->call({"FRESHET.LEVEL", "session", "7-00000001-X748"}), "OK");
  EXPECT_EQ(asked_by(*client, {"GET", "users:1"}), "session 7-00000001-X748");
  EXPECT_EQ(client->call({"FRESHET.LEVEL"}), "\"session 7-00000001-L0/1000\"") << "a position that includes the transaction";
  EXPECT_EQ(client->call({"FRESHET.LEVEL", "session", "8-00000001-L0/10"}), "OK");
  EXPECT_EQ(client->call({"FRESHET.TOKEN"}), "\"7-00000001-L0/1000\"");
  EXPECT_EQ(client->call({"FRESHET.LEVEL"}), "\"session 7-00000001-L0/1000\"") << "another history begins anew";
}

TEST_F(LevelsTest, WrongWordsAreNamed) {
  auto client = connect();
  const std::string expected = "-ERR expected LINEARIZABLE, SESSION [token], BOUNDED milliseconds, SNAPSHOT, ANY or DEFAULT";
  play(*client, {{{"FRESHET.LEVEL", "fresh"}, expected},
                 {{"FRESHET.LEVEL", "bounded"}, expected},
                 {{"FRESHET.LEVEL", "bounded", "-1"}, "-ERR value is not an integer or out of range"},
                 {{"FRESHET.LEVEL", "bounded", "x"}, "-ERR value is not an integer or out of range"},
                 {{"FRESHET.LEVEL", "any", "x"}, "-ERR syntax error"},
                 {{"FRESHET.GET", "k", "LEVEL", "session"},
                  "-ERR give a token after SESSION, or begin a session on this connection with FRESHET.LEVEL SESSION"},
                 {{"FRESHET.GET", "k", "LEVEL", "session", "x"},
                  "-ERR give a token after SESSION, or begin a session on this connection with FRESHET.LEVEL SESSION"},
                 {{"FRESHET.WITH", "LEVEL", "any", "SET", "k", "v"},
                  "-ERR 'set' reads no keys at a level: FRESHET.WITH takes GET, MGET, HGET and their kin"},
                 {{"FRESHET.WITH", "LEVEL", "any", "GET"}, "-ERR wrong number of arguments for 'get' command"},
                 {{"FRESHET.WITH", "LEVEL", "bounded", "50"},
                  "-ERR FRESHET.WITH needs a command that reads, after its level"},
                 {{"FRESHET.WITH", "any", "GET", "k"}, "-ERR syntax error"},
                 {{"FRESHET.WAIT", "x", "10"},
                  "-ERR 'x' is no session token; pass on what FRESHET.TOKEN answered, or SYSTEM-TIMELINE-L<position> or "
                  "SYSTEM-TIMELINE-X<xid> as docs/READ-LEVELS.md writes it in SQL"},
                 {{"FRESHET.WAIT", "7-00000001-X5", "-1"}, "-ERR the timeout must be between 0 and 3600000 milliseconds"},
                 {{"FRESHET.WAIT", "7-00000001-X5", "10"}, "OK"}});
  EXPECT_THAT(client->call({"FRESHET.WITH", "LEVEL", "any", "NOPE", "k"}), StartsWith("-ERR unknown command 'NOPE'"));
  EXPECT_THAT(client->call({"FRESHET.LEVEL", "session", "x"}), HasSubstr("'x' is no session token"));
  EXPECT_EQ(client->call({"FRESHET.LEVEL"}), "\"default\"");
}

TEST_F(LevelsTest, ARefusedReadSaysWhy) {
  auto client = connect();
  engine_.fail_next(Error::of(ErrorCode::stale, "age=80ms asked=50ms"));
  EXPECT_EQ(client->call({"FRESHET.GET", "users:1", "LEVEL", "bounded", "50"}), "-STALE age=80ms asked=50ms");
  engine_.fail_next(Error::of(ErrorCode::busy, "100000 fills wait"));
  EXPECT_EQ(client->call({"HGETALL", "users:1"}), "-BUSY 100000 fills wait");
  engine_.fail_next(Error::of(ErrorCode::deadline_exceeded, "not yet"));
  EXPECT_EQ(client->call({"FRESHET.WAIT", "7-00000001-X5", "10"}), "-TIMEOUT not yet");
}

}  // namespace
}  // namespace freshet::server
