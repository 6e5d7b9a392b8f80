// The connection against a small scripted server on a thread of the test.
#include "client/connection.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <future>
#include <thread>

namespace freshet::client {
namespace {

using testing::HasSubstr;

constexpr base::Nanoseconds kTestDeadline = 5 * base::kSecond;
base::Nanoseconds soon() { return base::now() + kTestDeadline; }

// Listens on a port of its own and gives the first connection to `serve`, on a thread.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::function<void(int)> serve) : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    target_ = {"127.0.0.1", ntohs(address.sin_port)};
    thread_ = std::thread([this, serve = std::move(serve)] {
      const int peer = accept(listener_, nullptr, nullptr);
      serve(peer);
      ::close(peer);
    });
  }
  ~ScriptedServer() {
    thread_.join();
    ::close(listener_);
  }
  const Target& target() const { return target_; }

 private:
  int listener_;
  Target target_;
  std::thread thread_;
};

// Reads until so many bytes have come or the peer is gone.
std::string receive(int peer, std::size_t bytes) {
  std::string text;
  char buffer[65536];
  while (text.size() < bytes) {
    const ssize_t count = recv(peer, buffer, sizeof buffer, 0);
    if (count <= 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

void answer(int peer, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = send(peer, text.data(), text.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

constexpr std::string_view kGetBytes = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";

TEST(ParseTarget, HostsAndPorts) {
  EXPECT_EQ(parse_target("10.0.0.1:6379")->host, "10.0.0.1");
  EXPECT_EQ(parse_target("[::1]:80")->host, "::1");
  EXPECT_EQ(parse_target(":80")->host, "127.0.0.1");
  EXPECT_EQ(parse_target("h:65535")->port, 65535);
  for (const char* wrong : {"", "h", "h:", "h:0", "h:65536", "h:1x", "::1:80"}) {
    EXPECT_FALSE(parse_target(wrong)) << wrong;
  }
}

TEST(Connection, CallsAndPipelines) {
  std::string seen;
  ScriptedServer server([&](int peer) {
    seen = receive(peer, kGetBytes.size());
    answer(peer, "$2\r\nh");
    answer(peer, "i\r\n");
    seen += receive(peer, 2 * kGetBytes.size());
    answer(peer, ">1\r\n+pushed\r\n:7\r\n-ERR no\r\n");
  });
  auto connection = Connection::connect(server.target(), soon());
  ASSERT_TRUE(connection) << connection.error().what;
  const auto reply = connection->call({"GET", "k"}, soon());
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(reply->text, "hi");
  ASSERT_TRUE(connection->queue({"GET", "k"}));
  ASSERT_TRUE(connection->queue({"GET", "k"}));
  EXPECT_EQ(connection->unsent(), 2u);
  EXPECT_FALSE(connection->call({"GET", "k"}, soon())) << "answers would be mixed up";
  ASSERT_TRUE(connection->flush(soon()));
  EXPECT_EQ(connection->unanswered(), 2u);
  EXPECT_EQ(connection->read(soon())->integer, 7) << "pushes are no answers";
  EXPECT_TRUE(connection->read(soon())->is_error());
  EXPECT_FALSE(connection->read(soon())) << "nothing outstanding";
  EXPECT_EQ(seen, std::string(kGetBytes) + std::string(kGetBytes) + std::string(kGetBytes));
}

TEST(Connection, SentAndNotAnsweredIsUnknown) {
  ScriptedServer server([](int peer) { receive(peer, kGetBytes.size()); });
  auto connection = Connection::connect(server.target(), soon());
  const auto reply = connection->call({"GET", "k"}, soon());
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::unknown_outcome);
  EXPECT_EQ(reply.error().retry, Retry::unsafe);
  EXPECT_FALSE(connection->is_open());
  EXPECT_EQ(connection->call({"GET", "k"}, soon()).error().code, ErrorCode::unavailable) << "closed: certainly not sent";
}

TEST(Connection, DeadlineOfAnAnswer) {
  ScriptedServer server([](int peer) { receive(peer, SIZE_MAX); });
  auto connection = Connection::connect(server.target(), soon());
  const base::Nanoseconds start = base::now();
  const auto reply = connection->call({"GET", "k"}, start + 50 * base::kMillisecond);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::unknown_outcome);
  EXPECT_THAT(reply.error().what, HasSubstr("deadline"));
  EXPECT_GE(base::now() - start, 50 * base::kMillisecond);
}

TEST(Connection, PartlySentIsNotSent) {
  // The server never reads: a command larger than the sockets' buffers cannot be handed over.
  std::promise<void> done;
  ScriptedServer server([&](int) { done.get_future().wait(); });
  auto connection = Connection::connect(server.target(), soon());
  const std::string large(64 << 20, 'x');
  const auto reply = connection->call({"SET", "k", large}, base::now() + 100 * base::kMillisecond);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(connection->unsent(), 1u);
  EXPECT_EQ(connection->unanswered(), 0u);
  done.set_value();
}

TEST(Connection, LargePipelineDoesNotDeadlock) {
  // The server answers each part before it reads the next one, with answers as large as the requests.
  constexpr int kCommands = 64;
  const std::string large(256 << 10, 'x');
  ScriptedServer server([&](int peer) {
    const std::size_t request = ("*2\r\n$4\r\nECHO\r\n$262144\r\n" + large + "\r\n").size();
    std::size_t received = 0;
    for (int i = 0; i < kCommands; ++i) {
      while (received < request * static_cast<std::size_t>(i + 1)) received += receive(peer, 1).size();
      answer(peer, "$262144\r\n" + large + "\r\n");
    }
  });
  auto connection = Connection::connect(server.target(), soon());
  for (int i = 0; i < kCommands; ++i) ASSERT_TRUE(connection->queue({"ECHO", large}));
  ASSERT_TRUE(connection->flush(soon()));
  for (int i = 0; i < kCommands; ++i) {
    const auto reply = connection->read(soon());
    ASSERT_TRUE(reply) << reply.error().what;
    EXPECT_EQ(reply->text.size(), large.size());
  }
}

TEST(Connection, RefusedAndBroken) {
  Target gone;
  {
    ScriptedServer server([](int peer) {
      receive(peer, kGetBytes.size());
      answer(peer, "?nonsense\r\n");
    });
    gone = server.target();
    auto connection = Connection::connect(gone, soon());
    EXPECT_EQ(connection->call({"GET", "k"}, soon()).error().code, ErrorCode::unknown_outcome);
  }
  const auto refused = Connection::connect(gone, soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace freshet::client
