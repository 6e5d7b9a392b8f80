// The listening sockets. Accepts on one loop; the server decides what becomes of a connection. May use net.
#pragma once

#include <memory>
#include <vector>

#include "net/descriptor_watch.h"
#include "net/loop.h"
#include "server/options.h"
#include "server/session.h"

namespace freshet::server {

class Server;

class Listener {
 public:
  // Binds every address of the endpoint; `endpoint.port` becomes the port in use. `loopback_only`: an address that other
  // machines can reach is an error.
  static Result<std::unique_ptr<Listener>> open(Server& server, net::Loop& loop, Endpoint& endpoint, bool loopback_only);
  // Closes the sockets. From any thread but the loop's.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

 private:
  struct Socket {
    int fd;
    std::unique_ptr<net::DescriptorWatch> watch;  // Null until it is listened on.
  };
  Listener(Server& server, net::Loop& loop);
  Result<void> bind_all(Endpoint& endpoint, bool loopback_only);
  void watch();
  void accept_some(int listening);
  void make_descriptor_room(int listening);

  Server& server_;
  net::Loop& loop_;
  std::vector<Socket> sockets_;
  int spare_fd_;  // Given up for a moment when the process has no descriptor left, to turn a client away.
};

}  // namespace freshet::server
