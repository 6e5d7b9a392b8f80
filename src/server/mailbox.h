// How results come back to a worker's sessions from the engine's threads. It outlives the worker: what arrives after the
// worker or the session has gone is dropped. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>

namespace freshet::server {

class Session;
class Worker;

class Mailbox {
 public:
  explicit Mailbox(Worker* worker) : worker_(worker) {}

  // Runs `task` on the worker's loop with the session of that id, if both are still there.
  void post(std::uint64_t session_id, std::function<void(Session&)> task);
  // From here on everything is dropped.
  void close();

 private:
  std::mutex mutex_;
  Worker* worker_;
};

}  // namespace freshet::server
