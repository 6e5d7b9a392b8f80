// A connection to a server that speaks the Redis protocol, for tools and tests: blocking, one thread each, a deadline for
// every call.
//
// Its errors tell what a writer must know: `unavailable` and `deadline_exceeded` mean that the server cannot have the whole
// command (it was never executed); `unknown_outcome` that it was sent and not answered. After an error of a call the
// connection is closed, so that a late answer can never be taken for another command's.
// May use protocol. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "freshet/result.h"
#include "protocol/reply.h"

namespace freshet::client {

using protocol::Reply;

struct Target {
  std::string host;
  std::uint16_t port = 0;
};

// "HOST:PORT", "[IPV6]:PORT", ":PORT" (this machine).
Result<Target> parse_target(std::string_view text);

// Commands that may wait for their answers at a time, and bytes that may wait to be sent.
inline constexpr std::size_t kPipelineMax = 65536;
inline constexpr std::size_t kUnsentBytesMax = 1ull << 30;

class Connection {
 public:
  // Resolving a name does not watch the deadline: give addresses where that matters.
  static Result<Connection> connect(const Target& target, base::Nanoseconds deadline);
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;
  ~Connection();

  // Sends one command and waits for its answer (an error reply is an answer). No pipelined answers may be outstanding.
  Result<Reply> call(std::span<const std::string_view> args, base::Nanoseconds deadline);
  Result<Reply> call(std::initializer_list<std::string_view> args, base::Nanoseconds deadline) {
    return call(std::span(args.begin(), args.size()), deadline);
  }

  // Pipelining: queue many, flush, read as many answers, in their order.
  Result<void> queue(std::span<const std::string_view> args);
  Result<void> queue(std::initializer_list<std::string_view> args) { return queue(std::span(args.begin(), args.size())); }
  // Sends what is queued, taking in answers meanwhile so that neither side can block the other.
  Result<void> flush(base::Nanoseconds deadline);
  Result<Reply> read(base::Nanoseconds deadline);

  // Of the commands queued: those that the server cannot have whole, and those that it may have and has not answered.
  std::size_t unsent() const { return command_ends_.size(); }
  std::size_t unanswered() const { return unanswered_; }

  bool is_open() const { return descriptor_ >= 0; }
  // Gives the socket up (not blocking), for an event loop of the caller's; nothing may be outstanding. The caller closes it.
  int release() { return std::exchange(descriptor_, -1); }
  void close();

 private:
  Connection() = default;
  // Closes, and gives the error in the words of what it means for the commands in flight.
  Error fail(std::string_view what, bool timed_out);
  Result<void> wait(short events, base::Nanoseconds deadline, short& ready);
  Result<void> take_input();
  void note_sent(std::size_t bytes);

  int descriptor_ = -1;
  std::string peer_;
  std::string output_;
  std::size_t output_start_ = 0;
  std::uint64_t bytes_queued_ = 0;  // Since the connection was made, as are the ends of commands below.
  std::uint64_t bytes_sent_ = 0;
  std::deque<std::uint64_t> command_ends_;  // Of the commands not wholly sent.
  std::size_t unanswered_ = 0;
  protocol::ReplyParser parser_;
};

}  // namespace freshet::client
