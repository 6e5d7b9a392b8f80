// Clients that announce, send or leave unread too much: memory stays bounded, and other clients are served.
#include <gmock/gmock.h>

#include "base/random.h"
#include "server/testing/server_fixture.h"

namespace freshet::server {
namespace {

class LimitsTest : public ServerTest {
 protected:
  void expect_unharmed() { EXPECT_EQ(connect()->call({"PING"}), "PONG"); }
};

TEST_F(LimitsTest, AnnouncedSizesReserveNothing) {
  start();
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(connect());
    EXPECT_TRUE(
        clients.back()->send(i % 2 ? "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nabc" : "*1048576\r\n$3\r\nGET\r\n"));
  }
  expect_unharmed();
  EXPECT_EQ(server_->client_memory_bytes(), 0u) << "no buffer has grown beyond its first size";
  eventually([&] { return server_->totals().input_bytes > 50 * 20; });
  eventually([&] { return server_->clients() == 50; });
}

TEST_F(LimitsTest, InputBeyondTheLimitClosesTheClient) {
  auto options = defaults();
  options.query_buffer_bytes_max = 1 << 20;
  start(options);
  auto client = connect();
  client->send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n");
  EXPECT_FALSE(client->send(std::string(16 << 20, 'x')));
  eventually([&] { return server_->totals().limit_closes == 1 && server_->client_memory_bytes() == 0; });
  expect_unharmed();
}

TEST_F(LimitsTest, AReplyBeyondTheLimitClosesTheClient) {
  auto options = defaults();
  options.output_buffer_bytes_max = 1 << 20;
  start(options);
  engine_.put_in_storage("k", std::string(300'000, 'v'));
  auto client = connect();
  client->call({"GET", "k"});
  EXPECT_EQ(client->last().text.size(), 300'000u);
  EXPECT_EQ(client->call({"MGET", "k", "k", "k", "k"}), "closed");
  EXPECT_EQ(server_->totals().limit_closes, 1u);
  expect_unharmed();
}

TEST_F(LimitsTest, AllClientsTogetherHaveALimit) {
  auto options = defaults();
  options.client_memory_bytes_max = 8 << 20;
  start(options);
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 16; ++i) {
    clients.push_back(connect());
    clients.back()->send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n" + std::string(1'500'000, 'x'), 2'000);
  }
  eventually([&] { return server_->totals().limit_closes > 0 && server_->client_memory_bytes() <= 8u << 20; });
  EXPECT_GT(server_->clients(), 0) << "those that fit stay";
  expect_unharmed();
}

TEST_F(LimitsTest, AClientThatDoesNotReadIsNotReadFrom) {
  start();
  constexpr int kCommands = 40'000;
  const std::string value(10'000, 'v');
  engine_.put_in_storage("k", value);
  auto client = connect(64 * 1024);
  client->call({"GET", "k"});
  std::string pipeline;
  for (int i = 0; i < kCommands; ++i) pipeline += TestClient::encode({"GET", "k"});
  // 400 MB of replies are asked for; the server stops reading long before the pipeline ends.
  std::string_view rest = pipeline;
  while (!rest.empty() && client->send(rest.substr(0, 4096), 300))
    rest.remove_prefix(std::min<std::size_t>(rest.size(), 4096));
  EXPECT_LT(server_->client_memory_bytes(), 4u << 20);
  expect_unharmed();
  // Once it reads, it gets every reply.
  std::thread sender([&] { EXPECT_TRUE(client->send(rest)); });
  for (int i = 0; i < kCommands; ++i) {
    client->read();
    ASSERT_EQ(client->last().text.size(), value.size()) << i;
  }
  sender.join();
  expect_unharmed();
}

TEST_F(LimitsTest, AWaitingClientIsReadAheadOfALittleOnly) {
  start();
  auto client = connect();
  engine_.hold_answers();
  client->send_command({"GET", "k"});
  eventually([&] { return engine_.held_answers() == 1; });
  const std::string pings = [] {
    std::string text;
    for (int i = 0; i < 4'000'000; ++i) text += "PING\r\n";
    return text;
  }();
  EXPECT_FALSE(client->send(pings, 300)) << "the server took 24 MB of a client that waits";
  EXPECT_LT(server_->client_memory_bytes(), 2u << 20);
  engine_.release_answers();
  EXPECT_EQ(client->read(), "null");
  EXPECT_EQ(client->read(), "PONG");
}

TEST_F(LimitsTest, ALargeValueComesThroughWhole) {
  start();
  const std::string value = [] {
    base::Random random(7);
    std::string text(20 << 20, '\0');
    for (char& c : text) c = static_cast<char>(random());
    return text;
  }();
  auto client = connect();
  EXPECT_EQ(client->call({"SET", "k", value}), "OK");
  client->call({"GET", "k"});
  EXPECT_TRUE(client->last().text == value);
  client.reset();
  eventually([&] { return server_->client_memory_bytes() == 0; });
}

TEST_F(LimitsTest, GarbageHarmsNobodyElse) {
  start();
  base::Random random(99);
  RecordProperty("seed", 99);
  for (int i = 0; i < 200; ++i) {
    auto client = connect();
    std::string bytes(random.below(2'000), '\0');
    for (char& c : bytes) c = random.chance(0.5) ? "*$\r\n01 -\"'"[random.below(10)] : static_cast<char>(random());
    client->send(bytes, 1'000);
  }
  expect_unharmed();
  eventually([&] { return server_->clients() <= 1; });
}

}  // namespace
}  // namespace freshet::server
