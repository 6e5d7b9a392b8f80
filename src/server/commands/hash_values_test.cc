// Hashes of the key-value table: replies as Redis's, kinds that do not mix, and random commands against a std::map.
#include <gmock/gmock.h>

#include <map>
#include <set>

#include <fmt/format.h>

#include "base/random.h"
#include "protocol/number.h"
#include "server/testing/server_fixture.h"
#include "storage/hash_fields.h"

namespace freshet::server {
namespace {

using testing::StartsWith;
using Words = std::vector<std::string_view>;
using Script = std::vector<std::pair<Words, std::string>>;

constexpr const char* kWrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";

class HashValuesTest : public ServerTest {
 protected:
  void SetUp() override { start(); }
  static void play(TestClient& client, const Script& script) {
    for (const auto& [words, expected] : script) {
      std::string shown;
      for (const auto word : words) shown += std::string(word.substr(0, 60)) + " ";
      EXPECT_EQ(client.call(words), expected) << shown;
    }
  }
};

TEST_F(HashValuesTest, FieldsAreSetReadAndRemoved) {
  auto client = connect();
  play(*client, {{{"HSET", "h", "b", "1", "a", "2"}, "2"},
                 {{"HSET", "h", "b", "3", "c", "", "c", "4"}, "1"},
                 {{"HGETALL", "h"}, R"(["b", "3", "a", "2", "c", "4"])"},
                 {{"HGET", "h", "b"}, "\"3\""},
                 {{"HGET", "h", "none"}, "null"},
                 {{"HMGET", "h", "a", "none", "a", "c"}, R"(["2", null, "2", "4"])"},
                 {{"HKEYS", "h"}, R"(["b", "a", "c"])"},
                 {{"HVALS", "h"}, R"(["3", "2", "4"])"},
                 {{"HLEN", "h"}, "3"},
                 {{"HEXISTS", "h", "a"}, "1"},
                 {{"HEXISTS", "h", "none"}, "0"},
                 {{"HSTRLEN", "h", "a"}, "1"},
                 {{"HSTRLEN", "h", "none"}, "0"},
                 {{"HMSET", "h", "d", "5"}, "OK"},
                 {{"HSETNX", "h", "d", "6"}, "0"},
                 {{"HSETNX", "h", "e", "7"}, "1"},
                 {{"HDEL", "h", "b", "none", "b", "c"}, "2"},
                 {{"HGETALL", "h"}, R"(["a", "2", "d", "5", "e", "7"])"},
                 {{"TYPE", "h"}, "hash"},
                 {{"EXISTS", "h"}, "1"}});
  client->call({"HELLO", "3"});
  EXPECT_EQ(client->call({"HGETALL", "h"}), R"({"a": "2", "d": "5", "e": "7"})");
}

TEST_F(HashValuesTest, AnAbsentKeyHasNoFields) {
  auto client = connect();
  play(*client, {{{"HGET", "h", "f"}, "null"},
                 {{"HMGET", "h", "f", "g"}, "[null, null]"},
                 {{"HGETALL", "h"}, "[]"},
                 {{"HKEYS", "h"}, "[]"},
                 {{"HVALS", "h"}, "[]"},
                 {{"HLEN", "h"}, "0"},
                 {{"HEXISTS", "h", "f"}, "0"},
                 {{"HSTRLEN", "h", "f"}, "0"},
                 {{"HRANDFIELD", "h"}, "null"},
                 {{"HRANDFIELD", "h", "-3", "WITHVALUES"}, "[]"},
                 {{"HSCAN", "h", "0"}, R"(["0", []])"},
                 {{"HDEL", "h", "f"}, "0"},
                 {{"EXISTS", "h"}, "0"}});
}

TEST_F(HashValuesTest, TheKeyGoesWithItsLastField) {
  auto client = connect();
  play(*client, {{{"HSET", "h", "f", "1", "g", "2"}, "2"},
                 {{"HDEL", "h", "f"}, "1"},
                 {{"EXISTS", "h"}, "1"},
                 {{"HDEL", "h", "g"}, "1"},
                 {{"EXISTS", "h"}, "0"},
                 {{"TYPE", "h"}, "none"},
                 {{"SET", "h", "a string now"}, "OK"}});
}

TEST_F(HashValuesTest, NumbersInFields) {
  auto client = connect();
  play(*client, {{{"HINCRBY", "h", "n", "5"}, "5"},
                 {{"HINCRBY", "h", "n", "-7"}, "-2"},
                 {{"HINCRBYFLOAT", "h", "x", "10.5"}, "\"10.5\""},
                 {{"HINCRBYFLOAT", "h", "x", "-5.0e3"}, "\"-4989.5\""},
                 {{"HGETALL", "h"}, R"(["n", "-2", "x", "-4989.5"])"},
                 {{"HINCRBY", "h", "x", "1"}, "-ERR hash value is not an integer"},
                 {{"HINCRBY", "h", "n", "1.5"}, "-ERR value is not an integer or out of range"},
                 {{"HSET", "h", "n", "9223372036854775807", "w", "word"}, "1"},
                 {{"HINCRBY", "h", "n", "1"}, "-ERR increment or decrement would overflow"},
                 {{"HINCRBYFLOAT", "h", "w", "1"}, "-ERR hash value is not a float"},
                 {{"HINCRBYFLOAT", "h", "n", "word"}, "-ERR value is not a valid float"},
                 {{"HINCRBYFLOAT", "h", "n", "inf"}, "-ERR value is NaN or Infinity"},
                 {{"HGET", "h", "n"}, "\"9223372036854775807\""}});
}

TEST_F(HashValuesTest, WrongArguments) {
  auto client = connect();
  play(*client, {{{"HSET", "h", "f"}, "-ERR wrong number of arguments for 'hset' command"},
                 {{"HSET", "h", "f", "v", "g"}, "-ERR wrong number of arguments for 'hset' command"},
                 {{"HMSET", "h", "f", "v", "g"}, "-ERR wrong number of arguments for 'hmset' command"},
                 {{"HRANDFIELD", "h", "x"}, "-ERR value is not an integer or out of range"},
                 {{"HRANDFIELD", "h", "1", "VALUES"}, "-ERR syntax error"},
                 {{"HRANDFIELD", "h", "1", "WITHVALUES", "x"}, "-ERR syntax error"},
                 {{"HRANDFIELD", "h", "9223372036854775807", "WITHVALUES"}, "-ERR value is out of range"},
                 {{"HRANDFIELD", "h", "-65537"}, "-ERR at most 65536 fields can be drawn with repetition"},
                 {{"HSCAN", "h", "x"}, "-ERR invalid cursor"},
                 {{"HSCAN", "h", "0", "MATCH"}, R"(["0", []])"},
                 {{"HSET", "h", "f", "v"}, "1"},
                 {{"HSCAN", "h", "0", "MATCH"}, "-ERR syntax error"},
                 {{"HSCAN", "h", "0", "COUNT", "0"}, "-ERR syntax error"},
                 {{"HSCAN", "h", "0", "COUNT", "x"}, "-ERR value is not an integer or out of range"}});
  const std::string long_key(storage::kKeyBytesMax + 1, 'k');
  EXPECT_THAT(client->call({"HSET", long_key, "f", "v"}), StartsWith("-ERR the key has 8193 bytes"));
  EXPECT_THAT(client->call({"HGETALL", long_key}), StartsWith("-ERR the key has 8193 bytes"));
}

// Every command that takes another kind: refused, and nothing changes. From memory and from storage.
TEST_F(HashValuesTest, KindsDoNotMix) {
  auto client = connect();
  const Words on_hashes[] = {{"GET", "h"}, {"STRLEN", "h"}, {"GETRANGE", "h", "0", "1"}, {"SUBSTR", "h", "0", "1"},
                             {"APPEND", "h", "x"}, {"SETRANGE", "h", "0", "x"}, {"SETRANGE", "h", "0", ""}, {"INCR", "h"},
                             {"DECR", "h"}, {"INCRBY", "h", "2"}, {"DECRBY", "h", "2"}, {"INCRBYFLOAT", "h", "1"},
                             {"INCRBYFLOAT", "h", "word"}, {"GETSET", "h", "x"}, {"GETDEL", "h"}, {"GETEX", "h"},
                             {"GETEX", "h", "EX", "10"}, {"GETEX", "h", "PERSIST"}, {"SET", "h", "x", "GET"},
                             {"SET", "h", "x", "NX", "GET"}, {"SET", "h", "x", "XX", "GET"}};
  const Words on_strings[] = {{"HGET", "s", "f"}, {"HMGET", "s", "f"}, {"HGETALL", "s"}, {"HKEYS", "s"}, {"HVALS", "s"},
                              {"HLEN", "s"}, {"HEXISTS", "s", "f"}, {"HSTRLEN", "s", "f"}, {"HRANDFIELD", "s"},
                              {"HRANDFIELD", "s", "2"}, {"HRANDFIELD", "s", "-1000"}, {"HSCAN", "s", "0"},
                              {"HSCAN", "s", "0", "MATCH"}, {"HSET", "s", "f", "v"}, {"HMSET", "s", "f", "v"},
                              {"HSETNX", "s", "f", "v"}, {"HDEL", "s", "f"}, {"HINCRBY", "s", "f", "1"},
                              {"HINCRBYFLOAT", "s", "f", "1"}};
  client->call({"HSET", "h", "f", "v"});
  client->call({"SET", "s", "7"});
  for (const bool cached : {true, false}) {
    const auto refused = [&](const Words& words) {
      if (!cached) engine_.drop_cache();
      EXPECT_EQ(client->call(words), kWrong) << words[0];
    };
    for (const auto& words : on_hashes) refused(words);
    for (const auto& words : on_strings) refused(words);
    play(*client, {{{"HGETALL", "h"}, R"(["f", "v"])"}, {{"GET", "s"}, "\"7\""}, {{"TTL", "h"}, "-1"}});
  }
}

TEST_F(HashValuesTest, WhatTakesEveryKind) {
  auto client = connect();
  for (const bool cached : {true, false}) {
    client->call({"HSET", "h", "f", "v"});
    client->call({"SET", "s", "x"});
    if (!cached) engine_.drop_cache();
    play(*client, {{{"MGET", "s", "h", "none"}, R"(["x", null, null])"},
                   {{"EXISTS", "s", "h", "none"}, "2"},
                   {{"TYPE", "s"}, "string"},
                   {{"TYPE", "h"}, "hash"},
                   {{"SETNX", "h", "x"}, "0"},
                   {{"MSETNX", "h", "x", "other", "y"}, "0"},
                   {{"SET", "h", "x", "NX"}, "null"},
                   {{"SET", "h", "x", "XX"}, "OK"},
                   {{"GET", "h"}, "\"x\""},
                   {{"DEL", "h"}, "1"},
                   {{"HSET", "h", "f", "v"}, "1"},
                   {{"MSET", "h", "y", "s", "z"}, "OK"},
                   {{"MGET", "h", "s"}, R"(["y", "z"])"},
                   {{"DEL", "h", "s"}, "2"},
                   {{"HSET", "s", "f", "v"}, "1"},
                   {{"SETEX", "s", "100", "x"}, "OK"},
                   {{"TYPE", "s"}, "string"},
                   {{"DEL", "s"}, "1"}});
  }
}

TEST_F(HashValuesTest, ExpiryBelongsToTheKey) {
  auto client = connect();
  play(*client, {{{"HSET", "h", "f", "v"}, "1"},
                 {{"EXPIRE", "h", "100"}, "1"},
                 {{"HSET", "h", "g", "w"}, "1"},
                 {{"HINCRBY", "h", "n", "1"}, "1"},
                 {{"HDEL", "h", "g"}, "1"},
                 {{"TTL", "h"}, "100"},
                 {{"PERSIST", "h"}, "1"},
                 {{"TTL", "h"}, "-1"},
                 {{"HGETALL", "h"}, R"(["f", "v", "n", "1"])"},
                 {{"EXPIRE", "h", "100", "XX"}, "0"},
                 {{"EXPIRE", "h", "100", "NX"}, "1"},
                 {{"TYPE", "h"}, "hash"}});
  engine_.advance_clock(101'000);
  play(*client, {{{"HGETALL", "h"}, "[]"}, {{"HSET", "h", "f", "new"}, "1"}, {{"TTL", "h"}, "-1"}});
  play(*client, {{{"EXPIRE", "h", "0"}, "1"}, {{"EXISTS", "h"}, "0"}});
}

TEST_F(HashValuesTest, FieldsAreDrawnAndWalked) {
  auto client = connect();
  client->call({"HSET", "h", "a", "1", "b", "2", "ab", "3"});
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(client->call({"HRANDFIELD", "h"}), testing::AnyOf("\"a\"", "\"b\"", "\"ab\""));
    EXPECT_THAT(client->call({"HRANDFIELD", "h", "2", "WITHVALUES"}),
                testing::AnyOf(R"(["a", "1", "b", "2"])", R"(["a", "1", "ab", "3"])", R"(["b", "2", "ab", "3"])"));
  }
  play(*client, {{{"HRANDFIELD", "h", "3"}, R"(["a", "b", "ab"])"},
                 {{"HRANDFIELD", "h", "100"}, R"(["a", "b", "ab"])"},
                 {{"HRANDFIELD", "h", "0"}, "[]"},
                 {{"HSCAN", "h", "0"}, R"(["0", ["a", "1", "b", "2", "ab", "3"]])"},
                 {{"HSCAN", "h", "0", "MATCH", "a*", "COUNT", "1"}, R"(["0", ["a", "1", "ab", "3"]])"},
                 {{"HSCAN", "h", "7", "MATCH", "z"}, R"(["0", []])"}});
  for (const std::string_view count : {"-7", "-1000"}) {  // Under memory's lock, and from a copy.
    client->call({"HRANDFIELD", "h", count});
    EXPECT_EQ(client->last().items.size(), static_cast<std::size_t>(-*protocol::parse_integer(count)));
  }
  client->call({"HELLO", "3"});
  EXPECT_EQ(client->call({"HRANDFIELD", "h", "5", "WITHVALUES"}), R"([["a", "1"], ["b", "2"], ["ab", "3"]])");
}

TEST_F(HashValuesTest, LargeHashes) {
  auto client = connect();
  const std::string value(100'000, 'v');
  client->call({"HSET", "h", "large", value, "small", "x"});
  for (const bool cached : {true, false}) {  // Rendered from a copy, either way.
    if (!cached) engine_.drop_cache();
    client->call({"HGET", "h", "large"});
    EXPECT_EQ(client->last().text, value);
    play(*client, {{{"HSTRLEN", "h", "large"}, "100000"}, {{"HGET", "h", "small"}, "\"x\""}, {{"GET", "h"}, kWrong}});
  }
  const std::string too_large(storage::kHashBytesMax, 'v');
  EXPECT_THAT(client->call({"HSET", "h", "more", too_large}),
              StartsWith("-ERR the hash would have 4294332 bytes; at most 4194304 are allowed"));
  EXPECT_EQ(client->call({"HLEN", "h"}), "2");
}

TEST_F(HashValuesTest, InTransactions) {
  auto client = connect();
  client->call({"HSET", "h", "f", "1"});
  client->call({"EXPIRE", "h", "100"});
  play(*client, {{{"MULTI"}, "OK"},
                 {{"HINCRBY", "h", "f", "4"}, "QUEUED"},
                 {{"HSET", "h", "g", "x"}, "QUEUED"},
                 {{"HGETALL", "h"}, "QUEUED"},
                 {{"GET", "h"}, "QUEUED"},
                 {{"INCR", "h"}, "QUEUED"},
                 {{"SET", "h", "x", "GET"}, "QUEUED"},
                 {{"TTL", "h"}, "QUEUED"},
                 {{"HDEL", "h", "f"}, "QUEUED"},
                 {{"HLEN", "h"}, "QUEUED"},
                 {{"HRANDFIELD", "h", "-1000"}, "QUEUED"},
                 {{"SET", "s", "1"}, "QUEUED"},
                 {{"HSET", "s", "f", "v"}, "QUEUED"},
                 {{"DEL", "s"}, "QUEUED"},
                 {{"HSET", "s", "f", "v"}, "QUEUED"},
                 {{"TYPE", "s"}, "QUEUED"},
                 {{"HSET", "gone", "f", "v"}, "QUEUED"},
                 {{"HDEL", "gone", "f"}, "QUEUED"}});
  client->call({"EXEC"});
  ASSERT_EQ(client->last().items.size(), 17u);
  EXPECT_EQ(client->last().items[9].items.size(), 1000u);
  const std::string_view expected[] = {"5", "1", R"(["f", "5", "g", "x"])", kWrong, kWrong, kWrong, "100", "1", "1", "",
                                       "OK", kWrong, "1", "1", "hash", "1", "1"};
  for (std::size_t i = 0; i < 17; ++i) {
    if (i == 9) continue;
    EXPECT_EQ(client->last().items[i].to_text(), expected[i]) << i;
  }
  play(*client, {{{"HGETALL", "h"}, R"(["g", "x"])"},
                 {{"TTL", "h"}, "100"},
                 {{"HGETALL", "s"}, R"(["f", "v"])"},
                 {{"TYPE", "gone"}, "none"}});
}

TEST_F(HashValuesTest, WatchSeesAField) {
  auto client = connect();
  auto other = connect();
  client->call({"HSET", "h", "f", "1"});
  client->call({"WATCH", "h"});
  other->call({"HSET", "h", "f", "1"});
  client->call({"MULTI"});
  client->call({"HSET", "h", "f", "2"});
  EXPECT_EQ(client->call({"EXEC"}), "null");
  client->call({"WATCH", "h"});
  client->call({"MULTI"});
  client->call({"HSET", "h", "f", "2"});
  EXPECT_EQ(client->call({"EXEC"}), "[0]");
}

TEST_F(HashValuesTest, ScansTellKinds) {
  auto client = connect();
  client->call({"HSET", "h", "f", "v"});
  client->call({"SET", "s", "x"});
  play(*client, {{{"SCAN", "0", "COUNT", "100", "TYPE", "hash"}, R"(["0", ["h"]])"},
                 {{"SCAN", "0", "COUNT", "100", "TYPE", "STRING"}, R"(["0", ["s"]])"},
                 {{"SCAN", "0", "COUNT", "100", "TYPE", "list"}, R"(["0", []])"}});
}

TEST_F(HashValuesTest, FreshetGetShowsTheFields) {
  auto client = connect();
  client->call({"HSET", "h", "f", "v"});
  EXPECT_EQ(client->call({"FRESHET.GET", "h"}),
            R"(["value", ["f", "v"], "version", 1, "age", 0, "source", "memory"])");
  client->call({"HELLO", "3"});
  EXPECT_EQ(client->call({"FRESHET.GET", "h"}),
            R"({"value": {"f": "v"}, "version": 1, "age": 0, "source": "memory"})");
  client->call({"FRESHET.SET", "h", "now a string", "VERSION", "1"});
  EXPECT_EQ(client->call({"GET", "h"}), "\"now a string\"");
}

TEST_F(HashValuesTest, DamagedBytesAreSaidToBe) {
  auto client = connect();
  storage::Mutation damaged;
  damaged.key = "h";
  damaged.value = "no hash";
  damaged.value_kind = storage::ValueKind::hash;
  engine_.write({damaged}, false, base::kForever, [](Result<storage::WriteReply>) {});
  for (const auto& words : {Words{"HGET", "h", "f"}, {"HGETALL", "h"}, {"HLEN", "h"}, {"HMGET", "h", "a", "b"},
                            {"HSET", "h", "f", "v"}, {"HDEL", "h", "f"}, {"HSCAN", "h", "0"}, {"HRANDFIELD", "h"}}) {
    EXPECT_THAT(client->call(words), StartsWith("-CORRUPTED the bytes of a hash do not have its form")) << words[0];
  }
  EXPECT_EQ(client->call({"DEL", "h"}), "1");
}

// A std::map that does what the commands say, some keys of which hold strings.
class Model {
 public:
  // The reply to a command; of reads that show many fields their order is the order of coming, which the map lacks: these
  // are compared field by field.
  std::string call(const Words& words) {
    const auto name = words[0];
    const std::string key(words[1]);
    if (name == "SET") return hashes_.erase(key), strings_.insert(key), "OK";
    if (name == "DEL") return std::to_string(hashes_.erase(key) + (strings_.extract(key).empty() ? 0u : 1u));
    if (name == "TYPE") return strings_.contains(key) ? "string" : hashes_.contains(key) ? "hash" : "none";
    if (strings_.contains(key)) return kWrong;
    const auto reply = on_fields(hashes_[key], words);
    if (hashes_[key].empty()) hashes_.erase(key);
    return reply;
  }

 private:
  using Fields = std::map<std::string, std::string, std::less<>>;

  static std::string quoted(const std::string& text) { return "\"" + text + "\""; }
  static std::string on_fields(Fields& fields, const Words& words) {
    const auto name = words[0];
    const auto field = words.size() > 2 ? fields.find(words[2]) : fields.end();
    const bool known = field != fields.end();
    if (name == "HGET") return known ? quoted(field->second) : "null";
    if (name == "HEXISTS") return known ? "1" : "0";
    if (name == "HSTRLEN") return std::to_string(known ? field->second.size() : 0);
    if (name == "HLEN") return std::to_string(fields.size());
    if (name == "HDEL") return std::to_string(erase(fields, words));
    if (name == "HSETNX") return fields.try_emplace(std::string(words[2]), words[3]).second ? "1" : "0";
    if (name == "HINCRBY") return add(fields, words);
    int fresh = 0;  // HSET
    for (std::size_t i = 2; i < words.size(); i += 2) {
      fresh += fields.insert_or_assign(std::string(words[i]), std::string(words[i + 1])).second ? 1 : 0;
    }
    return std::to_string(fresh);
  }
  static std::size_t erase(Fields& fields, const Words& words) {
    std::size_t erased = 0;
    for (const auto word : Words(words.begin() + 2, words.end())) erased += fields.erase(std::string(word));
    return erased;
  }
  static std::string add(Fields& fields, const Words& words) {
    auto& value = fields.try_emplace(std::string(words[2]), "0").first->second;
    const auto number = protocol::parse_integer(value);
    if (!number) return "-ERR hash value is not an integer";
    value = std::to_string(*number + *protocol::parse_integer(words[3]));
    return value;
  }

  std::map<std::string, Fields, std::less<>> hashes_;
  std::set<std::string, std::less<>> strings_;
};

TEST_F(HashValuesTest, RandomCommandsAgreeWithAMap) {
  const auto seed = base::entropy();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  base::Random random(seed);
  const std::vector<std::string_view> keys = {"k1", "k2", "k3"}, fields = {"a", "b", "c", "", "long field name"},
                                      values = {"", "1", "-7", "word", "12345678"};
  const auto one_of = [&](const std::vector<std::string_view>& words) { return words[random.below(words.size())]; };
  const auto command = [&]() -> Words {
    const auto key = one_of(keys), field = one_of(fields), value = one_of(values);
    switch (random.below(14)) {
      case 0: return {"SET", key, value};
      case 1: return {"DEL", key};
      case 2: return {"TYPE", key};
      case 3: return {"HGET", key, field};
      case 4: return {"HEXISTS", key, field};
      case 5: return {"HSTRLEN", key, field};
      case 6: return {"HLEN", key};
      case 7: return {"HDEL", key, field, one_of(fields)};
      case 8: return {"HSETNX", key, field, value};
      case 9: return {"HINCRBY", key, field, random.chance(0.5) ? "5" : "-3"};
      case 10: return {"HSET", key, field, value, one_of(fields), one_of(values)};
      default: return {"HSET", key, field, value};
    }
  };
  auto client = connect();
  Model model;
  for (int i = 0; i < 3000 && !HasFailure(); ++i) {
    if (random.chance(0.1)) engine_.drop_cache();
    const auto words = command();
    EXPECT_EQ(client->call(words), model.call(words)) << fmt::format("command {}: {} {}", i, words[0], words[1]);
  }
}

}  // namespace
}  // namespace freshet::server
