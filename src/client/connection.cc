// Sockets, poll(2) and the bookkeeping of what has been sent.
#include "client/connection.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <utility>

namespace freshet::client {
namespace {

constexpr std::size_t kReceiveBytes = 64 * 1024;
// A pause that poll(2) can hold; longer deadlines poll again.
constexpr base::Nanoseconds kPollMax = 60 * base::kSecond;
constexpr std::string_view kRemedy = "see that the server runs and is reachable";

int poll_ms(base::Nanoseconds deadline) {
  const base::Nanoseconds left = std::clamp<base::Nanoseconds>(deadline - base::now(), 0, kPollMax);
  return static_cast<int>((left + base::kMillisecond - 1) / base::kMillisecond);
}

void append_count(std::string& out, char type, std::size_t count) {
  out.push_back(type);
  out += std::to_string(count);
  out += "\r\n";
}

struct AddressesFree {
  void operator()(addrinfo* addresses) const { freeaddrinfo(addresses); }
};
using Addresses = std::unique_ptr<addrinfo, AddressesFree>;

Result<Addresses> resolve(const Target& target) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int status = getaddrinfo(target.host.c_str(), std::to_string(target.port).c_str(), &hints, &found);
  if (status != 0) {
    return Error::of(ErrorCode::unavailable, fmt::format("cannot resolve {}: {}", target.host, gai_strerror(status)),
                     "give an address, or a name that resolves");
  }
  return Addresses(found);
}

// A connected socket, or errno as a negative number.
int connect_socket(const addrinfo& address, base::Nanoseconds deadline) {
  const int descriptor = socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  int failure = ::connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (failure == EINPROGRESS) {
    pollfd wanted{descriptor, POLLOUT, 0};
    int count = 0;
    do {
      count = poll(&wanted, 1, poll_ms(deadline));
    } while ((count < 0 && errno == EINTR) || (count == 0 && base::now() < deadline));
    socklen_t size = sizeof failure;
    if (count == 0) failure = ETIMEDOUT;
    else getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size);
  }
  if (failure != 0) {
    ::close(descriptor);
    return -failure;
  }
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return descriptor;
}

}  // namespace

Result<Target> parse_target(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const Error error = Error::of(ErrorCode::invalid_argument, fmt::format("'{}' is not HOST:PORT", text),
                                "write for example 127.0.0.1:6380 or [::1]:6380");
  if (colon == text.npos) return error;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != host.npos) {
    return error;
  }
  Target target{std::string(host.empty() ? "127.0.0.1" : host), 0};
  const auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), target.port);
  if (code != std::errc() || end != port.data() + port.size() || target.port == 0) return error;
  return target;
}

Result<Connection> Connection::connect(const Target& target, base::Nanoseconds deadline) {
  Result<Addresses> addresses = resolve(target);
  if (!addresses) return addresses.error();
  int failure = ECONNREFUSED;
  for (const addrinfo* address = addresses->get(); address != nullptr; address = address->ai_next) {
    const int descriptor = connect_socket(*address, deadline);
    if (descriptor >= 0) {
      Connection connection;
      connection.descriptor_ = descriptor;
      connection.peer_ = fmt::format("{}:{}", target.host, target.port);
      return connection;
    }
    failure = -descriptor;
  }
  return Error::of(failure == ETIMEDOUT ? ErrorCode::deadline_exceeded : ErrorCode::unavailable,
                   fmt::format("cannot connect to {}:{}: {}", target.host, target.port, std::strerror(failure)),
                   std::string(kRemedy));
}

Connection::Connection(Connection&& other) noexcept { *this = std::move(other); }

Connection& Connection::operator=(Connection&& other) noexcept {
  if (this == &other) return *this;
  close();
  descriptor_ = std::exchange(other.descriptor_, -1);
  peer_ = std::move(other.peer_);
  output_ = std::move(other.output_);
  output_start_ = other.output_start_;
  bytes_queued_ = other.bytes_queued_;
  bytes_sent_ = other.bytes_sent_;
  command_ends_ = std::move(other.command_ends_);
  unanswered_ = other.unanswered_;
  parser_ = std::move(other.parser_);
  return *this;
}

Connection::~Connection() { close(); }

void Connection::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

Result<Reply> Connection::call(std::span<const std::string_view> args, base::Nanoseconds deadline) {
  if (is_open() && (unanswered_ > 0 || unsent() > 0)) {
    return Error::of(ErrorCode::invalid_argument, "call() with pipelined commands outstanding", "read their answers first");
  }
  if (auto queued = queue(args); !queued) return queued.error();
  if (auto flushed = flush(deadline); !flushed) return flushed.error();
  return read(deadline);
}

Result<void> Connection::queue(std::span<const std::string_view> args) {
  if (!is_open()) return Error::of(ErrorCode::unavailable, "the connection is closed", "connect again");
  std::size_t bytes = 0;
  for (const std::string_view arg : args) bytes += arg.size();
  if (unsent() + unanswered_ >= kPipelineMax || output_.size() - output_start_ + bytes > kUnsentBytesMax) {
    return Error::of(ErrorCode::busy, "too much is waiting on this connection", "read answers before queueing more");
  }
  const std::size_t before = output_.size();
  append_count(output_, '*', args.size());
  for (const std::string_view arg : args) {
    append_count(output_, '$', arg.size());
    output_ += arg;
    output_ += "\r\n";
  }
  bytes_queued_ += output_.size() - before;
  command_ends_.push_back(bytes_queued_);
  return {};
}

Result<void> Connection::wait(short events, base::Nanoseconds deadline, short& ready) {
  while (true) {
    pollfd wanted{descriptor_, events, 0};
    const int count = poll(&wanted, 1, poll_ms(deadline));
    if (count > 0) {
      ready = wanted.revents;
      return {};
    }
    if (count < 0 && errno != EINTR) return fail(std::strerror(errno), false);
    if (count == 0 && base::now() >= deadline) return fail("the deadline passed", true);
  }
}

Result<void> Connection::flush(base::Nanoseconds deadline) {
  if (!is_open()) return Error::of(ErrorCode::unavailable, "the connection is closed", "connect again");
  while (output_start_ < output_.size()) {
    const ssize_t sent = send(descriptor_, output_.data() + output_start_, output_.size() - output_start_, MSG_NOSIGNAL);
    if (sent > 0) {
      note_sent(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return fail(std::strerror(errno), false);
    short ready = 0;
    if (auto waited = wait(POLLOUT | POLLIN, deadline, ready); !waited) return waited.error();
    if ((ready & POLLIN) != 0) {
      if (auto taken = take_input(); !taken) return taken.error();
    }
  }
  output_.clear();
  output_start_ = 0;
  return {};
}

void Connection::note_sent(std::size_t bytes) {
  output_start_ += bytes;
  bytes_sent_ += bytes;
  while (!command_ends_.empty() && command_ends_.front() <= bytes_sent_) {
    command_ends_.pop_front();
    ++unanswered_;
  }
}

Result<void> Connection::take_input() {
  std::array<char, kReceiveBytes> buffer;
  const ssize_t received = recv(descriptor_, buffer.data(), buffer.size(), 0);
  if (received > 0) {
    parser_.feed({buffer.data(), static_cast<std::size_t>(received)});
    return {};
  }
  if (received == 0) return fail("the server closed the connection", false);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {};
  return fail(std::strerror(errno), false);
}

Result<Reply> Connection::read(base::Nanoseconds deadline) {
  if (!is_open()) return Error::of(ErrorCode::unavailable, "the connection is closed", "connect again");
  if (unanswered_ == 0) return Error::of(ErrorCode::invalid_argument, "no answer is outstanding", "send a command first");
  while (true) {
    Result<std::optional<Reply>> reply = parser_.next();
    if (!reply) return fail(reply.error().what, false);
    if (reply->has_value() && !(*reply)->is(protocol::ReplyType::push)) {
      --unanswered_;
      return std::move(**reply);
    }
    if (reply->has_value()) continue;
    short ready = 0;
    if (auto waited = wait(POLLIN, deadline, ready); !waited) return waited.error();
    if (auto taken = take_input(); !taken) return taken.error();
  }
}

Error Connection::fail(std::string_view what, bool timed_out) {
  close();
  if (unanswered_ > 0) {
    return Error::of(ErrorCode::unknown_outcome, fmt::format("{}: sent, and no answer: {}", peer_, what),
                     "read the key to see whether it was applied");
  }
  return Error::of(timed_out ? ErrorCode::deadline_exceeded : ErrorCode::unavailable,
                   fmt::format("{}: not sent: {}", peer_, what), std::string(kRemedy));
}

}  // namespace freshet::client
