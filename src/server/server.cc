// Start, stop, and what the workers share.
#include "server/server.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "base/random.h"
#include "server/listener.h"
#include "server/metrics.h"

namespace freshet::server {
namespace {

std::string random_hex() {
  return fmt::format("{:016x}{:016x}{:08x}", base::entropy(), base::entropy(), base::entropy() >> 32);
}

int thread_count(int asked) {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(asked > 0 ? asked : cores, 1, kThreadsMax);
}

// Descriptors beside the clients': the storage's files and connections, logs, loops.
constexpr rlim_t kOtherDescriptors = 1024;

// Raises the process's limit of descriptors to what the clients may need, as far as the system allows.
void make_descriptor_room(int clients_max) {
  rlimit limit{};
  const rlim_t needed = static_cast<rlim_t>(clients_max) + kOtherDescriptors;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return;
  limit.rlim_cur = std::min(limit.rlim_max, needed);
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == needed) return;
  spdlog::warn("{} clients need {} file descriptors, {} are allowed; raise the limit (ulimit -n) or lower maxclients",
               clients_max, needed, limit.rlim_cur);
}

// CLIENT LIST's lines as the workers bring them.
struct ClientGathering {
  std::mutex mutex;
  std::vector<std::uint64_t> ids;
  std::map<std::uint64_t, std::string> lines;

  void add(const Worker& worker) {
    const auto now = base::now();
    const std::lock_guard lock(mutex);
    for (const auto& [id, session] : worker.sessions()) {
      if (ids.empty() || std::find(ids.begin(), ids.end(), id) != ids.end()) lines.emplace(id, session->describe(now));
    }
  }
  // Once every worker has brought its own.
  std::string text() const {
    std::string text;
    for (const auto& [id, line] : lines) text += line + "\n";
    return text;
  }
};

}  // namespace

Server::Server(ServerOptions options, const CommandTable& commands, cache::Engine& engine, Settings& settings)
    : options_(std::move(options)),
      commands_(commands),
      engine_(engine),
      settings_(settings),
      started_at_(base::now()),
      run_id_(random_hex()),
      clients_max_(options_.clients_max),
      idle_timeout_seconds_(options_.idle_timeout_seconds) {}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, const CommandTable& commands, cache::Engine& engine,
                                              Settings& settings) {
  std::unique_ptr<Server> server(new Server(std::move(options), commands, engine, settings));
  if (auto listening = server->listen(); !listening) return listening.error();
  return server;
}

Result<void> Server::listen() {
  auto endpoint = parse_endpoint(options_.listen);
  if (!endpoint) return endpoint.error();
  endpoint_ = *std::move(endpoint);
  make_descriptor_room(options_.clients_max);
  const int threads = thread_count(options_.threads);
  tracking_ = std::make_unique<Tracking>(static_cast<std::size_t>(threads),
                                         [this](std::size_t worker) { workers_[worker]->announce_invalidations(); });
  for (int i = 0; i < threads; ++i) workers_.push_back(std::make_unique<Worker>(*this, i));
  if (!options_.metrics.empty()) {
    auto metrics = Metrics::start(*this, options_.metrics);
    if (!metrics) return metrics.error();
    metrics_ = *std::move(metrics);
  }
  // Before the first client: a write that is under way when one begins to track must be told to it too.
  engine_.watch(tracking_.get());
  auto listener = Listener::open(*this, workers_.front()->loop(), endpoint_, options_.password.empty());
  if (!listener) return listener.error();
  listener_ = *std::move(listener);
  return {};
}

Server::~Server() {
  metrics_.reset();
  listener_.reset();
  if (tracking_) engine_.watch(nullptr);
  // Every worker is quiet before the first one goes: commands of one may ask the others.
  for (auto& worker : workers_) worker->stop();
}

void Server::welcome(int fd, ClientInfo info) {
  if (clients_ >= clients_max_) {
    static constexpr std::string_view kFull = "-ERR max number of clients reached\r\n";
    [[maybe_unused]] const auto sent = ::send(fd, kFull.data(), kFull.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::close(fd);
    workers_.front()->counters().connections_rejected.add();
    return;
  }
  ++clients_;
  info.id = next_client_id_++;
  worker_of(info.id).adopt(fd, std::move(info));
}

// Takes as long for a wrong password as for the right one; how long only tells the length that the client sent itself.
bool Server::password_matches(std::string_view password) const {
  const std::string& right = options_.password;
  if (right.empty()) return false;
  std::size_t difference = password.size() ^ right.size();
  for (std::size_t i = 0; i < password.size(); ++i) {
    difference |= static_cast<unsigned char>(password[i] ^ right[i % right.size()]);
  }
  return difference == 0;
}

std::size_t Server::account_client_memory(std::ptrdiff_t grown) {
  return client_memory_bytes_ += static_cast<std::size_t>(grown);
}

std::uint16_t Server::metrics_port() const { return metrics_ ? metrics_->port() : 0; }

void Server::on_every_worker(std::function<void(Worker&)> task, std::function<void()> done) {
  struct Round {
    std::function<void(Worker&)> task;
    std::function<void()> done;
    std::atomic<std::size_t> missing;
  };
  const auto round = std::make_shared<Round>(std::move(task), std::move(done), workers_.size());
  for (auto& worker : workers_) {
    worker->loop().post([round, each = worker.get()] {
      round->task(*each);
      if (--round->missing == 0) round->done();
    });
  }
}

void Server::list_clients(std::vector<std::uint64_t> ids, storage::Callback<std::string> done) {
  auto gathering = std::make_shared<ClientGathering>();
  gathering->ids = std::move(ids);
  on_every_worker([gathering](Worker& worker) { gathering->add(worker); },
                  [gathering, done = std::move(done)] { done(gathering->text()); });
}

void Server::join_recording(const std::shared_ptr<Recording>& recording, storage::Callback<bool> done) {
  on_every_worker([recording](Worker& worker) { worker.recorder().join(recording); },
                  [done = std::move(done)] { done(true); });
}

void Server::end_recording(std::uint64_t client) {
  recordings_.end(client);
  on_every_worker([client](Worker& worker) { worker.recorder().leave(client); }, [] {});
}

void Server::reset_counters(storage::Callback<bool> done) {
  on_every_worker([](Worker& worker) { worker.counters().reset(); }, [done = std::move(done)] { done(true); });
}

ServerTotals Server::totals() const {
  ServerTotals totals;
  totals.commands.resize(commands_.all().size());
  for (const auto& worker : workers_) {
    const WorkerCounters& counters = worker->counters();
    for (std::size_t i = 0; i < totals.commands.size(); ++i) {
      auto& sum = totals.commands[i];
      sum.calls += counters.commands[i].calls.get();
      sum.rejected += counters.commands[i].rejected.get();
      sum.failed += counters.commands[i].failed.get();
    }
    totals.unknown_commands += counters.unknown_commands.get();
    totals.connections += counters.connections.get();
    totals.connections_rejected += counters.connections_rejected.get();
    totals.protocol_errors += counters.protocol_errors.get();
    totals.limit_closes += counters.limit_closes.get();
    totals.input_bytes += counters.input_bytes.get();
    totals.output_bytes += counters.output_bytes.get();
    totals.keyspace_hits += counters.keyspace_hits.get();
    totals.keyspace_misses += counters.keyspace_misses.get();
    totals.recorded_accesses += counters.recorded_accesses.get();
    totals.recording_dropped += counters.recording_dropped.get();
  }
  for (const auto& sum : totals.commands) {
    totals.calls += sum.calls;
    totals.failed += sum.failed;
    totals.rejected += sum.rejected;
  }
  return totals;
}

}  // namespace freshet::server
