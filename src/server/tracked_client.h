// A connection's part of client-side caching: what it asked for with CLIENT TRACKING, and what must be told only after the
// reply that is on its way. Belongs to its session's loop. May use protocol.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "protocol/reply_writer.h"
#include "server/tracking.h"

namespace freshet::server {

// The channel on which a RESP2 connection hears what was redirected to it.
inline constexpr std::string_view kInvalidateChannel = "__redis__:invalidate";

struct TrackingOptions {
  bool broadcast = false;
  bool opt_in = false;
  bool opt_out = false;
  bool no_loop = false;
  std::uint64_t redirect = 0;  // Another connection's id; 0: none.
  std::vector<std::string> prefixes;
};

class TrackedClient {
 public:
  explicit TrackedClient(TrackingOptions asked) : options(std::move(asked)) {}

  TrackingOptions options;
  bool redirect_broken = false;
  // CLIENT CACHING, for the next command.
  enum class Next : std::uint8_t { as_usual, yes, no } next = Next::as_usual;

  // Whether the keys of the read at hand are to be remembered.
  bool remembers() const;

  // The command at hand reads the key.
  void reads(std::string_view key) { read_.emplace_back(key); }
  // The command has been executed, or waits: then its reply may hold an older value than what is told meanwhile.
  void step_taken(bool waits, bool is_client_command);
  bool expects() const { return !expected_.empty(); }
  // What may be told at once; the rest is kept until its reply has been written.
  Invalidation hold_back(Invalidation told);
  // The reply has been written: what was kept.
  Invalidation release();

 private:
  std::vector<std::string> read_;        // By the command at hand.
  std::unordered_set<std::string> expected_;  // Keys whose reply is still to come.
  Invalidation held_;
};

// As a push, or for a RESP2 connection as a message of the channel.
void write_invalidation(protocol::ReplyWriter& reply, const Invalidation& told);

}  // namespace freshet::server
