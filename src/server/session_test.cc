// Connections over real sockets: order, pipelines that wait for storage, authentication, and the end of connections.
#include <gmock/gmock.h>

#include "base/random.h"
#include "server/testing/server_fixture.h"

namespace freshet::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class SessionTest : public ServerTest {};

TEST_F(SessionTest, APipelineOfHitsIsAnsweredInOneWrite) {
  start();
  auto client = connect();
  EXPECT_EQ(client->call({"SET", "k", "v"}), "OK");
  std::string pipeline;
  for (int i = 0; i < 64; ++i) pipeline += TestClient::encode({"GET", "k"});
  const int before = client->reads();
  EXPECT_TRUE(client->send(pipeline));
  for (int i = 0; i < 64; ++i) EXPECT_EQ(client->read(), "\"v\"");
  EXPECT_EQ(client->reads() - before, 1);
}

TEST_F(SessionTest, CommandsWaitForTheOneBeforeThem) {
  start();
  auto client = connect(), other = connect();
  engine_.put_in_storage("k", "v");
  engine_.hold_answers();
  EXPECT_TRUE(
      client->send(TestClient::encode({"GET", "k"}) + TestClient::encode({"PING"}) + TestClient::encode({"GET", "k"})));
  eventually([&] { return engine_.held_answers() == 1; });
  EXPECT_EQ(client->read(50), "silence");
  EXPECT_EQ(other->call({"PING"}), "PONG") << "another client does not wait";
  engine_.release_answers();
  EXPECT_EQ(client->read(), "\"v\"");
  EXPECT_EQ(client->read(), "PONG");
  EXPECT_EQ(client->read(), "\"v\"");
}

TEST_F(SessionTest, AnswersThatComeBeforeTheCallReturnsAreTakenUpAtOnce) {
  engine_.answer_at_once();
  start();
  auto client = connect(), other = connect();
  std::string pipeline;
  std::vector<std::string> expected;
  for (int i = 0; i < 100; ++i) {
    const std::string key = "k" + std::to_string(i);
    engine_.put_in_storage(key, key);
    pipeline += TestClient::encode({"GET", key}) + TestClient::encode({"INCR", "n"});
    expected.insert(expected.end(), {"\"" + key + "\"", std::to_string(i + 1)});
  }
  EXPECT_TRUE(client->send(pipeline));
  for (const auto& each : expected) ASSERT_EQ(client->read(), each);
  EXPECT_EQ(client->reads(), 1) << "nothing waited";
  EXPECT_TRUE(engine_.prefetched().empty());
  // A chain of answers longer than may be taken up at once: 20 steps of 1024 keys.
  for (int i = 0; i < 20'000; ++i) engine_.put_in_storage("many" + std::to_string(i), "v");
  client->call({"KEYS", "many*"});
  EXPECT_EQ(client->last().items.size(), 20'000u);
  EXPECT_EQ(other->call({"PING"}), "PONG");
}

TEST_F(SessionTest, ReadsBehindAWaitingCommandAreFetchedAhead) {
  start();
  auto client = connect();
  std::string pipeline = TestClient::encode({"SET", "first", "x"});
  for (int i = 0; i < 20; ++i) {
    const std::string key = "k" + std::to_string(i);
    engine_.put_in_storage(key, key);
    pipeline += TestClient::encode({"GET", key});
  }
  pipeline +=
      TestClient::encode({"MGET", "m1", "m2"}) + TestClient::encode({"SET", "w", "x"}) + TestClient::encode({"TTL", "t"});
  engine_.hold_answers();
  EXPECT_TRUE(client->send(pipeline));
  eventually([&] { return engine_.prefetched().size() == 23; });
  const auto keys = engine_.prefetched();
  EXPECT_EQ(keys.front(), "k0");
  EXPECT_EQ(keys.back(), "t");
  engine_.release_answers();
  EXPECT_EQ(client->read(), "OK");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client->read(), "\"k" + std::to_string(i) + "\"");
  EXPECT_EQ(client->read(), "[null, null]");
  EXPECT_EQ(client->read(), "OK");
  EXPECT_EQ(client->read(), "-2");
  EXPECT_EQ(engine_.prefetched().size(), 23u) << "a key is handed over once";
}

TEST_F(SessionTest, AnswersForAClientThatHasGoneAreDropped) {
  start();
  engine_.hold_answers();
  {
    auto client = connect();
    client->send_command({"GET", "a"});
    eventually([&] { return engine_.held_answers() == 1; });
  }
  auto other = connect();
  EXPECT_EQ(other->call({"PING"}), "PONG");
  engine_.release_answers();
  EXPECT_EQ(other->call({"SET", "k", "v"}), "OK");
  other.reset();
  eventually([&] { return server_->clients() == 0; });
}

TEST_F(SessionTest, AServerThatStopsDropsWhatIsStillOwed) {
  start();
  auto client = connect();
  engine_.hold_answers();
  client->send_command({"GET", "a"});
  eventually([&] { return engine_.held_answers() == 1; });
  server_.reset();
  EXPECT_EQ(client->read(), "closed");
  engine_.release_answers();
}

TEST_F(SessionTest, AClientThatEndsItsInputStillGetsItsAnswers) {
  start();
  auto client = connect();
  engine_.hold_answers();
  EXPECT_TRUE(client->send(TestClient::encode({"SET", "k", "v"}) + TestClient::encode({"GET", "k"}) + "*1\r\n$4\r\nPI"));
  client->end_input();
  eventually([&] { return engine_.held_answers() == 1; });
  engine_.release_answers();
  EXPECT_EQ(client->read(), "OK");
  EXPECT_EQ(client->read(), "\"v\"");
  EXPECT_EQ(client->read(), "closed");
}

TEST_F(SessionTest, QuitAnswersAndCloses) {
  start();
  auto client = connect();
  EXPECT_TRUE(client->send("PING\r\nQUIT\r\nPING\r\n"));
  EXPECT_EQ(client->read(), "PONG");
  EXPECT_EQ(client->read(), "OK");
  EXPECT_EQ(client->read(), "closed");
}

// Commands are parsed some at a time; what an earlier one changes holds for the later ones all the same.
TEST_F(SessionTest, CommandsOfOnePieceChangeTheRulesForThoseBehindThem) {
  auto options = defaults();
  options.password = "secret";
  start(options);
  auto client = connect();
  std::string stream = TestClient::encode({"PING"}) + "AUTH secret\r\n" + TestClient::encode({"SET", "k", "v"});
  stream += "GET k\r\n\r\n*0\r\n" + TestClient::encode({"GET", "k"}) + "ECHO 'a b'\r\n";
  std::vector<std::string_view> mget(200, "k");
  mget.front() = "MGET";
  stream += TestClient::encode(mget) + TestClient::encode({"GET", "k"}) + TestClient::encode({"RESET"});
  stream += TestClient::encode({"GET", "k"}) + "AUTH secret\r\nQUIT\r\n" + TestClient::encode({"GET", "k"});
  EXPECT_TRUE(client->send(stream));
  EXPECT_EQ(client->read(), "-NOAUTH Authentication required.");
  for (const char* expected : {"OK", "OK", "\"v\"", "\"v\"", "\"a b\""}) EXPECT_EQ(client->read(), expected);
  client->read();
  EXPECT_EQ(client->last().items.size(), 199u);
  for (const char* expected : {"\"v\"", "RESET", "-NOAUTH Authentication required.", "OK", "OK", "closed"}) {
    EXPECT_EQ(client->read(), expected);
  }
}

TEST_F(SessionTest, AProtocolErrorWaitsForTheCommandsBeforeIt) {
  start();
  engine_.put_in_storage("k", "v");
  engine_.hold_answers();
  auto client = connect();
  const auto waits = TestClient::encode({"GET", "k"}) + TestClient::encode({"ECHO", "e"});
  EXPECT_TRUE(client->send("PING\r\n" + waits + "*2\r\n*1\r\n"));
  eventually([&] { return engine_.held_answers() == 1; });
  engine_.release_answers();
  for (const char* expected : {"PONG", "\"v\"", "\"e\"", "-ERR Protocol error: expected '$', got '*'", "closed"}) {
    EXPECT_EQ(client->read(), expected);
  }
}

TEST_F(SessionTest, ProtocolErrorsAreToldAndCloseTheConnection) {
  start();
  const std::pair<std::string, std::string> cases[] = {
      {"*1\r\n$-5\r\n", "-ERR Protocol error: invalid bulk length"},
      {"*2\r\n*1\r\n", "-ERR Protocol error: expected '$', got '*'"},
      {"*1048577\r\n", "-ERR Protocol error: invalid multibulk length"},
      {"PING \"\r\n", "-ERR Protocol error: unbalanced quotes in request"},
      {std::string(70'000, 'x'), "-ERR Protocol error: too big inline request"},
  };
  for (const auto& [bytes, expected] : cases) {
    auto client = connect();
    EXPECT_TRUE(client->send(bytes));
    EXPECT_EQ(client->read(), expected);
    EXPECT_EQ(client->read(), "closed");
  }
  EXPECT_EQ(server_->totals().protocol_errors, std::size(cases));
}

TEST_F(SessionTest, OneByteAtATime) {
  start();
  auto client = connect();
  const std::string value("a\r\n\0b", 5);
  for (const char byte : TestClient::encode({"SET", "k", value}) + TestClient::encode({"GET", "k"})) {
    EXPECT_TRUE(client->send({&byte, 1}));
  }
  EXPECT_EQ(client->read(), "OK");
  EXPECT_EQ(client->read(), "\"a\\x0d\\x0a\\x00b\"");
}

TEST_F(SessionTest, RandomPipelinesInRandomPiecesKeepTheirOrder) {
  start();
  base::Random random(20260);
  RecordProperty("seed", 20260);
  auto client = connect();
  for (int round = 0; round < 30; ++round) {
    std::string stream;
    std::vector<std::string> expected;
    for (int i = 0; i < 100; ++i) {
      const std::string number = std::to_string(round * 100 + i);
      const std::string key = "k" + std::to_string(random.below(8));
      if (random.chance(0.3)) {
        stream += TestClient::encode({"SET", key, number}) + TestClient::encode({"GET", key});
        expected.insert(expected.end(), {"OK", "\"" + number + "\""});
      } else {
        stream += TestClient::encode({"ECHO", number});
        expected.push_back("\"" + number + "\"");
      }
      if (random.chance(0.1)) engine_.drop_cache();
    }
    std::string_view rest = stream;
    while (!rest.empty()) {
      const auto piece = std::min<std::size_t>(rest.size(), 1 + random.below(700));
      EXPECT_TRUE(client->send(rest.substr(0, piece)));
      rest.remove_prefix(piece);
    }
    for (const auto& each : expected) ASSERT_EQ(client->read(), each);
  }
}

TEST_F(SessionTest, NothingWithoutThePassword) {
  auto options = defaults();
  options.password = "secret";
  start(options);
  auto client = connect();
  EXPECT_EQ(client->call({"PING"}), "-NOAUTH Authentication required.");
  EXPECT_EQ(client->call({"GET", "k"}), "-NOAUTH Authentication required.");
  EXPECT_EQ(client->call({"GET"}), "-ERR wrong number of arguments for 'get' command");
  EXPECT_THAT(client->call({"HELLO", "3"}),
              StartsWith("-NOAUTH HELLO must be called with the client already authenticated"));
  EXPECT_EQ(client->call({"AUTH", "wrong"}), "-WRONGPASS invalid username-password pair or user is disabled.");
  EXPECT_EQ(client->call({"AUTH", ""}), "-WRONGPASS invalid username-password pair or user is disabled.");
  EXPECT_EQ(client->call({"AUTH", "secretsecret"}), "-WRONGPASS invalid username-password pair or user is disabled.");
  EXPECT_EQ(client->call({"AUTH", "secret"}), "OK");
  EXPECT_EQ(client->call({"PING"}), "PONG");
  EXPECT_EQ(client->call({"RESET"}), "RESET");
  EXPECT_EQ(client->call({"PING"}), "-NOAUTH Authentication required.");
  EXPECT_THAT(client->call({"HELLO", "3", "AUTH", "default", "secret"}), HasSubstr("\"proto\": 3"));
  EXPECT_EQ(client->call({"PING"}), "PONG");
  EXPECT_EQ(client->call({"QUIT"}), "OK");
}

TEST_F(SessionTest, UnauthenticatedClientsHaveSmallLimits) {
  auto options = defaults();
  options.password = "secret";
  start(options);
  auto many = connect();
  EXPECT_TRUE(many->send("*11\r\n"));
  EXPECT_EQ(many->read(), "-ERR Protocol error: unauthenticated multibulk length");
  auto large = connect();
  EXPECT_TRUE(large->send("*2\r\n$4\r\nAUTH\r\n$16385\r\n"));
  EXPECT_EQ(large->read(), "-ERR Protocol error: unauthenticated bulk length");
}

TEST_F(SessionTest, ProtectedModeRefusesToListenBeyondLoopback) {
  auto options = defaults();
  options.listen = "0.0.0.0:0";
  auto refused = Server::start(options, command_table(), engine_, settings_);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().what, StartsWith("protected mode: "));
  EXPECT_THAT(refused.error().remedy, HasSubstr("password"));
  options.password = "secret";
  auto server = Server::start(options, command_table(), engine_, settings_);
  ASSERT_TRUE(server) << server.error().what;
  options.password.clear();
  for (const auto* good : {"localhost:0", "127.0.0.2:0"}) {
    options.listen = good;
    EXPECT_TRUE(Server::start(options, command_table(), engine_, settings_)) << good;
  }
  for (const auto* bad : {":0", "*:0"}) {
    options.listen = bad;
    EXPECT_FALSE(Server::start(options, command_table(), engine_, settings_)) << bad;
  }
}

TEST_F(SessionTest, AnAddressThatCannotBeListenedOnIsNamed) {
  start();
  auto options = defaults();
  options.listen = "127.0.0.1:" + std::to_string(server_->port());
  const auto taken = Server::start(options, command_table(), engine_, settings_);
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().what, HasSubstr(options.listen));
  for (const auto* bad : {"nonsense", "127.0.0.1:x", "127.0.0.1:70000", "::1:80", ""}) {
    options.listen = bad;
    const auto refused = Server::start(options, command_table(), engine_, settings_);
    ASSERT_FALSE(refused) << bad;
    EXPECT_THAT(refused.error().what, HasSubstr("no address")) << bad;
  }
}

TEST_F(SessionTest, ClientsBeyondTheMostAreTurnedAway) {
  auto options = defaults();
  options.clients_max = 2;
  start(options);
  auto first = connect(), second = connect();
  EXPECT_EQ(first->call({"PING"}), "PONG");
  EXPECT_EQ(second->call({"PING"}), "PONG");
  auto third = connect();
  EXPECT_EQ(third->read(), "-ERR max number of clients reached");
  EXPECT_EQ(third->read(), "closed");
  first.reset();
  eventually([&] { return server_->clients() == 1; });
  EXPECT_EQ(connect()->call({"PING"}), "PONG");
}

TEST_F(SessionTest, IdleClientsAreClosedAndWaitingOnesAreNot) {
  auto options = defaults();
  options.idle_timeout_seconds = 1;
  start(options);
  auto idle = connect(), waiting = connect();
  EXPECT_EQ(idle->call({"PING"}), "PONG");
  engine_.hold_answers();
  waiting->send_command({"GET", "k"});
  EXPECT_EQ(idle->read(), "closed");
  engine_.release_answers();
  EXPECT_EQ(waiting->read(), "null");
}

TEST_F(SessionTest, MetricsAreServed) {
  auto options = defaults();
  options.metrics = "127.0.0.1:0";
  start(options);
  auto client = connect();
  EXPECT_EQ(client->call({"SET", "k", "v"}), "OK");
  EXPECT_EQ(client->call({"GET", "k"}), "\"v\"");
  TestClient http(server_->metrics_port());
  EXPECT_TRUE(http.send("GET /metrics HTTP/1.0\r\n\r\n"));
  const std::string text = http.read_all();
  EXPECT_THAT(text, HasSubstr("freshet_commands_total{command=\"get\"} 1"));
  EXPECT_THAT(text, HasSubstr("freshet_connected_clients 1"));
  EXPECT_THAT(text, HasSubstr("freshet_command_duration_seconds_count{waited=\"yes\"} 1"));
  EXPECT_THAT(text, HasSubstr("freshet_cache_hits_total 1"));
  EXPECT_THAT(text, HasSubstr("freshet_eviction_policy_info{policy=\"sieve\",setting=\"auto\"} 1"));
  EXPECT_THAT(text, HasSubstr("freshet_eviction_estimated_miss_ratio{policy=\"lru\",capacity_bytes=\"2000\"} 0.375"));
  EXPECT_THAT(text, HasSubstr("freshet_stream_up 1"));
  EXPECT_THAT(text, HasSubstr("freshet_stream_lag_seconds 0.012"));
  EXPECT_THAT(text, HasSubstr("freshet_held_transactions 2"));
  EXPECT_THAT(text, HasSubstr("publication=\"fake_publication\""));
  EXPECT_THAT(text, HasSubstr("freshet_tracking_clients 0"));
  options.metrics = "127.0.0.1:" + std::to_string(server_->port());
  EXPECT_FALSE(Server::start(options, command_table(), engine_, settings_)) << "the port is taken";
}

}  // namespace
}  // namespace freshet::server
