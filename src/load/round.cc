// Threads, their sockets, and the window that they share.
#include "load/round.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "base/random.h"
#include "load/worker.h"

namespace freshet::load {
namespace {

// An eventfd: readable from raise() on.
class Event {
 public:
  Event() : descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Event() { ::close(descriptor_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  int descriptor() const { return descriptor_; }
  void raise() const { eventfd_write(descriptor_, 1); }

 private:
  const int descriptor_;
};

class Round {
 public:
  Round(const LoadTarget& target, const RoundPlan& plan) : target_(target), plan_(plan) {}

  // Connects everything before anything is sent.
  Result<void> prepare() {
    std::vector<int> sockets;
    for (int i = 0; i < plan_.shape.connections; ++i) {
      auto connected = connect(target_);
      if (!connected) {
        for (const int socket : sockets) ::close(socket);
        return std::move(connected).error();
      }
      sockets.push_back(*connected);
    }
    window_.start = base::now() + plan_.warm_up;
    window_.end = base::deadline_after(window_.start, plan_.duration);
    share_out(sockets);
    return {};
  }

  Result<Tally> run() {
    std::atomic<std::size_t> running{workers_.size()};
    std::vector<std::thread> threads;
    for (auto& worker : workers_) {
      threads.emplace_back([&] {
        worker->run();
        if (--running == 0) done_.raise();
      });
    }
    const bool early = wait_until(window_.start, plan_.interrupt, done_.descriptor());
    const auto cpu_before = target_cpu_s();
    if (!early) wait_until(window_.end, plan_.interrupt, done_.descriptor());
    const auto end = std::min(window_.end.load(), base::now());
    window_.end = end;
    const auto cpu_after = target_cpu_s();
    wake_.raise();
    for (auto& thread : threads) thread.join();

    Tally tally;
    for (const auto& worker : workers_) tally.add_parallel(worker->tally());
    tally.seconds = seconds_of(std::max<base::Nanoseconds>(end - window_.start, 0));
    if (cpu_before && cpu_after) tally.target_cpu_s = *cpu_after - *cpu_before;
    if (tally.lost_connections < static_cast<std::uint64_t>(plan_.shape.connections)) return tally;
    return Error::of(ErrorCode::unavailable,
                     fmt::format("{} ended every connection: {}", target_.name, tally.error_texts.front()),
                     "see that it still runs, and what it logged");
  }

 private:
  void share_out(const std::vector<int>& sockets) {
    const auto threads = static_cast<std::size_t>(std::min(plan_.shape.threads, plan_.shape.connections));
    base::Random random(plan_.seed);
    for (std::size_t i = 0; i < threads; ++i) {
      const auto first = sockets.size() * i / threads, last = sockets.size() * (i + 1) / threads;
      std::optional<Schedule> schedule;
      const double rate = plan_.shape.rate * static_cast<double>(last - first) / static_cast<double>(sockets.size());
      if (rate > 0) schedule.emplace(rate, plan_.shape.arrivals, base::now(), random());
      workers_.push_back(std::make_unique<Worker>(
          std::span(sockets).subspan(first, last - first), plan_.shape.pipeline,
          plan_.requests(target_.protocol, static_cast<int>(i), static_cast<int>(threads)),
          skimmer_for(target_.protocol, plan_.batch), schedule, window_, wake_.descriptor()));
    }
  }

  // That its process has taken so far, if that can be known.
  std::optional<double> target_cpu_s() const {
    if (!target_.process) return std::nullopt;
    const auto time = target_.process->cpu_time();
    return time ? std::optional(seconds_of(*time)) : std::nullopt;
  }

  const LoadTarget& target_;
  const RoundPlan& plan_;
  Window window_;
  const Event wake_;
  const Event done_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

// Whether the socket's peer is a memcached: it tells its version in a line.
Result<void> greet_memcached(int socket, const LoadTarget& target, base::Nanoseconds deadline) {
  std::string answer;
  const auto& request = memcached::kVersionRequest;
  bool fine = send(socket, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size());
  constexpr auto kAnswerBytesMax = memcached::Skimmer::kLineBytesMax;
  while (fine && !answer.ends_with('\n') && answer.size() < kAnswerBytesMax && wait_until(deadline, socket)) {
    std::array<char, 256> piece;
    const auto received = recv(socket, piece.data(), piece.size(), 0);
    fine = received > 0;
    if (fine) answer.append(piece.data(), static_cast<std::size_t>(received));
  }
  if (answer.starts_with(memcached::kVersionReply) && answer.ends_with('\n')) return {};
  return Error::of(ErrorCode::unavailable, fmt::format("{} does not tell its version as memcached does", target.name),
                   "see that a memcached listens there, and that it takes the text protocol");
}

}  // namespace

Result<int> connect(const LoadTarget& target) {
  const auto deadline = base::deadline_after(base::now(), kConnectTime);
  auto connection = client::Connection::connect(target.address, deadline);
  if (!connection) return connection.error();
  if (target.protocol == Protocol::memcached) {
    const int socket = connection->release();
    auto greeted = greet_memcached(socket, target, deadline);
    if (greeted) return socket;
    ::close(socket);
    return std::move(greeted).error();
  }
  if (!target.password.empty()) {
    const auto answer = connection->call({"AUTH", target.password}, deadline);
    if (!answer) return answer.error();
    if (answer->is_error()) {
      return Error::of(ErrorCode::invalid_argument, fmt::format("{} refuses the password: {}", target.name, answer->text));
    }
  }
  const auto answer = connection->call({"PING"}, deadline);
  if (!answer) return answer.error();
  if (answer->is_error()) {
    return Error::of(ErrorCode::unavailable, fmt::format("{} answers PING with \"{}\"", target.name, answer->text),
                     answer->text.starts_with("NOAUTH") ? "give its password" : "wait until it is ready");
  }
  return connection->release();
}

Result<Tally> run_round(const LoadTarget& target, const RoundPlan& plan) {
  Round round(target, plan);
  if (auto prepared = round.prepare(); !prepared) return std::move(prepared).error();
  return round.run();
}

bool wait_until(base::Nanoseconds time, int first, int second) {
  pollfd descriptors[] = {{first, POLLIN, 0}, {second, POLLIN, 0}};
  while (true) {
    const auto left = std::max<base::Nanoseconds>(time - base::now(), 0);
    const timespec timeout{left / base::kSecond, left % base::kSecond};
    const int ready = ppoll(descriptors, 2, time == base::kForever ? nullptr : &timeout, nullptr);
    if (ready > 0) return true;
    if (ready == 0 && base::now() >= time) return false;
  }
}

bool is_interrupted(int descriptor) {
  pollfd wanted{descriptor, POLLIN, 0};
  return poll(&wanted, 1, 0) > 0;
}

}  // namespace freshet::load
