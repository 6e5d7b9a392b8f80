// A server for tests: one thread that answers requests one after the other, as the test says. May use protocol.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <list>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "client/connection.h"
#include "protocol/buffer.h"
#include "protocol/reply_writer.h"
#include "protocol/request.h"

namespace freshet::load {

class FakeServer {
 public:
  // False: close the connection.
  using Answer = std::function<bool(std::span<const std::string_view> arguments, protocol::ReplyWriter& reply)>;

  explicit FakeServer(Answer answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, SOMAXCONN), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    target_ = {"127.0.0.1", ntohs(address.sin_port)};
    thread_ = std::thread([this] { run(); });
  }
  ~FakeServer() {
    eventfd_write(stop_, 1);
    thread_.join();
    ::close(listener_);
    ::close(stop_);
  }
  const client::Target& target() const { return target_; }

 private:
  struct Peer {
    int socket;
    protocol::Buffer in = {}, out = {};
    protocol::RequestParser parser = {};
  };

  void run() {
    while (true) {
      std::vector<pollfd> watched{{stop_, POLLIN, 0}, {listener_, POLLIN, 0}};
      for (const Peer& peer : peers_) watched.push_back({peer.socket, POLLIN, 0});
      poll(watched.data(), watched.size(), -1);
      if (watched[0].revents != 0) break;
      std::size_t at = 2;
      for (auto peer = peers_.begin(); peer != peers_.end(); ++at) {
        if (watched[at].revents == 0 || serve(*peer)) {
          ++peer;
        } else {
          ::close(peer->socket);
          peer = peers_.erase(peer);
        }
      }
      if (watched[1].revents != 0) peers_.push_back({accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)});
    }
    for (const Peer& peer : peers_) ::close(peer.socket);
  }
  bool serve(Peer& peer) {
    constexpr std::size_t kRead = 65536;
    const auto received = recv(peer.socket, peer.in.reserve(kRead), kRead, 0);
    if (received <= 0) return false;
    peer.in.commit(static_cast<std::size_t>(received));
    protocol::ReplyWriter reply(peer.out);
    while (peer.parser.parse(peer.in.view(), {}) == protocol::RequestParser::Status::complete) {
      const auto arguments = peer.parser.arguments();
      if (arguments[0] == "PING") reply.simple("PONG");
      else if (!answer_(arguments, reply)) return false;
      peer.in.consume(peer.parser.consumed());
    }
    while (!peer.out.empty()) {
      const auto sent = send(peer.socket, peer.out.view().data(), peer.out.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      peer.out.consume(static_cast<std::size_t>(sent));
    }
    return true;
  }

  const Answer answer_;
  int listener_ = -1;
  const int stop_ = eventfd(0, EFD_CLOEXEC);
  client::Target target_;
  std::list<Peer> peers_;
  std::thread thread_;
};

}  // namespace freshet::load
