// The session's way from bytes to replies. One read and one write for a batch of commands; the clock is read twice a batch.
#include "server/session.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

#include "server/server.h"
#include "server/worker.h"

namespace freshet::server {
namespace {

// Answers of one command taken up at once; a longer chain lets other clients have their turn.
constexpr int kEarlyAnswersMax = 16;

std::size_t large_bytes(const protocol::Buffer& buffer) { return buffer.capacity() > kReadBytes ? buffer.capacity() : 0; }

}  // namespace

bool is_client_name(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~'; });
}

Session::Session(Worker& worker, int fd, ClientInfo info)
    : worker_(worker), mailbox_(worker.mailbox()), fd_(fd), info_(std::move(info)) {
  info_.connected_at = info_.active_at = base::now();
  if (const int status = uv_poll_init(worker.loop().uv(), &poll_, fd); status < 0) {
    spdlog::error("client {}: {}", info_.address, uv_strerror(status));
    std::abort();  // The socket was accepted a moment ago: only a broken process comes here.
  }
  poll_.data = this;
  watch();
}

cache::Engine& Session::engine() {
  if (run_) return run_->engine();
  return worker_.server().engine();
}

bool Session::authentication_needed() const {
  return !info_.authenticated && !worker_.server().options().password.empty();
}

void Session::on_event(uv_poll_t* handle, int status, int events) {
  auto* session = static_cast<Session*>(handle->data);
  if (status < 0) return session->close();
  if (events & UV_WRITABLE) session->run();
  if ((events & UV_READABLE) && !session->closed_) session->on_readable();
}

void Session::on_readable() {
  worker_.lend(in_, out_);
  if (!read_some()) {
    if (!closed_) settle();
    return;
  }
  if (may_execute()) return run();
  settle();
}

bool Session::read_some() {
  char* const to = in_.reserve(std::min(kReadBytes, std::max<std::size_t>(in_.size(), kReadBytes / 4)));
  const ssize_t got = ::recv(fd_, to, in_.free_space(), MSG_DONTWAIT);
  if (got > 0) {
    in_.commit(static_cast<std::size_t>(got));
    worker_.counters().input_bytes.add(static_cast<std::uint64_t>(got));
    const std::size_t limit = worker_.server().options().query_buffer_bytes_max;
    if (in_.size() <= limit) return true;
    close_for_limit("its commands", in_.size());
    return false;
  }
  if (got == 0) {
    input_ended_ = true;  // What it sent before is still executed and answered.
  } else if (errno != EAGAIN && errno != EINTR) {
    close();
  }
  return false;
}

bool Session::may_execute() const { return !waiting_ && !closing_ && !closed_ && out_.size() < kOutputPauseBytes; }

void Session::run() {
  worker_.lend(in_, out_);
  for (;;) {
    execute_ready();
    if (closed_) return;  // Its descriptor may be another connection's already.
    const bool full = out_.size() >= kOutputPauseBytes;
    if (!waiting_ || full) send_replies();
    if (!full || !may_execute()) break;
  }
  settle();
}

void Session::execute_ready() {
  now_ = base::now();
  std::uint64_t executed = 0;
  while (may_execute() && execute_some(executed)) {
  }
  if (executed == 0) return;
  info_.active_at = now_;
  const auto each = (base::now() - now_) / static_cast<base::Nanoseconds>(executed);
  worker_.counters().immediate.record(each, executed);
}

bool Session::execute_some(std::uint64_t& executed) {
  const auto status = parse_some();
  const auto& batch = worker_.batch();
  if (batch.keys().size() > 1) engine().prefetch_hits(batch.keys());
  std::size_t done = 0;
  for (; done < batch.size() && may_execute(); ++done) {
    const auto& item = batch[done];
    if (item.arguments > 0) {
      execute(item.command, batch.arguments(item));
      if (!waiting_) ++executed;
    }
    in_.consume(item.bytes);
    looked_ahead_ -= std::min(looked_ahead_, item.bytes);
  }
  const bool all = done == batch.size();
  if (all && status == protocol::RequestParser::Status::incomplete) return false;  // Goes on once there are more bytes.
  if (all && status == protocol::RequestParser::Status::broken) {
    if (may_execute()) protocol_error();
    return false;
  }
  parser_.reset();
  return all;
}

// A client that has not authenticated is bound by other limits, and may authenticate with each command: one at a time. The
// words of an inline command are the parser's own until it parses the next.
protocol::RequestParser::Status Session::parse_some() {
  const auto& limits = worker_.server().options().request;
  auto& batch = worker_.batch();
  batch.clear();
  const std::size_t most = authentication_needed() ? 1 : RequestBatch::kCommandsMax;
  std::size_t parsed = 0;
  auto status = protocol::RequestParser::Status::incomplete;
  while (batch.size() < most && parsed < in_.size()) {
    const auto rest = in_.view().substr(parsed);
    status = parser_.parse(rest, limits, !authentication_needed());
    if (status == protocol::RequestParser::Status::incomplete || status == protocol::RequestParser::Status::broken) break;
    const bool has_words = status == protocol::RequestParser::Status::complete;
    const auto args = has_words ? parser_.arguments() : std::span<const std::string_view>();
    const bool more = batch.add(args, parser_.consumed());
    parsed += parser_.consumed();
    if (!more || rest.front() != '*') break;
  }
  return status;
}

void Session::execute(const Command* command, std::span<const std::string_view> args) {
  const Command* admitted = admit(command, args);
  if (!admitted) return queued_.spoil();
  if (queued_.is_open() && !admitted->has(kNotQueued)) return queue(*admitted, args);
  call(*admitted, args);
}

void Session::queue(const Command& command, std::span<const std::string_view> args) {
  if (command.has(kNoMulti)) {
    reply_.error(fmt::format("ERR Command not allowed inside a transaction: '{}'", command.name));
    queued_.spoil();
  } else if (!queued_.add(command, args)) {
    reply_.error(fmt::format("ERR the transaction is too large: at most {} commands, of {} bytes together",
                             kQueuedCommandsMax, kQueuedBytesMax));
    queued_.spoil();
  } else {
    reply_.simple("QUEUED");
  }
}

std::int64_t Session::keep_sql_guard(std::shared_ptr<cache::SqlGuard> guard) {
  sql_guards_.emplace(++last_sql_guard_, std::move(guard));
  return last_sql_guard_;
}

std::shared_ptr<cache::SqlGuard> Session::take_sql_guard(std::int64_t id) {
  auto guard = sql_guards_.extract(id);
  return guard ? std::move(guard.mapped()) : nullptr;
}

bool Session::run_within(std::shared_ptr<TransactionRun> run, protocol::Buffer& reply, const TransactionRun::Step& step) {
  run_ = std::move(run);
  out_.swap(reply);
  step(*this);
  out_.swap(reply);
  run_ = nullptr;
  return std::exchange(waiting_, false);
}

void Session::call_within(const Command& command, std::span<const std::string_view> args) {
  const std::size_t reply_begin = out_.size();
  Context context{*this, engine(), reply_, args, now_, level_.options()};
  command.handler(context);
  worker_.counters_of(command).calls.add();
  if (!waiting_) count_reply(command, reply_begin);
}

const Command* Session::admit(const Command* command, std::span<const std::string_view> args) {
  auto& counters = worker_.counters();
  const CommandTable& commands = worker_.server().commands();
  if (command && command->has(kContainer) && args.size() > 1) {
    const Command* container = command;
    command = commands.find_subcommand(*container, args[1]);
    if (!command) {
      counters.commands[commands.index_of(*container)].rejected.add();
      reply_.error(
          fmt::format("ERR unknown subcommand '{}'. Try {} HELP.", args[1].substr(0, 128), to_upper(container->name)));
      return nullptr;
    }
  }
  if (!command) {
    counters.unknown_commands.add();
    reply_.error("ERR " + commands.unknown_text(args));
    return nullptr;
  }
  if (!command->takes(args.size())) {
    reply_.error(wrong_arity_text(command->name));
  } else if (!command->has(kNoAuth) && authentication_needed()) {
    reply_.error(kNoAuthentication);
  } else if (subscribed_ && reply_.version() < 3 && !command->has(kWhileSubscribed)) {
    reply_.error(fmt::format("ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
                             "allowed in this context",
                             command->name));
  } else if (recording_ && !command->has(kWhileSubscribed)) {
    reply_.error(fmt::format("ERR Can't execute '{}': this connection records; it takes PING, QUIT and RESET only",
                             command->name));
  } else if (!command->has(kWrite) || may_write(*command, args)) {
    return command;
  }
  counters.commands[commands.index_of(*command)].rejected.add();
  return nullptr;
}

bool Session::may_write(const Command& command, std::span<const std::string_view> args) {
  return command.for_each_key(args, [this](std::string_view key) {
    const auto kind = engine().kind_of(key);
    if (cache::is_guarded(kind)) return true;
    const Error error = cache::read_only(key, kind);
    reply_.error(fmt::format("READONLY {}; {}", error.what, error.remedy));
    return false;
  });
}

void Session::call(const Command& command, std::span<const std::string_view> args) {
  const std::size_t reply_begin = out_.size();
  info_.last_command = &command;
  if (!expected_accesses_.empty()) forget_accesses();  // Of a command that failed.
  if (tracked_) track_reads(command, args);
  Context context{*this, engine(), reply_, args, now_, level_.options()};
  take_step([&] { command.handler(context); });
  worker_.counters_of(command).calls.add();
  if (tracked_) tracked_->step_taken(waiting_, command.name.starts_with("client|"));
  if (waiting_) {
    waiting_command_ = &command;
    waiting_since_ = now_;
  } else {
    count_reply(command, reply_begin);
  }
  if (out_.size() > worker_.server().options().output_buffer_bytes_max) close_for_limit("its replies", out_.size());
}

void Session::take_step(base::FunctionRef<void()> step) {
  worker_.set_executing(this);
  step();
  for (int taken = 0; auto answer = worker_.take_early(); ++taken) {
    if (taken == kEarlyAnswersMax) worker_.set_executing(nullptr);  // The next one goes through the loop.
    waiting_ = false;
    answer(*this);
  }
  worker_.set_executing(nullptr);
}

void Session::count_reply(const Command& command, std::size_t reply_begin) {
  if (out_.size() > reply_begin && out_.view()[reply_begin] == '-')
    worker_.counters_of(command).failed.add();
}

void Session::resume(const std::function<void(Session&)>& finish) {
  worker_.lend(in_, out_);
  waiting_ = false;
  now_ = base::now();
  const std::size_t reply_begin = out_.size();
  take_step([&] { finish(*this); });
  if (waiting_) return settle();
  count_reply(*waiting_command_, reply_begin);
  if (tracked_) reads_answered();
  worker_.counters().waited.record(now_ - waiting_since_);
  info_.active_at = now_;
  if (out_.size() > worker_.server().options().output_buffer_bytes_max) return close_for_limit("its replies", out_.size());
  run();
}

void Session::protocol_error() {
  worker_.counters().protocol_errors.add();
  spdlog::info("client {}: {}", info_.address, parser_.error());
  reply_.error("ERR " + parser_.error());
  closing_ = true;
}

void Session::settle() {
  if (closed_) return;
  if (waiting_) look_ahead();
  // Nothing can follow: what is left of the input is no whole command, or will not be executed.
  if ((input_ended_ || closing_) && !waiting_ && out_.empty()) return close();
  worker_.take_back(in_, out_);
  account();
  if (!closed_) watch();
}

void Session::send_replies() {
  assert(!closed_);
  while (!out_.empty()) {
    const auto bytes = out_.view();
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) close();
      return;
    }
    worker_.counters().output_bytes.add(static_cast<std::uint64_t>(sent));
    out_.consume(static_cast<std::size_t>(sent));
    if (static_cast<std::size_t>(sent) < bytes.size()) return;  // The socket is full: its next event goes on.
  }
}

// While one command waits, the reads behind it are announced to the engine, so that their misses travel together.
void Session::look_ahead() {
  const auto& limits = worker_.server().options().request;
  auto& parser = worker_.ahead();
  std::vector<std::string> keys;
  while (looked_ahead_ < in_.size() && keys.size() < kPrefetchKeysMax) {
    parser.reset();
    const auto status = parser.parse(in_.view().substr(looked_ahead_), limits);
    if (status != protocol::RequestParser::Status::complete && status != protocol::RequestParser::Status::empty) break;
    looked_ahead_ += parser.consumed();
    if (status == protocol::RequestParser::Status::empty) continue;
    const auto args = parser.arguments();
    const Command* command = worker_.server().commands().find(args[0]);
    if (!command) continue;
    command->for_each_key_ahead(args, [&](std::string_view key) {
      if (key.size() <= storage::kKeyBytesMax) keys.emplace_back(key);
      return keys.size() < kPrefetchKeysMax;
    });
  }
  if (!keys.empty()) engine().prefetch(std::move(keys));
}

void Session::account() {
  const std::size_t held = large_bytes(in_) + large_bytes(out_);
  if (held == accounted_) return;
  auto& server = worker_.server();
  const std::size_t sum =
      server.account_client_memory(static_cast<std::ptrdiff_t>(held) - static_cast<std::ptrdiff_t>(accounted_));
  const bool grown = held > accounted_;
  accounted_ = held;
  if (grown && sum > server.options().client_memory_bytes_max) close_for_limit("all clients' buffers", sum);
}

// Input is not read while there is enough of it that cannot be executed yet.
void Session::watch() {
  const bool read = !input_ended_ && !closing_ && (may_execute() || in_.size() < kReadAheadBytes);
  const bool write = !out_.empty() && !waiting_;
  const int events = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);
  if (events == watched_) return;
  watched_ = events;
  if (events == 0) {
    uv_poll_stop(&poll_);
  } else {
    uv_poll_start(&poll_, events, &Session::on_event);
  }
}

void Session::close_for_limit(const char* what, std::size_t bytes) {
  worker_.counters().limit_closes.add();
  spdlog::warn("client {} (id {}, {}) closed: {} hold {} bytes, more than the limit", info_.address, info_.id,
               info_.last_command ? info_.last_command->name : "no command", what, bytes);
  close();
}

void Session::close() {
  if (closed_) return;
  closed_ = true;
  worker_.forget(info_.id);
  stop_tracking();
  stop_recording();
  if (accounted_ > 0) worker_.server().account_client_memory(-static_cast<std::ptrdiff_t>(accounted_));
  worker_.server().client_left();
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) { delete static_cast<Session*>(handle->data); });
  ::close(fd_);
}

void Session::close_if_idle(base::Nanoseconds now, base::Nanoseconds limit) {
  if (!waiting_ && !recording_ && now - info_.active_at > limit) close();
}

void Session::reset() {
  reply_.set_version(2);
  level_.set({});
  queued_.clear();
  sql_guards_.clear();
  stop_tracking();
  stop_recording();
  subscribed_ = false;
  info_.authenticated = false;
  info_.name.clear();
  info_.no_evict = info_.no_touch = false;
}

std::string Session::flags() const {
  std::string flags;
  if (recording_) flags += 'O';
  if (queued_.is_open()) flags += 'x';
  if (subscribed_) flags += 'P';
  if (tracked_) flags += 't';
  if (tracked_ && tracked_->redirect_broken) flags += 'R';
  if (tracked_ && tracked_->options.broadcast) flags += 'B';
  if (info_.no_evict) flags += 'e';
  if (info_.no_touch) flags += 'T';
  return flags.empty() ? "N" : flags;
}

std::string Session::describe(base::Nanoseconds now) const {
  const auto redirect = tracked_ ? static_cast<std::int64_t>(tracked_->options.redirect) : -1;
  return fmt::format(
      "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db=0 sub={} psub=0 ssub=0 multi=-1 qbuf={} qbuf-free={} "
      "argv-mem=0 multi-mem=0 rbs={} rbp=0 obl={} oll=0 omem={} tot-mem={} events=r{} cmd={} user=default redir={} resp={} "
      "lib-name={} lib-ver={}",
      info_.id, info_.address, info_.local_address, fd_, info_.name, (now - info_.connected_at) / base::kSecond,
      (now - info_.active_at) / base::kSecond, flags(), subscribed_ ? 1 : 0, in_.size(), in_.free_space(), out_.capacity(),
      out_.size(), out_.capacity(), in_.capacity() + out_.capacity() + sizeof(Session), watched_ & UV_WRITABLE ? "w" : "",
      info_.last_command ? info_.last_command->name : "NULL", redirect, reply_.version(), info_.library_name,
      info_.library_version);
}

}  // namespace freshet::server
