// One session in replication mode on an event loop: commands one after the other, then the copy that START_REPLICATION
// opens. It lives once: when it has closed, its owner makes another. On the loop's thread. May use libpq and net.
#pragma once

#include <string>
#include <string_view>

#include "net/descriptor_watch.h"
#include "net/loop.h"
#include "storage/postgres/libpq.h"

namespace freshet::storage::postgres {

class WalConnection {
 public:
  class Observer {
   public:
    virtual void on_connected() = 0;
    // What became of the command: its rows, its error, or PGRES_COPY_BOTH.
    virtual void on_result(Rows rows) = 0;
    // One message of the copy, valid during the call.
    virtual void on_data(std::string_view data) = 0;
    // The last call, and the only one in which the connection may be destroyed. `state`: the server's SQLSTATE, or empty.
    virtual void on_closed(const std::string& why, const std::string& state) = 0;

   protected:
    ~Observer() = default;
  };

  WalConnection(net::Loop& loop, const ConnectionParameters& parameters, Observer& observer);
  ~WalConnection();
  WalConnection(const WalConnection&) = delete;
  WalConnection& operator=(const WalConnection&) = delete;

  // After on_connected, and after the last command's on_result.
  void command(const std::string& sql);
  // Sends a message of the copy.
  void put(std::string_view data);
  // Ends the session, soon: on_closed follows, nothing else does.
  void close(std::string why, std::string state = {});

  int server_process() const { return PQbackendPID(pq_.get()); }
  // When the server was last heard.
  base::Nanoseconds heard_at() const { return heard_at_; }

 private:
  void step_connect();
  void on_io(int status, int events);
  void read();
  void read_results();
  void read_copy();
  void end_of_copy();
  void flush();
  void want(int events);

  Observer& observer_;
  net::Timer later_;  // The rest of a long turn, or the end.
  net::DescriptorWatch watch_;
  ConnectionPointer pq_;
  bool connected_ = false;
  bool copying_ = false;
  bool paused_ = false;   // The rest of what was read waits for the next turn of the loop.
  bool closing_ = false;
  Rows outcome_;
  std::string lost_;      // The connection broke; what had come before is handed on first.
  base::Nanoseconds heard_at_ = 0;
};

}  // namespace freshet::storage::postgres
