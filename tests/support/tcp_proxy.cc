// The proxy: one thread over poll(). Sends block, which is well for tests: both ends are local.
#include "tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <iostream>

namespace freshet::testing {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);

constexpr std::size_t kBufferBytes = 64 * 1024;

int must(int result, const char* what) {
  if (result < 0) {
    std::cerr << "proxy: " << what << " failed" << std::endl;
    std::abort();
  }
  return result;
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool send_all(int socket, const char* bytes, std::size_t count) {
  while (count > 0) {
    const auto sent = send(socket, bytes, count, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    count -= static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace

TcpProxy::TcpProxy(int upstream_port) : upstream_port_(upstream_port) {
  listener_ = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  auto address = loopback(0);
  must(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
  must(listen(listener_, 64), "listen");
  socklen_t length = sizeof address;
  must(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), "getsockname");
  port_ = ntohs(address.sin_port);
  std::array<int, 2> ends;
  must(pipe(ends.data()), "pipe");
  wake_read_ = ends[0];
  wake_write_ = ends[1];
  thread_ = std::thread([this] { main(); });
}

TcpProxy::~TcpProxy() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake();
  thread_.join();
  close(listener_);
  close(wake_read_);
  close(wake_write_);
}

void TcpProxy::wake() { must(static_cast<int>(write(wake_write_, "x", 1)), "write"); }

void TcpProxy::set_mode(Mode mode) {
  mode_ = mode;
  wake();
}

void TcpProxy::cut() {
  std::unique_lock lock(mutex_);
  cutting_ = true;
  wake();
  changed_.wait(lock, [&] { return !cutting_; });
}

bool TcpProxy::wait_for_swallowed(std::uint64_t bytes) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return swallowed_ >= bytes; });
}

void TcpProxy::accept_one() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  const int server = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const auto address = loopback(upstream_port_);
  const int on = 1;
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (mode_ == Mode::refuse || connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(client);
    close(server);
    return;
  }
  pairs_.push_back({client, server});
}

bool TcpProxy::forward(Pair& pair, bool from_client) {
  if (mode_ == Mode::stall) return true;  // Since it was found that there is something.
  std::array<char, kBufferBytes> buffer;
  const auto count = recv(from_client ? pair.client : pair.server, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
  if (count == 0) return false;
  if (!from_client && (pair.lost_replies || mode_ == Mode::swallow_replies)) {
    pair.lost_replies = true;
    const std::lock_guard lock(mutex_);
    swallowed_ += static_cast<std::uint64_t>(count);
    changed_.notify_all();
    return true;
  }
  return send_all(from_client ? pair.server : pair.client, buffer.data(), static_cast<std::size_t>(count));
}

void TcpProxy::main() {
  const auto close_pair = [](const Pair& pair) {
    close(pair.client);
    close(pair.server);
  };
  while (true) {
    std::vector<pollfd> watched{{wake_read_, POLLIN, 0}, {listener_, POLLIN, 0}};
    if (mode_ != Mode::stall) {
      for (const auto& pair : pairs_) {
        watched.push_back({pair.client, POLLIN, 0});
        watched.push_back({pair.server, POLLIN, 0});
      }
    }
    must(poll(watched.data(), watched.size(), -1), "poll");
    std::array<char, 64> wakes;
    if (watched[0].revents != 0) must(static_cast<int>(read(wake_read_, wakes.data(), wakes.size())), "read");
    {
      const std::lock_guard lock(mutex_);
      if (cutting_ || stopping_) {
        for (const auto& pair : pairs_) close_pair(pair);
        pairs_.clear();
        cutting_ = false;
        changed_.notify_all();
        if (stopping_) return;
        continue;
      }
    }
    std::vector<Pair> open;
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      const std::size_t at = 2 + 2 * i;
      bool alive = true;
      if (at + 1 < watched.size()) {
        if (watched[at].revents != 0) alive = forward(pairs_[i], true);
        if (alive && watched[at + 1].revents != 0) alive = forward(pairs_[i], false);
      }
      if (alive) {
        open.push_back(pairs_[i]);
      } else {
        close_pair(pairs_[i]);
      }
    }
    pairs_ = std::move(open);
    if (watched[1].revents != 0) accept_one();
  }
}

}  // namespace freshet::testing
