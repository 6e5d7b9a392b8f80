// A redis-server process, and a proxy with a thread for each client.
#include "redis_servers.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "protocol/request.h"

namespace freshet::test {
namespace {

constexpr base::Nanoseconds kStartDeadline = 20 * base::kSecond;
constexpr base::Nanoseconds kCallDeadline = 10 * base::kSecond;

// A listening socket on a free port of this machine.
int listen_somewhere(std::uint16_t& port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener, 64) != 0) {
    throw std::runtime_error("cannot listen");
  }
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return listener;
}

void encode(const client::Reply& reply, std::string& out) {
  using protocol::ReplyType;
  switch (reply.type) {
    case ReplyType::null:
      out += "$-1\r\n";
      return;
    case ReplyType::simple:
      out += "+" + reply.text + "\r\n";
      return;
    case ReplyType::error:
      out += "-" + reply.text + "\r\n";
      return;
    case ReplyType::integer:
      out += ":" + std::to_string(reply.integer) + "\r\n";
      return;
    case ReplyType::array:
      out += "*" + std::to_string(reply.items.size()) + "\r\n";
      for (const client::Reply& item : reply.items) encode(item, out);
      return;
    default:
      out += "$" + std::to_string(reply.text.size()) + "\r\n" + reply.text + "\r\n";
  }
}

bool send_all(int peer, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

RedisServer::RedisServer() {
  ::close(listen_somewhere(port_));
  const std::string port = std::to_string(port_);
  process_ = fork();
  if (process_ == 0) {
    execlp("redis-server", "redis-server", "--port", port.c_str(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
           "--logfile", "/dev/null", static_cast<char*>(nullptr));
    _exit(127);
  }
  const base::Nanoseconds deadline = base::now() + kStartDeadline;
  while (!client::Connection::connect(target(), deadline)) {
    if (base::now() >= deadline || waitpid(process_, nullptr, WNOHANG) != 0) throw std::runtime_error("no redis-server");
    poll(nullptr, 0, 10);  // It tells nobody when it listens.
  }
}

RedisServer::~RedisServer() {
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
}

client::Reply pass_on(Args args, client::Connection& upstream) {
  auto reply = upstream.call(args, base::now() + kCallDeadline);
  if (!reply) throw std::runtime_error(reply.error().what);
  return std::move(*reply);
}

FaultyProxy::FaultyProxy(client::Target upstream, Fault& fault) : upstream_(std::move(upstream)), fault_(fault) {
  listener_ = listen_somewhere(port_);
  acceptor_ = std::thread([this] { accept_all(); });
}

FaultyProxy::~FaultyProxy() {
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    std::lock_guard lock(mutex_);
    for (const int peer : peers_) shutdown(peer, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  for (const int peer : peers_) ::close(peer);
  ::close(listener_);
}

std::string FaultyProxy::target() const { return "127.0.0.1:" + std::to_string(port_); }

void FaultyProxy::accept_all() {
  while (true) {
    const int peer = accept(listener_, nullptr, nullptr);
    if (peer < 0) return;
    std::lock_guard lock(mutex_);
    peers_.push_back(peer);
    threads_.emplace_back([this, peer] { serve(peer); });
  }
}

void FaultyProxy::serve(int peer) {
  auto upstream = client::Connection::connect(upstream_, base::now() + kCallDeadline);
  if (!upstream) throw std::runtime_error(upstream.error().what);
  protocol::RequestParser parser;
  std::string input;
  std::string output;
  char buffer[16384];
  while (true) {
    const ssize_t received = recv(peer, buffer, sizeof buffer, 0);
    if (received <= 0) return;
    input.append(buffer, static_cast<std::size_t>(received));
    while (parser.parse(input, {}) == protocol::RequestParser::Status::complete) {
      const auto reply = fault_.answer(parser.arguments(), *upstream);
      if (!reply) {
        shutdown(peer, SHUT_RDWR);
        return;
      }
      output.clear();
      encode(*reply, output);
      if (!send_all(peer, output)) return;
      input.erase(0, parser.consumed());
      parser.reset();
    }
  }
}

}  // namespace freshet::test
