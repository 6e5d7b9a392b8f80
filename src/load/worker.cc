// The loop: send what may be sent, wait, take answers.
#include "load/worker.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace freshet::load {
namespace {

constexpr std::uint32_t kWakeIndex = UINT32_MAX;

base::Nanoseconds thread_cpu() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * base::kSecond + t.tv_nsec;
}

}  // namespace

AnySkimmer skimmer_for(Protocol protocol, std::uint32_t batch) {
  if (protocol == Protocol::memcached) return memcached::Skimmer(batch);
  return ReplySkimmer();
}

Worker::Worker(std::span<const int> sockets, std::uint32_t pipeline, std::unique_ptr<RequestSource> requests,
               const AnySkimmer& skimmer, std::optional<Schedule> schedule, const Window& window, int wake)
    : pipeline_(pipeline),
      requests_(std::move(requests)),
      schedule_(std::move(schedule)),
      window_(window),
      wake_(wake),
      poll_(epoll_create1(EPOLL_CLOEXEC)),
      input_(kReceiveBytes),
      open_(sockets.size()) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = kWakeIndex;
  epoll_ctl(poll_, EPOLL_CTL_ADD, wake_, &event);
  connections_.reserve(sockets.size());
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    connections_.emplace_back(skimmer);
    connections_[i].socket = sockets[i];
    connections_[i].runs.resize(schedule_ ? pipeline : 1);
    event.data.u32 = static_cast<std::uint32_t>(i);
    epoll_ctl(poll_, EPOLL_CTL_ADD, sockets[i], &event);
  }
}

Worker::~Worker() {
  for (const Connection& connection : connections_) {
    if (connection.socket >= 0) ::close(connection.socket);
  }
  ::close(poll_);
}

void Worker::run() {
  prctl(PR_SET_TIMERSLACK, 1);  // Sleep as long as asked, and no fifty microseconds more.
  auto now = base::now();
  if (!schedule_) {
    for (Connection& connection : connections_) send_pipeline(connection, now);
  }
  for (;; now = base::now()) {
    if (schedule_ && !all_sent_) send_due(now);
    all_sent_ = draining_;
    if (over(now)) break;
    wait(now);
  }
  mark_cpu(now, now);
  tally_.generator_cpu_s = seconds_of(cpu_at_end_ - cpu_at_start_);
  count_unanswered();
  count_unsent();
}

bool Worker::over(base::Nanoseconds now) {
  const auto end = window_.end.load();
  mark_cpu(now, end);
  draining_ = now >= end;
  if (open_ == 0) return true;
  if (!draining_) return exhausted_ && in_flight_ == 0;
  return in_flight_ == 0 || now >= base::deadline_after(end, kDrainMax);
}

void Worker::mark_cpu(base::Nanoseconds now, base::Nanoseconds end) {
  if (cpu_at_start_ < 0 && now >= window_.start) cpu_at_start_ = thread_cpu();
  if (cpu_at_end_ < 0 && now >= end) cpu_at_end_ = cpu_at_start_ < 0 ? (cpu_at_start_ = thread_cpu()) : thread_cpu();
}

void Worker::wait(base::Nanoseconds now) {
  auto until = window_.end.load();
  if (draining_) until = base::deadline_after(until, kDrainMax);
  else if (schedule_ && !no_room_ && !exhausted_) until = std::min(until, schedule_->due());
  const auto left = std::max<base::Nanoseconds>(until - now, 0);
  const timespec timeout{left / base::kSecond, left % base::kSecond};
  std::array<epoll_event, kEventsMax> events;
  const int count = epoll_pwait2(poll_, events.data(), kEventsMax, until == base::kForever ? nullptr : &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    if (event.data.u32 == kWakeIndex) epoll_ctl(poll_, EPOLL_CTL_DEL, wake_, nullptr);
    else handle(event.data.u32, event.events);
  }
}

void Worker::handle(std::uint32_t index, std::uint32_t events) {
  Connection& connection = connections_[index];
  if (connection.socket >= 0 && (events & EPOLLOUT) != 0) flush(connection);
  if (connection.socket >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive(connection);
}

void Worker::receive(Connection& connection) {
  const auto received = recv(connection.socket, input_.data(), input_.size(), 0);
  if (received == 0) return lose(connection, "the target closed a connection");
  if (received < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    return lose(connection, std::strerror(errno));
  }
  const auto now = base::now();
  Answers answers;
  bool uncalled = false;
  const auto on_reply = [&](const ReplySkimmer::Reply& reply) {
    if (answers.replies >= connection.in_flight) {
      uncalled = true;
    } else if (reply.error) {
      settle(connection, answers, now);
      take_runs(connection, 1, now, false);
      tally_.note_error(reply.error_text);
    } else {
      ++answers.replies;
      answers.operations += reply.elements;
      answers.misses += reply.nulls;
    }
  };
  const std::string_view bytes(input_.data(), static_cast<std::size_t>(received));
  const bool fine = std::visit([&](auto& skimmer) { return skimmer.feed(bytes, on_reply); }, connection.skimmer);
  settle(connection, answers, now);
  if (!fine) return lose(connection, "the target answered what is not its protocol (RESP2, or memcached's text)");
  if (uncalled) return lose(connection, "the target answered what was not asked");
  if (!schedule_ && connection.in_flight == 0 && now < window_.end.load()) send_pipeline(connection, now);
}

void Worker::settle(Connection& connection, Answers& answers, base::Nanoseconds now) {
  if (now >= window_.start && now < window_.end.load()) {
    tally_.requests += answers.replies;
    tally_.operations += answers.operations;
    tally_.misses += answers.misses;
  }
  take_runs(connection, answers.replies, now, true);
  answers = {};
}

void Worker::take_runs(Connection& connection, std::uint32_t replies, base::Nanoseconds now, bool with_latency) {
  in_flight_ -= replies;
  connection.in_flight -= replies;
  while (replies > 0) {
    Run& run = connection.runs[connection.first_run];
    const auto taken = std::min(replies, run.requests);
    if (with_latency) record_latency(run.due, now, taken);
    replies -= taken;
    run.requests -= taken;
    if (run.requests > 0) continue;
    connection.first_run = connection.first_run + 1 == connection.runs.size() ? 0 : connection.first_run + 1;
    --connection.runs_held;
  }
}

void Worker::record_latency(base::Nanoseconds due, base::Nanoseconds now, std::uint32_t requests) {
  if (due < window_.start || due >= window_.end.load()) return;
  tally_.latency_ns.record(static_cast<std::uint64_t>(std::max<base::Nanoseconds>(now - due, 0)), requests);
}

void Worker::push_run(Connection& connection, Run run) {
  connection.runs[(connection.first_run + connection.runs_held++) % connection.runs.size()] = run;
  connection.in_flight += run.requests;
  in_flight_ += run.requests;
}

void Worker::send_pipeline(Connection& connection, base::Nanoseconds now) {
  std::uint32_t count = 0;
  while (count < pipeline_ && !exhausted_ && connection.out.size() < kUnsentBytesMax) {
    if (requests_->next(connection.out)) ++count;
    else exhausted_ = true;
  }
  if (count == 0) return;
  push_run(connection, {now, count});
  flush(connection);
}

void Worker::send_due(base::Nanoseconds now) {
  const auto end = window_.end.load();
  no_room_ = false;
  for (; !exhausted_ && schedule_->due() <= now && schedule_->due() < end; schedule_->advance()) {
    Connection* const connection = next_free();
    no_room_ = connection == nullptr;
    if (no_room_) break;
    const auto due = schedule_->due();
    exhausted_ = !requests_->next(connection->out);
    if (exhausted_) break;
    push_run(*connection, {due, 1});
    if (due >= window_.start) tally_.late_ns.record(static_cast<std::uint64_t>(now - due));
    if (!connection->dirty) dirty_.push_back(connection);
    connection->dirty = true;
  }
  for (Connection* const connection : dirty_) {
    connection->dirty = false;
    if (connection->socket >= 0) flush(*connection);
  }
  dirty_.clear();
}

Worker::Connection* Worker::next_free() {
  if (in_flight_ >= open_ * pipeline_) return nullptr;
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    Connection& connection = connections_[next_connection_];
    next_connection_ = next_connection_ + 1 == connections_.size() ? 0 : next_connection_ + 1;
    const bool has_room = connection.in_flight < pipeline_ && connection.out.size() < kUnsentBytesMax;
    if (connection.socket >= 0 && has_room) return &connection;
  }
  return nullptr;
}

void Worker::flush(Connection& connection) {
  while (!connection.out.empty()) {
    const auto view = connection.out.view();
    const auto sent = send(connection.socket, view.data(), view.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      connection.out.consume(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      return lose(connection, std::strerror(errno));
    }
  }
  if (connection.wants_write == connection.out.empty()) watch(connection, !connection.out.empty());
}

void Worker::watch(Connection& connection, bool for_write) {
  connection.wants_write = for_write;
  epoll_event event{};
  event.events = for_write ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u32 = static_cast<std::uint32_t>(&connection - connections_.data());
  epoll_ctl(poll_, EPOLL_CTL_MOD, connection.socket, &event);
}

void Worker::lose(Connection& connection, std::string_view why) {
  tally_.note_error(why, connection.in_flight);
  ++tally_.lost_connections;
  take_runs(connection, connection.in_flight, base::now(), true);
  ::close(connection.socket);
  connection.socket = -1;
  connection.out.clear();
  --open_;
}

void Worker::count_unanswered() {
  const auto now = base::now();
  for (Connection& connection : connections_) {
    if (connection.in_flight == 0) continue;
    tally_.note_error(fmt::format("no answer within {} s after the end", kDrainMax / base::kSecond), connection.in_flight);
    take_runs(connection, connection.in_flight, now, true);
  }
}

void Worker::count_unsent() {
  const auto end = std::min(window_.end.load(), base::now());
  for (; schedule_ && schedule_->due() < end; schedule_->advance()) {
    if (schedule_->due() < window_.start) continue;
    ++tally_.unsent;
    const auto waited = static_cast<std::uint64_t>(end - schedule_->due());
    tally_.late_ns.record(waited);
    tally_.latency_ns.record(waited);
  }
}

}  // namespace freshet::load
