// Rows and queries as keys: JSON, columns, types, and the writes that are refused.
#include "server/testing/observed_fixture.h"

namespace freshet::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr std::string_view kAda =
    R"({"id":1,"name":"Ada","score":null,"balance":12345678901234567890.50,"active":true,"tags":[1, 2]})";

class HashesTest : public ObservedTest {};

std::string quoted(std::string_view text) {
  protocol::Reply reply;
  reply.type = protocol::ReplyType::bulk;
  reply.text = text;
  return reply.to_text();
}

TEST_F(HashesTest, ARowIsJsonToTheStringCommands) {
  put_user("1", "Ada");
  auto client = connect();
  for (const auto* level : {"default", "any"}) {  // By way of storage, and from memory.
    client->call({"FRESHET.LEVEL", level});
    play(*client, {{{"GET", "users:1"}, quoted(kAda)},
                   {{"GET", "users:2"}, "null"},
                   {{"MGET", "users:1", "users:2"}, "[" + quoted(kAda) + ", null]"},
                   {{"STRLEN", "users:1"}, std::to_string(kAda.size())},
                   {{"STRLEN", "users:2"}, "0"},
                   {{"GETRANGE", "users:1", "1", "6"}, quoted(kAda.substr(1, 6))},
                   {{"EXISTS", "users:1"}, "1"},
                   {{"EXISTS", "users:1", "users:2", "users:1"}, "2"},
                   {{"TYPE", "users:1"}, "hash"},
                   {{"TYPE", "users:2"}, "none"},
                   {{"TTL", "users:1"}, "-1"},
                   {{"PTTL", "users:2"}, "-2"},
                   {{"EXPIRETIME", "users:1"}, "-1"}});
  }
}

TEST_F(HashesTest, AQuerysResultIsAListOfRows) {
  put_top("top:x", {"Ada", "Bob"});
  put_top("top:none", {});
  auto client = connect();
  play(*client, {{{"GET", "top:x"}, quoted(R"([{"id":1,"name":"Ada"},{"id":2,"name":"Bob"}])")},
                 {{"GET", "top:none"}, quoted("[]")},
                 {{"TYPE", "top:x"}, "string"},
                 {{"TTL", "top:x"}, "-1"},
                 {{"HGETALL", "top:x"},
                  "-WRONGTYPE a query's result is a list of rows, not a hash; use GET, or FRESHET.GET"}});
}

TEST_F(HashesTest, ColumnsAreFields) {
  put_user("1", "Ada");
  auto client = connect();
  for (const auto* level : {"default", "any"}) {
    client->call({"FRESHET.LEVEL", level});
    play(*client,
         {{{"HGET", "users:1", "name"}, "\"Ada\""},
          {{"HGET", "users:1", "id"}, "\"1\""},
          {{"HGET", "users:1", "score"}, "null"},
          {{"HGET", "users:1", "nope"}, "null"},
          {{"HGET", "users:2", "name"}, "null"},
          {{"HMGET", "users:1", "name", "score", "nope", "active"}, R"(["Ada", null, null, "t"])"},
          {{"HMGET", "users:2", "name", "id"}, "[null, null]"},
          {{"HGETALL", "users:1"},
           R"(["id", "1", "name", "Ada", "balance", "12345678901234567890.50", "active", "t", "tags", "[1, 2]"])"},
          {{"HGETALL", "users:2"}, "[]"},
          {{"HEXISTS", "users:1", "name"}, "1"},
          {{"HEXISTS", "users:1", "score"}, "0"},
          {{"HEXISTS", "users:2", "name"}, "0"},
          {{"HLEN", "users:1"}, "5"},
          {{"HLEN", "users:2"}, "0"},
          {{"HKEYS", "users:1"}, R"(["id", "name", "balance", "active", "tags"])"},
          {{"HVALS", "users:1"}, R"(["1", "Ada", "12345678901234567890.50", "t", "[1, 2]"])"},
          {{"HSTRLEN", "users:1", "name"}, "3"},
          {{"HSTRLEN", "users:1", "score"}, "0"}});
  }
  client->call({"HELLO", "3"});
  EXPECT_THAT(client->call({"HGETALL", "users:1"}), StartsWith(R"({"id": "1", "name": "Ada", )"));
}

TEST_F(HashesTest, ColumnsAreDrawnAndWalked) {
  put_user("1", "Ada");
  put_top("top:x", {"Ada"});
  auto client = connect();
  play(*client, {{{"HRANDFIELD", "users:1", "100"}, R"(["id", "name", "balance", "active", "tags"])"},
                 {{"HSCAN", "users:1", "0", "MATCH", "[in]*"}, R"(["0", ["id", "1", "name", "Ada"]])"},
                 {{"HRANDFIELD", "users:2"}, "null"}});
  for (const auto& words : {Words{"HRANDFIELD", "top:x"}, Words{"HSCAN", "top:x", "0"}}) {
    EXPECT_THAT(client->call(words), StartsWith("-WRONGTYPE a query's result is a list of rows"));
  }
}

TEST_F(HashesTest, WritesOnObservedKeysAreRefused) {
  put_user("1", "Ada");
  put_top("top:x", {"Ada"});
  auto client = connect();
  for (const std::string_view key : {"users:1", "top:x"}) {
    const Words calls[] = {{"SET", key, "v"}, {"SETNX", key, "v"}, {"GETSET", key, "v"}, {"GETDEL", key}, {"GETEX", key},
                           {"MSET", "k", "v", key, "v"}, {"MSETNX", key, "v"}, {"APPEND", key, "v"},
                           {"SETRANGE", key, "0", "v"}, {"INCR", key}, {"INCRBYFLOAT", key, "1"}, {"DEL", "k", key},
                           {"UNLINK", key}, {"EXPIRE", key, "10"}, {"PERSIST", key}, {"HSET", key, "name", "v"},
                           {"HSETNX", key, "name", "v"}, {"HMSET", key, "name", "v"}, {"HDEL", key, "name"},
                           {"HINCRBY", key, "id", "1"}, {"HINCRBYFLOAT", key, "id", "1"},
                           {"FRESHET.SET", key, "v", "VERSION", "0"}};
    for (const auto& words : calls) {
      const std::string reply = client->call(words);
      EXPECT_THAT(reply, StartsWith("-READONLY '" + std::string(key) + "' is ")) << words[0];
      EXPECT_THAT(reply, HasSubstr("FRESHET.EVICT drops cached data")) << words[0];
    }
  }
  EXPECT_EQ(client->call({"GET", "k"}), "null") << "nothing of a refused command is applied";
  EXPECT_THAT(client->call({"FLUSHALL"}), StartsWith("-ERR Freshet never empties the database"));
  EXPECT_EQ(client->call({"GET", "users:1"}), quoted(kAda));
}

TEST_F(HashesTest, FreshetGetGivesColumnsTheirTypes) {
  put_user("1", "Ada");
  put_top("top:x", {"Ada"});
  auto client = connect();
  play(*client, {{{"FRESHET.GET", "users:1"},
                  R"(["value", )" + quoted(kAda) + R"(, "position", "0/2000", "age", 0, "source", "storage"])"},
                 {{"FRESHET.GET", "users:2", "LEVEL", "any"},
                  R"(["value", null, "position", "0/2000", "age", 0, "source", "storage"])"}});
  client->call({"HELLO", "3"});
  play(*client,
       {{{"FRESHET.GET", "users:1", "LEVEL", "any"},
         R"({"value": {"id": 1, "name": "Ada", "score": null, "balance": "12345678901234567890.50", "active": true, )"
         R"("tags": "[1, 2]"}, "position": "0/2000", "age": 7, "source": "memory"})"},
        {{"FRESHET.GET", "top:x"},
         R"({"value": [{"id": 1, "name": "Ada"}], "position": "0/2000", "age": 0, "source": "storage"})"}});
}

TEST_F(HashesTest, LongRowsAreRenderedToo) {
  const std::string name(100'000, 'x');
  put_user("1", name);
  auto client = connect();
  for (const auto* level : {"linearizable", "any"}) {
    client->call({"FRESHET.WITH", "LEVEL", level, "HGET", "users:1", "name"});
    EXPECT_EQ(client->last().text, name) << level;
  }
}

TEST_F(HashesTest, EvictingACollectionLeavesTheOthers) {
  put_user("1", "Ada");
  put_top("top:x", {"Ada"});
  auto client = connect();
  client->call({"SET", "k", "v"});
  client->call({"MGET", "users:1", "users:2", "top:x"});
  play(*client, {{{"FRESHET.EVICT", "COLLECTION", "users"}, "2"},
                 {{"FRESHET.EVICT", "COLLECTION", "users"}, "0"},
                 {{"FRESHET.EVICT", "COLLECTION", "nope"}, "-ERR there is no collection 'nope'; there are: kv, top, users"},
                 {{"FRESHET.EVICT", "top:x"}, "1"},
                 {{"FRESHET.EVICT", "COLLECTION", "kv"}, "1"}});
}

TEST_F(HashesTest, TheStreamIsShown) {
  auto client = connect();
  client->call({"INFO", "stream"});
  EXPECT_THAT(client->last().text, HasSubstr("# Stream\r\nstreaming:1\r\n"));
  EXPECT_THAT(client->last().text, HasSubstr("stream_lag_ms:12\r\n"));
  EXPECT_THAT(client->last().text, HasSubstr("stream_slot:fake_slot\r\nstream_publication:fake_publication\r\n"));
  EXPECT_THAT(client->last().text, HasSubstr("held_transactions:2\r\n"));
  client->call({"FRESHET.STATS"});
  EXPECT_EQ(client->last().find("held_transactions")->integer, 2);
  EXPECT_EQ(client->last().find("streaming")->integer, 1);
}

}  // namespace
}  // namespace freshet::server
