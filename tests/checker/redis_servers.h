// Servers that the checker's tool is tried on: a real redis-server, and a proxy before it that can be made wrong.
// May use client and protocol.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "client/connection.h"

namespace freshet::test {

// A redis-server of its own, in memory only, ended by the destructor.
class RedisServer {
 public:
  RedisServer();
  ~RedisServer();
  client::Target target() const { return {"127.0.0.1", port_}; }

 private:
  std::uint16_t port_;
  pid_t process_ = -1;
};

// What a proxy does to a command instead of passing it on as it is.
using Args = std::span<const std::string_view>;
class Fault {
 public:
  virtual ~Fault() = default;
  // Answers the command, by `upstream` or not; nothing: cut the client off without an answer.
  virtual std::optional<client::Reply> answer(Args args, client::Connection& upstream) = 0;
};

// Speaks the Redis protocol to its clients, one thread each, and gives their commands to a fault.
class FaultyProxy {
 public:
  FaultyProxy(client::Target upstream, Fault& fault);
  ~FaultyProxy();
  std::string target() const;

 private:
  void accept_all();
  void serve(int peer);

  const client::Target upstream_;
  Fault& fault_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::vector<int> peers_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

// Passes a command on; a connection upstream that broke ends the test.
client::Reply pass_on(Args args, client::Connection& upstream);

}  // namespace freshet::test
