// One event loop and its sessions. May use cache, net and protocol.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "net/loop.h"
#include "protocol/buffer.h"
#include "protocol/request.h"
#include "server/counters.h"
#include "server/mailbox.h"
#include "server/recording.h"
#include "server/request_batch.h"
#include "server/session.h"

namespace freshet::server {

class Server;

class Worker {
 public:
  Worker(Server& server, int index);
  // Joins the thread. Must have been stopped.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Closes every session; no command runs on this worker from here on. From any other thread.
  void stop();
  // From any thread: a session for the socket begins on this worker's loop.
  void adopt(int fd, ClientInfo info);
  // From any thread: the tracking table has something for this worker's clients.
  void announce_invalidations();

  Server& server() { return server_; }
  net::Loop& loop() { return loop_; }
  WorkerCounters& counters() { return counters_; }
  CommandCounters& counters_of(const Command& command);
  const std::shared_ptr<Mailbox>& mailbox() { return mailbox_; }
  AccessRecorder& recorder() { return recorder_; }

  // On the loop's thread.
  Session* find(std::uint64_t id);
  void forget(std::uint64_t id) { sessions_.erase(id); }
  const std::unordered_map<std::uint64_t, Session*>& sessions() const { return sessions_; }
  // While a session executes a step, an answer that the engine gives before the step returns is kept for it instead of going
  // through the loop.
  void set_executing(const Session* session) { executing_ = session; }
  bool keep_early(std::uint64_t session_id, std::function<void(Session&)>& answer);
  std::function<void(Session&)> take_early() { return std::exchange(early_, nullptr); }
  // Parses commands ahead of their turn; of no session in particular.
  protocol::RequestParser& ahead() { return ahead_; }
  // Of the session that is executing.
  RequestBatch& batch() { return batch_; }
  // Buffers lent to the session that is running: an idle connection holds none.
  void lend(protocol::Buffer& in, protocol::Buffer& out);
  void take_back(protocol::Buffer& in, protocol::Buffer& out);

 private:
  void look_for_idle_sessions();
  // To a connection that records, wherever it lives.
  void deliver(std::uint64_t client, RecordingBatch batch);
  static void recycle(protocol::Buffer& buffer, protocol::Buffer& spare);

  Server& server_;
  const int index_;
  WorkerCounters counters_;
  AccessRecorder recorder_;
  std::shared_ptr<Mailbox> mailbox_;
  std::unordered_map<std::uint64_t, Session*> sessions_;
  const Session* executing_ = nullptr;
  std::function<void(Session&)> early_;
  protocol::RequestParser ahead_;
  RequestBatch batch_;
  protocol::Buffer spare_in_;
  protocol::Buffer spare_out_;
  std::unique_ptr<net::Timer> idle_timer_;
  net::Loop loop_;  // Last: its thread uses what stands above.
};

}  // namespace freshet::server
