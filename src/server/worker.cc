// A worker's sessions, its mailbox, and the buffers that it lends.
#include "server/worker.h"

#include <fmt/format.h>

#include <vector>

#include "server/server.h"

namespace freshet::server {
namespace {

// What is left of a lent buffer up to this size is copied, so that the buffer itself can go back.
constexpr std::size_t kCopiedBytes = 4 * 1024;
constexpr base::Nanoseconds kIdlePeriod = base::kSecond;

}  // namespace

void Mailbox::post(std::uint64_t session_id, std::function<void(Session&)> task) {
  std::lock_guard lock(mutex_);
  if (!worker_ || worker_->keep_early(session_id, task)) return;
  worker_->loop().post([worker = worker_, session_id, task = std::move(task)] {
    if (Session* session = worker->find(session_id)) session->resume(task);
  });
}

void Mailbox::close() {
  std::lock_guard lock(mutex_);
  worker_ = nullptr;
}

Worker::Worker(Server& server, int index)
    : server_(server),
      index_(index),
      counters_(server.commands().all().size()),
      recorder_(loop_, counters_,
                [this](std::uint64_t client, RecordingBatch batch) { deliver(client, std::move(batch)); }),
      mailbox_(std::make_shared<Mailbox>(this)),
      batch_(server.commands()),
      loop_(fmt::format("freshet-{}", index)) {
  loop_.run([this] {
    idle_timer_ = std::make_unique<net::Timer>(loop_);
    idle_timer_->start(kIdlePeriod, [this] { look_for_idle_sessions(); }, kIdlePeriod);
  });
}

CommandCounters& Worker::counters_of(const Command& command) {
  return counters_.commands[server_.commands().index_of(command)];
}

Worker::~Worker() = default;

void Worker::stop() {
  loop_.run([this] {
    mailbox_->close();
    idle_timer_.reset();
    recorder_.clear();
    std::vector<Session*> open;
    for (const auto& [id, session] : sessions_) open.push_back(session);
    for (Session* session : open) session->close();
  });
}

void Worker::adopt(int fd, ClientInfo info) {
  loop_.post([this, fd, info = std::move(info)]() mutable {
    counters_.connections.add();
    const auto id = info.id;
    sessions_.emplace(id, new Session(*this, fd, std::move(info)));
  });
}

void Worker::announce_invalidations() {
  loop_.post([this] {
    for (auto& [id, told] : server_.tracking().take(static_cast<std::size_t>(index_))) {
      if (Session* session = find(id)) session->invalidate(std::move(told));
    }
  });
}

void Worker::deliver(std::uint64_t client, RecordingBatch batch) {
  Worker& target = server_.worker_of(client);
  target.loop().post([&target, client, batch = std::move(batch)] {
    if (Session* session = target.find(client)) session->hear_recorded(batch);
  });
}

Session* Worker::find(std::uint64_t id) {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second;
}

bool Worker::keep_early(std::uint64_t session_id, std::function<void(Session&)>& answer) {
  if (!loop_.on_thread() || !executing_ || executing_->info().id != session_id) return false;
  early_ = std::move(answer);
  return true;
}

void Worker::lend(protocol::Buffer& in, protocol::Buffer& out) {
  if (in.capacity() < kReadBytes) {
    spare_in_.reserve(kReadBytes);
    spare_in_.append(in.view());
    in.swap(spare_in_);
    spare_in_.release();
  }
  if (out.capacity() == 0) {
    spare_out_.reserve(kReadBytes);
    out.swap(spare_out_);
  }
}

void Worker::take_back(protocol::Buffer& in, protocol::Buffer& out) {
  recycle(in, spare_in_);
  recycle(out, spare_out_);
}

void Worker::recycle(protocol::Buffer& buffer, protocol::Buffer& spare) {
  if (buffer.capacity() == 0) return;
  if (spare.capacity() > 0 || buffer.capacity() > kReadBytes) {
    if (buffer.empty()) buffer.release();
    return;
  }
  if (buffer.size() > kCopiedBytes) return;
  protocol::Buffer rest;
  if (!buffer.empty()) rest.append(buffer.view());
  buffer.clear();
  spare.swap(buffer);
  buffer.swap(rest);
}

void Worker::look_for_idle_sessions() {
  const auto limit = server_.idle_timeout_seconds() * base::kSecond;
  if (limit == 0) return;
  const auto now = base::now();
  std::vector<Session*> open;
  for (const auto& [id, session] : sessions_) open.push_back(session);
  for (Session* session : open) session->close_if_idle(now, limit);
}

}  // namespace freshet::server
