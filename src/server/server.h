// The server: listens, hands connections to its workers, and knows what they share. May use cache, net and protocol.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cache/engine.h"
#include "server/options.h"
#include "server/recording.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/tracking.h"
#include "server/worker.h"

namespace freshet::server {

class Listener;
class Metrics;

// What the workers' counters come to together.
struct ServerTotals {
  struct PerCommand {
    std::uint64_t calls = 0, rejected = 0, failed = 0;
  };
  std::vector<PerCommand> commands;  // By their index in the table.
  std::uint64_t calls = 0, failed = 0, rejected = 0, unknown_commands = 0;
  std::uint64_t connections = 0, connections_rejected = 0, protocol_errors = 0, limit_closes = 0;
  std::uint64_t input_bytes = 0, output_bytes = 0, keyspace_hits = 0, keyspace_misses = 0;
  std::uint64_t recorded_accesses = 0, recording_dropped = 0;
};

class Server {
 public:
  // Listens and serves; returns once clients can connect. The commands, the engine and the settings must outlive the server.
  // Refuses to listen beyond loopback without a password.
  static Result<std::unique_ptr<Server>> start(ServerOptions options, const CommandTable& commands, cache::Engine& engine,
                                               Settings& settings);
  // Stops listening, closes every connection, and joins the threads. Results that the engine still owes are dropped.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const { return endpoint_.port; }
  std::uint16_t metrics_port() const;
  const Endpoint& endpoint() const { return endpoint_; }
  const ServerOptions& options() const { return options_; }

  // May be changed while running, from any thread.
  void set_clients_max(int clients) { clients_max_ = clients; }
  void set_idle_timeout(int seconds) { idle_timeout_seconds_ = seconds; }

  // For sessions, workers and metrics.
  const CommandTable& commands() const { return commands_; }
  cache::Engine& engine() { return engine_; }
  Settings& settings() { return settings_; }
  const std::vector<std::unique_ptr<Worker>>& workers() const { return workers_; }
  Tracking& tracking() { return *tracking_; }
  Recordings& recordings() { return recordings_; }
  std::size_t recording_count() const { return recordings_.count(); }
  // Where a client's session lives, if it does.
  Worker& worker_of(std::uint64_t client) { return *workers_[server::worker_of(client, workers_.size())]; }
  int clients_max() const { return clients_max_; }
  int idle_timeout_seconds() const { return idle_timeout_seconds_; }
  int clients() const { return clients_; }
  base::Nanoseconds started_at() const { return started_at_; }
  const std::string& run_id() const { return run_id_; }
  bool password_matches(std::string_view password) const;
  // Adds `grown` (which may be negative) to what all clients' large buffers hold, and returns the sum.
  std::size_t account_client_memory(std::ptrdiff_t grown);
  std::size_t client_memory_bytes() const { return client_memory_bytes_; }
  // Called by a session that has closed.
  void client_left() { --clients_; }
  // CLIENT LIST's lines, gathered from every worker; of the clients in `ids` only, if that is not empty.
  void list_clients(std::vector<std::uint64_t> ids, storage::Callback<std::string> done);
  // Every worker collects for the recording from when `done` is called; or, after its end, no longer does.
  void join_recording(const std::shared_ptr<Recording>& recording, storage::Callback<bool> done);
  void end_recording(std::uint64_t client);
  // Every worker sets its own counters to 0; `done` is called once all have.
  void reset_counters(storage::Callback<bool> done);
  ServerTotals totals() const;

 private:
  friend class Listener;
  Server(ServerOptions options, const CommandTable& commands, cache::Engine& engine, Settings& settings);
  Result<void> listen();
  // A connection was accepted; runs on the first worker's loop.
  void welcome(int fd, ClientInfo info);
  // Runs `task` on every worker's loop; the last one to have run it calls `done`.
  void on_every_worker(std::function<void(Worker&)> task, std::function<void()> done);

  const ServerOptions options_;
  const CommandTable& commands_;
  cache::Engine& engine_;
  Settings& settings_;
  const base::Nanoseconds started_at_;
  const std::string run_id_;
  Endpoint endpoint_;  // As listened on: the port is never 0.
  std::atomic<int> clients_max_;
  std::atomic<int> idle_timeout_seconds_;
  std::atomic<int> clients_{0};
  std::atomic<std::size_t> client_memory_bytes_{0};
  std::atomic<std::uint64_t> next_client_id_{1};
  std::unique_ptr<Tracking> tracking_;
  Recordings recordings_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Metrics> metrics_;
};

}  // namespace freshet::server
