// Read levels as commands and connections ask for them: the words, and what a connection keeps. May use cache and protocol.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "cache/engine.h"
#include "consistency/session_token.h"

namespace freshet::server {

struct Context;

// How fresh a connection's reads are, unless a command says otherwise. In a session it keeps the newest position that the
// connection has seen, so that its reads never step back.
class ConnectionLevel {
 public:
  const cache::ReadOptions& options() const { return options_; }
  // The token of Level::session has been parsed before.
  void set(cache::ReadOptions options);
  // A reply held something of that position, or the connection was given a token: later reads include it. Nothing outside
  // of a session.
  void saw(storage::Lsn position);
  void saw(const consistency::SessionToken& token);

 private:
  bool in_session() const { return options_.level == storage::Level::session; }

  cache::ReadOptions options_;
  consistency::SessionToken token_;  // What options_.token says.
};

// Reads LINEARIZABLE | SESSION [token] | BOUNDED milliseconds | SNAPSHOT | ANY | DEFAULT from the command's arguments, from
// `at` on, which ends behind it. A session without a token has an empty one. False after an error reply.
bool read_level(Context& context, std::size_t& at, cache::ReadOptions& options);

// The same words.
std::string level_text(const cache::ReadOptions& options);

}  // namespace freshet::server
