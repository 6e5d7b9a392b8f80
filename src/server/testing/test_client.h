// A blocking client for the server's tests: sends bytes or commands, reads replies, with a deadline. May use protocol.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "protocol/buffer.h"
#include "protocol/reply.h"
#include "protocol/reply_writer.h"

namespace freshet::server {

class TestClient {
 public:
  static constexpr int kPatienceMs = 10'000;

  explicit TestClient(std::uint16_t port, int receive_buffer_bytes = 0) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer_bytes) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~TestClient() { close(); }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  bool connected() const { return connected_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void end_input() { ::shutdown(fd_, SHUT_WR); }

  // False if the peer has gone, or took nothing for `patience_ms`.
  bool send(std::string_view bytes, int patience_ms = kPatienceMs) {
    while (!bytes.empty()) {
      if (!wait(POLLOUT, patience_ms)) return false;
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  static std::string encode(const std::vector<std::string_view>& words) {
    protocol::Buffer out;
    protocol::write_command(out, words.data(), words.size());
    return std::string(out.view());
  }
  void send_command(const std::vector<std::string_view>& words) { EXPECT_TRUE(send(encode(words))); }

  // The next reply as text (Reply::to_text); "closed" if the connection ended, "silence" if nothing came in time.
  std::string read(int patience_ms = kPatienceMs) {
    for (;;) {
      auto reply = parser_.next();
      if (!reply) return "broken: " + reply.error().what;
      if (*reply) return last_ = **reply, last_.to_text();
      if (!wait(POLLIN, patience_ms)) return "silence";
      char bytes[16384];
      const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
      if (got <= 0) return "closed";
      ++reads_;
      parser_.feed({bytes, static_cast<std::size_t>(got)});
    }
  }
  std::string call(const std::vector<std::string_view>& words) {
    send_command(words);
    return read();
  }
  // Everything until the peer closes, as it came.
  std::string read_all() {
    std::string text;
    char bytes[16384];
    while (wait(POLLIN, kPatienceMs)) {
      const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
      if (got <= 0) break;
      text.append(bytes, static_cast<std::size_t>(got));
    }
    return text;
  }
  const protocol::Reply& last() const { return last_; }
  // How often bytes were received.
  int reads() const { return reads_; }

 private:
  bool wait(short events, int patience_ms) {
    pollfd waiting{fd_, events, 0};
    return ::poll(&waiting, 1, patience_ms) == 1;
  }

  int fd_;
  bool connected_ = false;
  int reads_ = 0;
  protocol::ReplyParser parser_;
  protocol::Reply last_;
};

}  // namespace freshet::server
