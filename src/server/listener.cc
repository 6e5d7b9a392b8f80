// Listening and accepting, directly on sockets: a connection may belong to another loop than the one that accepts.
#include "server/listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "server/server.h"

namespace freshet::server {
namespace {

// Connections taken in one turn of the loop, so that clients already there get theirs.
constexpr int kAcceptBatch = 64;

std::string text_of(const sockaddr_storage& address) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&address), sizeof address, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "?";
  }
  return address.ss_family == AF_INET6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, address, sizeof v4);
    return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  sockaddr_in6 v6;
  std::memcpy(&v6, address, sizeof v6);
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

void set_port(sockaddr_storage& address, std::uint16_t port) {
  // The port stands at the same place in both families.
  reinterpret_cast<sockaddr_in*>(&address)->sin_port = htons(port);
}

Error cannot_listen(const Endpoint& endpoint, const char* why) {
  return Error::of(ErrorCode::unavailable, "cannot listen on " + endpoint.to_text() + ": " + why,
                   "choose another address or port, or stop what uses it");
}

int bound_socket(const sockaddr_storage& address, socklen_t length) {
  const int fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0 && ::listen(fd, kListenBacklog) == 0) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

void tune(int fd, int keepalive_seconds) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (keepalive_seconds <= 0) return;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_seconds, sizeof keepalive_seconds);
  const int interval = keepalive_seconds / 3 > 0 ? keepalive_seconds / 3 : 1;
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  const int probes = 3;
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

}  // namespace

Listener::Listener(Server& server, net::Loop& loop)
    : server_(server), loop_(loop), spare_fd_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

Listener::~Listener() {
  loop_.run([this] {
    for (auto& socket : sockets_) {
      socket.watch.reset();
      ::close(socket.fd);
    }
  });
  if (spare_fd_ >= 0) ::close(spare_fd_);
}

Result<std::unique_ptr<Listener>> Listener::open(Server& server, net::Loop& loop, Endpoint& endpoint, bool loopback_only) {
  std::unique_ptr<Listener> listener(new Listener(server, loop));
  if (auto bound = listener->bind_all(endpoint, loopback_only); !bound) return bound.error();
  loop.run([&] { listener->watch(); });
  return listener;
}

Result<void> Listener::bind_all(Endpoint& endpoint, bool loopback_only) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(endpoint.port);
  const int status = getaddrinfo(endpoint.host.empty() ? nullptr : endpoint.host.c_str(), port.c_str(), &hints, &found);
  if (status != 0) return cannot_listen(endpoint, gai_strerror(status));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  for (const addrinfo* each = found; each; each = each->ai_next) {
    if (loopback_only && !is_loopback(each->ai_addr)) {
      return Error::of(
          ErrorCode::invalid_argument,
          "protected mode: " + endpoint.to_text() + " can be reached from other machines and no password is set",
          "set a password, or listen on 127.0.0.1");
    }
  }
  int last_error = 0;
  for (const addrinfo* each = found; each; each = each->ai_next) {
    sockaddr_storage address{};
    std::memcpy(&address, each->ai_addr, each->ai_addrlen);
    set_port(address, endpoint.port);
    const int fd = bound_socket(address, each->ai_addrlen);
    if (fd < 0) {
      last_error = errno;
      continue;
    }
    sockets_.push_back({fd, nullptr});
    socklen_t length = sizeof address;
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    endpoint.port = ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  }
  // A machine without IPv6 still resolves "every address" to it; a port in use must not pass for that.
  if (sockets_.empty() || last_error == EADDRINUSE) return cannot_listen(endpoint, std::strerror(last_error));
  return {};
}

void Listener::watch() {
  for (auto& socket : sockets_) {
    socket.watch = std::make_unique<net::DescriptorWatch>(loop_, [this, fd = socket.fd](int, int) { accept_some(fd); });
    socket.watch->watch(socket.fd, UV_READABLE);
  }
}

void Listener::accept_some(int listening) {
  for (int i = 0; i < kAcceptBatch; ++i) {
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    const int fd = ::accept4(listening, reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE) return make_descriptor_room(listening);
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return;
    }
    tune(fd, server_.options().tcp_keepalive_seconds);
    ClientInfo info;
    info.address = text_of(peer);
    sockaddr_storage local{};
    length = sizeof local;
    getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length);
    info.local_address = text_of(local);
    server_.welcome(fd, std::move(info));
  }
}

// Without a free descriptor the connection would wait in the queue and wake the loop for ever: it is turned away instead.
void Listener::make_descriptor_room(int listening) {
  spdlog::warn("out of file descriptors: a connection was turned away; raise the limit (ulimit -n) or lower maxclients");
  if (spare_fd_ >= 0) ::close(spare_fd_);
  const int fd = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd >= 0) ::close(fd);
  spare_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

}  // namespace freshet::server
