// Every command's replies, the edge cases of Redis among them. tests/clients compares the same with a real Redis.
#include <gmock/gmock.h>

#include "server/testing/server_fixture.h"

namespace freshet::server {
namespace {

using Words = std::vector<std::string_view>;
using Script = std::vector<std::pair<Words, std::string>>;

class CommandsTest : public ServerTest {
 protected:
  void SetUp() override { start(); }
  void play(const Script& script) {
    auto client = connect();
    for (const auto& [words, expected] : script) {
      std::string shown;
      for (const auto word : words) shown += std::string(word.substr(0, 60)) + " ";
      EXPECT_EQ(client->call(words), expected) << shown;
    }
  }
};

TEST_F(CommandsTest, Connection) {
  play({{{"PING"}, "PONG"},
        {{"ping", "a b"}, "\"a b\""},
        {{"PING", "a", "b"}, "-ERR wrong number of arguments for 'ping' command"},
        {{"ECHO", "x"}, "\"x\""},
        {{"ECHO"}, "-ERR wrong number of arguments for 'echo' command"},
        {{"SELECT", "0"}, "OK"},
        {{"SELECT", "1"}, "-ERR DB index is out of range"},
        {{"SELECT", "x"}, "-ERR value is not an integer or out of range"},
        {{"AUTH", "x"},
         "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration "
         "is "
         "correct?"},
        {{"AUTH", "default", "x"}, "OK"},
        {{"AUTH", "nobody", "x"}, "-WRONGPASS invalid username-password pair or user is disabled."},
        {{"HELLO", "4"}, "-NOPROTO unsupported protocol version"},
        {{"HELLO", "x"}, "-ERR Protocol version is not an integer or out of range"},
        {{"HELLO", "3", "SETNAME"}, "-ERR Syntax error in HELLO option 'SETNAME'"},
        {{"RESET"}, "RESET"},
        {{"QUIT"}, "OK"}});
}

TEST_F(CommandsTest, HelloChoosesTheVersion) {
  auto client = connect();
  EXPECT_THAT(client->call({"HELLO", "3", "SETNAME", "me"}), testing::StartsWith("{\"server\": \"freshet\", "));
  EXPECT_EQ(client->last().find("proto")->integer, 3);
  EXPECT_EQ(client->call({"GET", "absent"}), "null");
  EXPECT_EQ(client->call({"CONFIG", "GET", "maxmemory"}), "{\"maxmemory\": \"1073741824\"}");
  EXPECT_EQ(client->call({"CLIENT", "GETNAME"}), "\"me\"");
  EXPECT_THAT(client->call({"HELLO", "2"}), testing::StartsWith("[\"server\""));
  EXPECT_EQ(client->call({"CONFIG", "GET", "maxmemory"}), "[\"maxmemory\", \"1073741824\"]");
}

TEST_F(CommandsTest, Client) {
  play({{{"CLIENT"}, "-ERR wrong number of arguments for 'client' command"},
        {{"CLIENT", "GETNAME"}, "null"},
        {{"CLIENT", "SETNAME", "a b"}, "-ERR Client names cannot contain spaces, newlines or special characters."},
        {{"CLIENT", "SETNAME", "n"}, "OK"},
        {{"CLIENT", "SETNAME"}, "-ERR wrong number of arguments for 'client|setname' command"},
        {{"CLIENT", "SETINFO", "LIB-NAME", "l"}, "OK"},
        {{"CLIENT", "SETINFO", "lib-ver", "1 2"}, "-ERR lib-ver cannot contain spaces, newlines or special characters."},
        {{"CLIENT", "SETINFO", "x", "1"}, "-ERR Unrecognized option 'x'"},
        {{"CLIENT", "NO-EVICT", "on"}, "OK"},
        {{"CLIENT", "NO-TOUCH", "maybe"}, "-ERR syntax error"},
        {{"CLIENT", "LIST", "TYPE", "pubsub"}, "\"\""},
        {{"CLIENT", "LIST", "TYPE", "x"}, "-ERR Unknown client type 'x'"},
        {{"CLIENT", "LIST", "ID", "x"}, "-ERR Invalid client ID"},
        {{"CLIENT", "NOPE"}, "-ERR unknown subcommand 'NOPE'. Try CLIENT HELP."}});
}

TEST_F(CommandsTest, ClientListShowsEveryWorkersClients) {
  auto first = connect(), second = connect(), third = connect();
  EXPECT_EQ(first->call({"CLIENT", "SETNAME", "one"}), "OK");
  EXPECT_EQ(second->call({"CLIENT", "SETNAME", "two"}), "OK");
  EXPECT_EQ(third->call({"CLIENT", "ID"}), "3");
  const std::string list = third->call({"CLIENT", "LIST"});
  EXPECT_THAT(list, testing::HasSubstr(" name=one "));
  EXPECT_THAT(list, testing::HasSubstr(" name=two "));
  EXPECT_THAT(list, testing::HasSubstr(" cmd=client|list "));
  EXPECT_THAT(third->call({"CLIENT", "LIST", "ID", "2"}), testing::Not(testing::HasSubstr("name=one")));
  EXPECT_THAT(third->call({"CLIENT", "INFO"}), testing::HasSubstr("id=3 addr=127.0.0.1:"));
}

TEST_F(CommandsTest, SetAndItsOptions) {
  play({{{"SET", "k", "v"}, "OK"},
        {{"SET", "k", "w", "NX"}, "null"},
        {{"SET", "k", "w", "xx", "get"}, "\"v\""},
        {{"SET", "n", "w", "XX"}, "null"},
        {{"SET", "n", "w", "NX", "GET"}, "null"},
        {{"SET", "n", "x", "NX", "GET"}, "\"w\""},
        {{"GET", "n"}, "\"w\""},
        {{"SET", "k", "v", "NX", "XX"}, "-ERR syntax error"},
        {{"SET", "k", "v", "EX"}, "-ERR syntax error"},
        {{"SET", "k", "v", "EX", "10", "PX", "10"}, "-ERR syntax error"},
        {{"SET", "k", "v", "EX", "10", "KEEPTTL"}, "-ERR syntax error"},
        {{"SET", "k", "v", "KEEPTTL", "EX", "10"}, "-ERR syntax error"},
        {{"SET", "k", "v", "EX", "x"}, "-ERR value is not an integer or out of range"},
        {{"SET", "k", "v", "EX", "0"}, "-ERR invalid expire time in 'set' command"},
        {{"SET", "k", "v", "PX", "-1"}, "-ERR invalid expire time in 'set' command"},
        {{"SET", "k", "v", "EX", "9223372036854775807"}, "-ERR invalid expire time in 'set' command"},
        {{"SET", "k", "v", "EX", "100"}, "OK"},
        {{"TTL", "k"}, "100"},
        {{"SET", "k", "v", "KEEPTTL"}, "OK"},
        {{"TTL", "k"}, "100"},
        {{"SET", "k", "v"}, "OK"},
        {{"TTL", "k"}, "-1"},
        {{"SET", "k", "v", "PXAT", "33177117420000"}, "OK"},
        {{"PEXPIRETIME", "k"}, "33177117420000"},
        {{"EXPIRETIME", "k"}, "33177117420"},
        {{"SET", "k", "v", "EXAT", "1"}, "OK"},
        {{"GET", "k"}, "null"}});
}

TEST_F(CommandsTest, OtherSets) {
  play({{{"SETNX", "k", "v"}, "1"},
        {{"SETNX", "k", "w"}, "0"},
        {{"SETEX", "k", "10", "x"}, "OK"},
        {{"TTL", "k"}, "10"},
        {{"SETEX", "k", "0", "x"}, "-ERR invalid expire time in 'setex' command"},
        {{"PSETEX", "k", "20000", "y"}, "OK"},
        {{"TTL", "k"}, "20"},
        {{"GETSET", "k", "z"}, "\"y\""},
        {{"TTL", "k"}, "-1"},
        {{"GETSET", "new", "z"}, "null"},
        {{"GETDEL", "k"}, "\"z\""},
        {{"GETDEL", "k"}, "null"},
        {{"GETEX", "new", "EX", "50"}, "\"z\""},
        {{"TTL", "new"}, "50"},
        {{"GETEX", "new", "PERSIST"}, "\"z\""},
        {{"TTL", "new"}, "-1"},
        {{"GETEX", "new"}, "\"z\""},
        {{"GETEX", "absent", "PERSIST"}, "null"},
        {{"GETEX", "new", "EX"}, "-ERR syntax error"},
        {{"GETEX", "new", "PERSIST", "EX", "1"}, "-ERR syntax error"},
        {{"GETEX", "absent", "PX", "0"}, "null"},
        {{"GETEX", "new", "PX", "x"}, "-ERR value is not an integer or out of range"},
        {{"GETEX", "new", "PX", "0"}, "-ERR invalid expire time in 'getex' command"}});
}

TEST_F(CommandsTest, ManyKeys) {
  play({{{"MSET", "a", "1", "b", "2", "a", "3"}, "OK"},
        {{"MGET", "a", "b", "absent", "a"}, "[\"3\", \"2\", null, \"3\"]"},
        {{"MSET", "a"}, "-ERR wrong number of arguments for 'mset' command"},
        {{"MSET", "a", "1", "b"}, "-ERR wrong number of arguments for 'mset' command"},
        {{"MSETNX", "c", "1", "a", "9"}, "0"},
        {{"EXISTS", "c"}, "0"},
        {{"MSETNX", "c", "1", "d", "2"}, "1"},
        {{"EXISTS", "a", "a", "b", "x"}, "3"},
        {{"TOUCH", "a", "x"}, "1"},
        {{"DEL", "a", "a", "x"}, "1"},
        {{"UNLINK", "b", "c"}, "2"},
        {{"DEL"}, "-ERR wrong number of arguments for 'del' command"},
        {{"TYPE", "d"}, "string"},
        {{"TYPE", "a"}, "none"}});
}

TEST_F(CommandsTest, Parts) {
  play({{{"SET", "k", "This is a string"}, "OK"},
        {{"STRLEN", "k"}, "16"},
        {{"STRLEN", "absent"}, "0"},
        {{"GETRANGE", "k", "0", "3"}, "\"This\""},
        {{"GETRANGE", "k", "-3", "-1"}, "\"ing\""},
        {{"GETRANGE", "k", "0", "-1"}, "\"This is a string\""},
        {{"SUBSTR", "k", "10", "100"}, "\"string\""},
        {{"GETRANGE", "k", "5", "3"}, "\"\""},
        {{"GETRANGE", "k", "-1", "-5"}, "\"\""},
        {{"GETRANGE", "k", "-100", "-90"}, "\"T\""},
        {{"GETRANGE", "k", "x", "1"}, "-ERR value is not an integer or out of range"},
        {{"GETRANGE", "absent", "0", "1"}, "\"\""},
        {{"APPEND", "k", "!"}, "17"},
        {{"APPEND", "new", "ab"}, "2"},
        {{"SETRANGE", "new", "1", "xyz"}, "4"},
        {{"GET", "new"}, "\"axyz\""},
        {{"SETRANGE", "pad", "3", "x"}, "4"},
        {{"GET", "pad"}, "\"\\x00\\x00\\x00x\""},
        {{"SETRANGE", "none", "5", ""}, "0"},
        {{"EXISTS", "none"}, "0"},
        {{"SETRANGE", "new", "9", ""}, "4"},
        {{"SETRANGE", "new", "-1", "x"}, "-ERR offset is out of range"},
        {{"SETRANGE", "new", "536870912", "x"}, "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"},
        {{"SETRANGE", "new", "9223372036854775807", "x"}, "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"}});
}

TEST_F(CommandsTest, Numbers) {
  play({{{"INCR", "n"}, "1"},
        {{"INCRBY", "n", "41"}, "42"},
        {{"DECR", "n"}, "41"},
        {{"DECRBY", "n", "40"}, "1"},
        {{"SET", "n", "9223372036854775807"}, "OK"},
        {{"INCR", "n"}, "-ERR increment or decrement would overflow"},
        {{"SET", "n", "-9223372036854775808"}, "OK"},
        {{"DECR", "n"}, "-ERR increment or decrement would overflow"},
        {{"DECRBY", "n", "-9223372036854775808"}, "-ERR decrement would overflow"},
        {{"INCRBY", "n", "1.5"}, "-ERR value is not an integer or out of range"},
        {{"SET", "s", "abc"}, "OK"},
        {{"INCR", "s"}, "-ERR value is not an integer or out of range"},
        {{"INCRBYFLOAT", "s", "1"}, "-ERR value is not a valid float"},
        {{"INCRBYFLOAT", "f", "10.50"}, "\"10.5\""},
        {{"INCRBYFLOAT", "f", "0.1"}, "\"10.6\""},
        {{"INCRBYFLOAT", "f", "-10.6"}, "\"0\""},
        {{"INCRBYFLOAT", "f", "5.0e3"}, "\"5000\""},
        {{"INCRBYFLOAT", "f", "inf"}, "-ERR increment would produce NaN or Infinity"},
        {{"INCRBYFLOAT", "f", " 1"}, "-ERR value is not a valid float"},
        {{"SET", "e", "1", "EX", "100"}, "OK"},
        {{"INCR", "e"}, "2"},
        {{"INCRBYFLOAT", "e", "1"}, "\"3\""},
        {{"APPEND", "e", "0"}, "2"},
        {{"TTL", "e"}, "100"}});
}

TEST_F(CommandsTest, FloatsAreWrittenInFull) {
  auto client = connect();
  client->call({"INCRBYFLOAT", "f", "1e400"});
  EXPECT_EQ(client->last().text.size(), 401u);
  client->call({"INCRBYFLOAT", "f", "1e400"});
  EXPECT_THAT(client->last().text, testing::StartsWith("2000000000"));
  EXPECT_EQ(client->call({"INCRBYFLOAT", "f", std::string(6'000, '1')}), "-ERR value is not a valid float");
}

TEST_F(CommandsTest, Expiry) {
  play({{{"SET", "k", "v"}, "OK"},
        {{"EXPIRE", "k", "100"}, "1"},
        {{"TTL", "k"}, "100"},
        {{"EXPIRE", "k", "200", "NX"}, "0"},
        {{"EXPIRE", "k", "200", "XX"}, "1"},
        {{"EXPIRE", "k", "100", "GT"}, "0"},
        {{"EXPIRE", "k", "300", "GT"}, "1"},
        {{"EXPIRE", "k", "400", "LT"}, "0"},
        {{"EXPIRE", "k", "100", "LT", "XX"}, "1"},
        {{"PERSIST", "k"}, "1"},
        {{"PERSIST", "k"}, "0"},
        {{"EXPIRE", "k", "100", "GT"}, "0"},
        {{"EXPIRE", "k", "100", "LT"}, "1"},
        {{"EXPIRE", "k", "1", "NX", "GT"}, "-ERR NX and XX, GT or LT options at the same time are not compatible"},
        {{"EXPIRE", "k", "1", "GT", "LT"}, "-ERR GT and LT options at the same time are not compatible"},
        {{"EXPIRE", "k", "1", "ZZ"}, "-ERR Unsupported option ZZ"},
        {{"EXPIRE", "k", "x"}, "-ERR value is not an integer or out of range"},
        {{"EXPIRE", "k", "9223372036854775807"}, "-ERR invalid expire time in 'expire' command"},
        {{"PEXPIRE", "k", "50000"}, "1"},
        {{"TTL", "k"}, "50"},
        {{"PEXPIREAT", "k", "33177117420000"}, "1"},
        {{"EXPIREAT", "k", "33177117420"}, "1"},
        {{"EXPIRETIME", "k"}, "33177117420"},
        {{"EXPIREAT", "k", "1"}, "1"},
        {{"EXISTS", "k"}, "0"},
        {{"SET", "k", "v"}, "OK"},
        {{"EXPIRE", "k", "-5"}, "1"},
        {{"EXISTS", "k"}, "0"},
        {{"SET", "k", "v", "EX", "10"}, "OK"},
        {{"EXPIRE", "k", "-9223372036854775", "LT"}, "1"},
        {{"EXPIRE", "k", "10"}, "0"},
        {{"TTL", "k"}, "-2"},
        {{"EXPIRETIME", "k"}, "-2"},
        {{"PERSIST", "k"}, "0"}});
}

TEST_F(CommandsTest, KeysGoWithTheDatabasesClock) {
  auto client = connect();
  EXPECT_EQ(client->call({"SET", "k", "v", "EX", "100"}), "OK");
  engine_.advance_clock(99'000);
  EXPECT_EQ(client->call({"GET", "k"}), "\"v\"");
  engine_.advance_clock(1'000);
  EXPECT_EQ(client->call({"GET", "k"}), "null");
}

TEST_F(CommandsTest, ScanReturnsEveryKeyOnce) {
  auto client = connect();
  std::set<std::string> expected;
  for (int i = 0; i < 500; ++i) {
    const std::string key = "key:" + std::to_string(i);
    engine_.put_in_storage(key, "v");
    expected.insert(key);
  }
  engine_.put_in_storage("gone", "v", 1);
  std::set<std::string> seen;
  std::string cursor = "0";
  int calls = 0;
  do {
    client->call({"SCAN", cursor, "COUNT", "50", "MATCH", "key:*"});
    ASSERT_EQ(client->last().items.size(), 2u);
    cursor = client->last().items[0].text;
    for (const auto& key : client->last().items[1].items) EXPECT_TRUE(seen.insert(key.text).second) << key.text;
    ++calls;
  } while (cursor != "0");
  EXPECT_EQ(seen, expected);
  EXPECT_GE(calls, 10);
  play({{{"SCAN", "x"}, "-ERR invalid cursor"},
        {{"SCAN", "-1"}, "-ERR invalid cursor"},
        {{"SCAN", "0", "COUNT", "0"}, "-ERR syntax error"},
        {{"SCAN", "0", "COUNT"}, "-ERR syntax error"},
        {{"SCAN", "0", "TYPE", "list", "COUNT", "10000"}, "[\"0\", []]"},
        {{"SCAN", "18446744073709551615"}, "[\"0\", []]"},
        {{"KEYS", "key:49?"}, client->call({"KEYS", "key:49[0-9]"})},
        {{"DBSIZE"}, "501"}});
  client->call({"KEYS", "*"});
  EXPECT_EQ(client->last().items.size(), 500u);
}

TEST_F(CommandsTest, WhatIsNotOfferedSaysWhatToUse) {
  auto client = connect();
  EXPECT_EQ(client->call({"NOSUCH", "a", "b"}), "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' ");
  EXPECT_THAT(
      client->call({"LPUSH", "k", "v"}),
      testing::StartsWith("-ERR unknown command 'LPUSH', with args beginning with: 'k' 'v' - values are strings, or rows"));
  EXPECT_THAT(client->call({"EVAL", "return 1", "0"}), testing::HasSubstr("FRESHET.SET key value VERSION n"));
  EXPECT_THAT(client->call({"FLUSHALL"}), testing::HasSubstr("FRESHET.EVICT PATTERN *"));
  EXPECT_THAT(client->call({"client|id"}), testing::HasSubstr("unknown command"));
  EXPECT_THAT(client->call({std::string(5000, 'x')}), testing::SizeIs(testing::Lt(200u)));
}

TEST_F(CommandsTest, KeysThatAreTooLongAreRefused) {
  auto client = connect();
  const std::string key(storage::kKeyBytesMax + 1, 'k');
  const auto refusal = testing::StartsWith("-ERR the key has 8193 bytes");
  for (const auto* name : {"GET", "INCR", "PERSIST", "DEL", "EXISTS", "TTL", "MGET", "FRESHET.GET", "FRESHET.EXPLAIN"}) {
    EXPECT_THAT(client->call({name, key}), refusal) << name;
  }
  EXPECT_THAT(client->call({"SET", key, "v"}), refusal);
  EXPECT_THAT(client->call({"MSET", "a", "1", key, "v"}), refusal);
  EXPECT_EQ(client->call({"PING"}), "PONG");
}

TEST_F(CommandsTest, MoreKeysThanOneTransactionTakes) {
  auto client = connect();
  std::vector<std::string> keys;
  for (int i = 0; i < 2500; ++i) keys.push_back("k" + std::to_string(i));
  for (const auto& key : keys) engine_.put_in_storage(key, key);
  std::vector<std::string_view> words{"MGET"};
  words.insert(words.end(), keys.begin(), keys.end());
  client->call(words);
  ASSERT_EQ(client->last().items.size(), 2500u);
  for (std::size_t i = 0; i < keys.size(); ++i) ASSERT_EQ(client->last().items[i].text, keys[i]);
  words[0] = "EXISTS";
  EXPECT_EQ(client->call(words), "2500");
  words[0] = "DEL";
  EXPECT_EQ(client->call(words), "2500");
  words[0] = "MSET";
  EXPECT_EQ(client->call(words), "-ERR at most 1024 keys can be set in one transaction");
}

TEST_F(CommandsTest, Freshet) {
  auto client = connect();
  client->send_command({"HELLO", "3"});
  client->read();
  engine_.put_in_storage("k", "v");
  EXPECT_EQ(client->call({"FRESHET.GET", "k"}), "{\"value\": \"v\", \"version\": 1, \"age\": 0, \"source\": \"storage\"}");
  EXPECT_EQ(client->call({"FRESHET.GET", "k", "LEVEL", "linearizable"}),
            "{\"value\": \"v\", \"version\": 1, \"age\": 0, \"source\": \"memory\"}");
  EXPECT_EQ(client->call({"FRESHET.GET", "absent", "LEVEL", "bounded", "100"}),
            "{\"value\": null, \"version\": 0, \"age\": 0, \"source\": \"storage\"}");
  play({{{"FRESHET.GET", "k", "LEVEL"},
         "-ERR expected LINEARIZABLE, SESSION [token], BOUNDED milliseconds, SNAPSHOT, ANY or DEFAULT"},
        {{"FRESHET.GET", "k", "EVEL", "any"}, "-ERR syntax error"},
        {{"FRESHET.GET", "k", "LEVEL", "any", "any"}, "-ERR syntax error"},
        {{"FRESHET.GET", "k", "LEVEL", "bounded", "x"}, "-ERR value is not an integer or out of range"},
        {{"FRESHET.SET", "k", "w", "VERSION", "1"}, "2"},
        {{"FRESHET.SET", "k", "x", "VERSION", "1"}, "-VERSIONMISMATCH the key is at version 2, not 1"},
        {{"FRESHET.SET", "new", "x", "VERSION", "7"}, "-VERSIONMISMATCH the key is absent (version 0), not at version 7"},
        {{"FRESHET.SET", "new", "x", "VERSION", "0", "EX", "100"}, "3"},
        {{"TTL", "new"}, "100"},
        {{"FRESHET.SET", "new", "y", "VERSION", "3", "KEEPTTL"}, "4"},
        {{"TTL", "new"}, "100"},
        {{"FRESHET.SET", "k", "w", "VERSION"}, "-ERR wrong number of arguments for 'freshet.set' command"},
        {{"FRESHET.SET", "k", "w", "VERSION", "-1"}, "-ERR value is not an integer or out of range"},
        {{"FRESHET.SET", "k", "w", "VERSION", "2", "EX"}, "-ERR syntax error"},
        {{"FRESHET.EXPLAIN", "k"}, "[\"key\", \"k\", \"cached\", \"yes\"]"}});
  client->call({"FRESHET.STATS"});
  EXPECT_EQ(client->last().find("entries")->integer, 3);
  EXPECT_GT(client->last().find("commands")->integer, 10);
}

TEST_F(CommandsTest, TellsWhatThePolicyIsChosenBy) {
  play({{{"FRESHET.STATS", "EVICTIONS"}, "-ERR syntax error, try FRESHET.STATS or FRESHET.STATS EVICTION"},
        {{"FRESHET.STATS", "EVICTION", "x"}, "-ERR syntax error, try FRESHET.STATS or FRESHET.STATS EVICTION"}});
  auto client = connect();
  client->send_command({"HELLO", "3"});
  client->read();
  client->call({"FRESHET.STATS", "eviction"});
  EXPECT_EQ(client->last().find("policy")->text, "sieve");
  EXPECT_EQ(client->last().find("setting")->text, "auto");
  EXPECT_EQ(client->last().find("policy_bytes")->integer, 150);
  EXPECT_EQ(client->last().find("unused_bytes")->integer, 50);
  EXPECT_EQ(client->last().find("changes")->integer, 3);
  const auto* estimates = client->last().find("estimates");
  ASSERT_TRUE(estimates);
  const auto* lru = estimates->find("lru");
  ASSERT_TRUE(lru);
  EXPECT_EQ(lru->find("miss_ratio")->text, "0.5");
  ASSERT_EQ(lru->find("curve")->items.size(), 2u);
  EXPECT_EQ(lru->find("curve")->items[1].items[0].integer, 2'000);
  EXPECT_EQ(lru->find("curve")->items[1].items[1].text, "0.375");
  const auto* learned = client->last().find("learned");
  ASSERT_TRUE(learned);
  EXPECT_EQ(learned->find("trainings")->integer, 12);
  EXPECT_EQ(learned->find("trained_requests_ago")->integer, 34);
  EXPECT_EQ(learned->find("gain_age")->text, "0.25") << "a mean is no whole number";
}

TEST_F(CommandsTest, EvictDropsCachedDataOnly) {
  play({{{"MSET", "user:1", "a", "user:2", "b", "key", "c", "x", "d"}, "OK"},
        {{"FRESHET.EVICT", "user:1"}, "1"},
        {{"FRESHET.EVICT", "user:1"}, "0"},
        {{"FRESHET.EVICT", "user:*"}, "1"},
        {{"FRESHET.EVICT", "KEY", "key", "x", "absent"}, "2"},
        {{"MGET", "user:1", "user:2", "key", "x"}, "[\"a\", \"b\", \"c\", \"d\"]"},
        {{"FRESHET.EVICT", "PATTERN", "?"}, "1"},
        {{"FRESHET.EVICT", "key"}, "1"},
        {{"FRESHET.EVICT", "COLLECTION", "kv"}, "2"},
        {{"FRESHET.EVICT", "COLLECTION", "nope"}, "-ERR there is no collection 'nope'; there are: kv"},
        {{"FRESHET.EVICT", "a", "b"},
         "-ERR syntax error, try FRESHET.EVICT KEY key [key ...], PATTERN pattern, or COLLECTION name"},
        {{"DBSIZE"}, "4"}});
}

TEST_F(CommandsTest, ErrorsKeepTheirKind) {
  auto client = connect();
  const std::pair<ErrorCode, std::string> cases[] = {
      {ErrorCode::not_owner, "-TRYAGAIN x; y"},         {ErrorCode::guard_mismatch, "-TRYAGAIN x; y"},
      {ErrorCode::deadline_exceeded, "-TIMEOUT x; y"},  {ErrorCode::unavailable, "-UNAVAILABLE x; y"},
      {ErrorCode::unknown_outcome, "-UNKNOWN the write may have been applied: x; y"},
      {ErrorCode::busy, "-BUSY x; y"},                  {ErrorCode::stale, "-STALE x; y"},
      {ErrorCode::corrupted, "-CORRUPTED x; y"},        {ErrorCode::internal, "-ERR x; y"}};
  for (const auto& [code, expected] : cases) {
    engine_.fail_next(Error::of(code, "x", "y"));
    EXPECT_EQ(client->call({"SET", "k", "v"}), expected);
    engine_.drop_cache();
    engine_.fail_next(Error::of(code, "x", "y"));
    EXPECT_EQ(client->call({"GET", "k"}), expected);
    engine_.fail_next(Error::of(code, "x", "y"));
    EXPECT_EQ(client->call({"PERSIST", "k"}), expected);
  }
  EXPECT_EQ(client->call({"GET", "k"}), "null");
}

TEST_F(CommandsTest, ConfigAndInfo) {
  auto client = connect();
  EXPECT_EQ(client->call({"CONFIG", "SET", "MaxClients", "50"}), "OK");
  EXPECT_EQ(client->call({"CONFIG", "GET", "maxc*", "timeout"}), "[\"maxclients\", \"50\", \"timeout\", \"0\"]");
  EXPECT_EQ(client->call({"CONFIG", "GET", "save"}), "[]");
  EXPECT_EQ(client->call({"CONFIG", "SET", "nope", "1"}),
            "-ERR CONFIG SET failed (possibly related to argument 'nope') - no such setting");
  EXPECT_EQ(client->call({"CONFIG", "SET", "a", "1", "b"}), "-ERR wrong number of arguments for 'config|set' command");
  client->call({"GET", "k"});
  client->call({"INFO"});
  EXPECT_THAT(client->last().text, testing::HasSubstr("redis_version:7."));
  EXPECT_THAT(client->last().text, testing::HasSubstr("connected_clients:1\r\n"));
  client->call({"INFO", "commandstats"});
  EXPECT_THAT(client->last().text, testing::HasSubstr("cmdstat_get:calls=1,rejected_calls=0,failed_calls=0"));
  EXPECT_THAT(client->last().text, testing::HasSubstr("cmdstat_config|set:calls=3,rejected_calls=0,failed_calls=2"));
  EXPECT_EQ(client->call({"CONFIG", "RESETSTAT"}), "OK");
  client->call({"INFO", "commandstats"});
  EXPECT_THAT(client->last().text, testing::Not(testing::HasSubstr("cmdstat_get")));
}

TEST_F(CommandsTest, TimeIsTheClockOfDeadlines) {
  auto client = connect();
  const auto seconds = [&] {
    client->call({"TIME"});
    EXPECT_EQ(client->last().items.size(), 2u);
    return std::stoll(client->last().items[0].text);
  };
  const auto before = seconds();
  engine_.advance_clock(3'600'000);
  EXPECT_GE(seconds(), before + 3600);
  EXPECT_EQ(client->call({"SET", "k", "v", "EXAT", std::to_string(seconds() + 100)}), "OK");
  client->call({"TTL", "k"});
  EXPECT_NEAR(static_cast<double>(client->last().integer), 100, 2);
}

TEST_F(CommandsTest, CommandDescribesTheTable) {
  auto client = connect();
  client->call({"COMMAND", "COUNT"});
  const auto count = client->last().integer;
  client->call({"COMMAND"});
  EXPECT_EQ(client->last().items.size(), static_cast<std::size_t>(count));
  EXPECT_EQ(client->call({"COMMAND", "INFO", "get", "nope"}),
            "[[\"get\", 2, [readonly, fast], 1, 1, 1, [@read, @string, @fast], [], [], []], null]");
  client->call({"COMMAND", "DOCS", "client", "SET"});
  ASSERT_EQ(client->last().items.size(), 4u);
  EXPECT_EQ(client->last().find("set")->find("summary")->text, "Sets the value.");
  EXPECT_NE(client->last().find("client")->find("subcommands")->find("client|setname"), nullptr);
  client->call({"CLIENT", "HELP"});
  EXPECT_GT(client->last().items.size(), 10u);
}

}  // namespace
}  // namespace freshet::server
