// How the server listens and what it allows. May use base and protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "freshet/result.h"
#include "protocol/request.h"

namespace freshet::server {

struct Endpoint {
  std::string host;  // An address or a name; empty or "*": every address.
  std::uint16_t port = 0;

  std::string to_text() const;
  // Whether only this machine can reach it.
  bool is_loopback() const;
};

// "HOST:PORT", "[ADDRESS]:PORT" for IPv6, or ":PORT" for every address.
Result<Endpoint> parse_endpoint(std::string_view text);

struct ServerOptions {
  std::string listen = "127.0.0.1:6380";  // Port 0: any free one (Server::port() tells).
  int threads = 0;                        // Event loops; 0: one a core.
  std::string password;                   // Empty: none; then only loopback addresses may be listened on.
  std::string metrics;                    // HOST:PORT for Prometheus; empty: none.
  int clients_max = 10'000;
  int idle_timeout_seconds = 0;           // Closes clients that say nothing for so long; 0: never.
  int tcp_keepalive_seconds = 300;        // 0: none.

  protocol::RequestLimits request;        // Of one command.
  // One client's input and output. A client that passes one of them is closed, and the log says so.
  std::size_t query_buffer_bytes_max = 1024ull * 1024 * 1024;
  std::size_t output_buffer_bytes_max = 1024ull * 1024 * 1024;
  // All clients' large buffers together: the client whose buffer passes it is closed.
  std::size_t client_memory_bytes_max = 2048ull * 1024 * 1024;
};

inline constexpr int kThreadsMax = 256;
inline constexpr int kListenBacklog = 511;
// A client whose replies wait for so many bytes gets no further command executed until it has read some.
inline constexpr std::size_t kOutputPauseBytes = 256 * 1024;
// A client whose commands cannot be executed yet (one waits for storage, or its replies wait to be read) is read ahead of by
// so many bytes, no further.
inline constexpr std::size_t kReadAheadBytes = 256 * 1024;
// What one read takes at most, and what a connection's buffers may keep once they are empty.
inline constexpr std::size_t kReadBytes = 64 * 1024;
// Keys handed to the engine ahead of their commands, at most, each time that a command waits.
inline constexpr std::size_t kPrefetchKeysMax = 256;

}  // namespace freshet::server
