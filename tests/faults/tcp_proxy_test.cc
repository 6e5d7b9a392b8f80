// The proxy that the fault tests put before servers does nothing that TCP does not: bytes come late, or the connection ends,
// but none is left out before another that arrives.
#include "tcp_proxy.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <string>
#include <thread>
#include <utility>

namespace freshet::testing {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Answers every letter with the capital one, one connection after the other.
class Capitals {
 public:
  Capitals() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    auto address = loopback(0);
    socklen_t length = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { main(); });
  }
  ~Capitals() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  Capitals(const Capitals&) = delete;
  Capitals& operator=(const Capitals&) = delete;
  int port() const { return port_; }

 private:
  void main() const {
    for (int peer; (peer = accept(listener_, nullptr, nullptr)) >= 0; close(peer)) {
      for (char letter; recv(peer, &letter, 1, 0) == 1;) {
        letter = static_cast<char>(std::toupper(letter));
        if (send(peer, &letter, 1, MSG_NOSIGNAL) != 1) break;
      }
    }
  }

  int listener_;
  int port_ = 0;
  std::thread thread_;
};

class Client {
 public:
  explicit Client(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto address = loopback(port);
    EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void say(char letter) const { EXPECT_EQ(send(socket_, &letter, 1, MSG_NOSIGNAL), 1); }
  bool hears_within_ms(int ms) const {
    pollfd heard{socket_, POLLIN, 0};
    return poll(&heard, 1, ms) > 0;
  }
  // The next letter, or '-' once the connection is over.
  char heard() const {
    char letter = 0;
    return recv(socket_, &letter, 1, 0) == 1 ? letter : '-';
  }

 private:
  int socket_;
};

TEST(TcpProxy, AConnectionThatLostRepliesPassesNoneAfterwards) {
  Capitals server;
  TcpProxy proxy(server.port());
  {
    const Client client(proxy.port());
    client.say('a');
    EXPECT_EQ(client.heard(), 'A');
    proxy.set_mode(TcpProxy::Mode::swallow_replies);
    client.say('b');
    EXPECT_TRUE(proxy.wait_for_swallowed(1));
    proxy.set_mode(TcpProxy::Mode::pass);
    client.say('c');
    EXPECT_TRUE(proxy.wait_for_swallowed(2)) << "a reply passed after one that was lost";
    proxy.cut();
    EXPECT_EQ(client.heard(), '-');
  }
  const Client next(proxy.port());
  next.say('d');
  EXPECT_EQ(next.heard(), 'D');
}

TEST(TcpProxy, WhatStalledArrives) {
  Capitals server;
  TcpProxy proxy(server.port());
  const Client client(proxy.port());
  client.say('a');
  EXPECT_EQ(client.heard(), 'A');
  proxy.set_mode(TcpProxy::Mode::stall);
  client.say('b');
  client.say('c');
  EXPECT_FALSE(client.hears_within_ms(100));
  proxy.set_mode(TcpProxy::Mode::pass);
  EXPECT_EQ(client.heard(), 'B');
  EXPECT_EQ(client.heard(), 'C');
}

}  // namespace
}  // namespace freshet::testing
