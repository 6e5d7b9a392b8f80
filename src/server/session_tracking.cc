// The session's part in client-side caching: remembering what a command reads, and telling the client what to drop.
//
// A push stands between replies, never inside one; and what concerns a read that is on its way is told after its reply, so
// that a client that keeps an older value is told to drop it.
#include "server/server.h"
#include "server/session.h"
#include "server/tracked_client.h"
#include "server/worker.h"

namespace freshet::server {

void Session::start_tracking(TrackingOptions options) {
  auto prefixes = options.prefixes;
  if (options.broadcast && prefixes.empty()) prefixes.emplace_back();  // Every key.
  if (tracked_) {
    tracked_->options = std::move(options);
    tracked_->redirect_broken = false;
  } else {
    tracked_ = std::make_unique<TrackedClient>(std::move(options));
  }
  worker_.server().tracking().join(info_.id, std::move(prefixes));
}

void Session::stop_tracking() {
  if (!tracked_) return;
  worker_.server().tracking().leave(info_.id);
  tracked_.reset();
}

void Session::track_reads(const Command& command, std::span<const std::string_view> args) {
  if (!tracked_ || !command.has(kReadonly) || command.first_key == 0 || !tracked_->remembers()) return;
  auto& tracking = worker_.server().tracking();
  command.for_each_key(args, [&](std::string_view key) {
    tracked_->reads(key);
    if (!tracked_->options.broadcast) tracking.remember(key, info_.id);
    return true;
  });
}

void Session::reads_answered() {
  if (tracked_ && tracked_->expects()) tell(tracked_->release(), false);
}

void Session::invalidate(Invalidation told) {
  if (!tracked_ || closing_) return;
  worker_.lend(in_, out_);
  tell(waiting_ ? tracked_->hold_back(std::move(told)) : std::move(told), true);
}

void Session::tell(Invalidation told, bool at_once) {
  if (told.empty()) return;
  if (const auto target = tracked_->options.redirect) return redirect(target, std::move(told));
  if (reply_.version() < 3) return;
  write_invalidation(reply_, told);
  if (at_once) send_push();
}

// The other connection may live on another worker, or live no more.
void Session::redirect(std::uint64_t target, Invalidation told) {
  auto& server = worker_.server();
  server.worker_of(target).loop().post([&server, target, source = info_.id, told = std::move(told)] {
    if (Session* session = server.worker_of(target).find(target)) return session->hear(told);
    server.worker_of(source).loop().post([&server, source] {
      if (Session* session = server.worker_of(source).find(source)) session->redirect_broke();
    });
  });
}

void Session::hear(const Invalidation& told) {
  if (closing_ || (reply_.version() < 3 && !subscribed_)) return;
  worker_.lend(in_, out_);
  write_invalidation(reply_, told);
  send_push();
}

void Session::redirect_broke() {
  if (!tracked_ || closing_ || std::exchange(tracked_->redirect_broken, true) || reply_.version() < 3) return;
  worker_.lend(in_, out_);
  reply_.push(2);
  reply_.bulk("tracking-redir-broken");
  reply_.integer(static_cast<std::int64_t>(tracked_->options.redirect));
  send_push();
}

void Session::send_push() {
  if (out_.size() > worker_.server().options().output_buffer_bytes_max) return close_for_limit("its replies", out_.size());
  send_replies();
  if (!closed_) settle();
}

}  // namespace freshet::server
