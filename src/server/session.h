// A client's connection: reads commands, executes them strictly in order, and writes the replies of a pipeline in one go.
//
// A command that must wait for storage pauses the session: defer() gives the callback for the engine, which comes back on
// the session's own loop, or is dropped if the client has gone meanwhile. Everything here runs on the worker's loop. A
// session owns itself once it is adopted by a worker, until its socket's handle is closed. May use cache, net and protocol.
#pragma once

#include <uv.h>

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "freshet/result.h"
#include "protocol/buffer.h"
#include "protocol/reply_writer.h"
#include "protocol/request.h"
#include "server/command.h"
#include "server/errors.h"
#include "server/levels.h"
#include "server/mailbox.h"
#include "server/recording.h"
#include "server/tracked_client.h"
#include "server/transaction.h"

namespace freshet::server {

class Worker;

// Transactions of its own that one client may have under guards at a time.
inline constexpr std::size_t kSqlGuardsMax = 64;

inline constexpr std::string_view kBadClientName =
    "ERR Client names cannot contain spaces, newlines or special characters.";
// Printable and without blanks, as CLIENT LIST needs it.
bool is_client_name(std::string_view text);

// What CLIENT tells about a connection, apart from its buffers.
struct ClientInfo {
  std::uint64_t id = 0;
  std::string name;
  std::string address;        // The client's end.
  std::string local_address;  // Ours.
  std::string library_name;
  std::string library_version;
  bool authenticated = false;
  bool no_evict = false;
  bool no_touch = false;
  base::Nanoseconds connected_at = 0;
  base::Nanoseconds active_at = 0;
  const Command* last_command = nullptr;
};

class Session {
 public:
  // Takes the socket over. Begins to read at once.
  Session(Worker& worker, int fd, ClientInfo info);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Pauses the session until the returned callback has run (on any thread, once); `finish` then writes the reply, or defers
  // again.
  template <typename T, typename Finish>
  storage::Callback<T> defer_result(Finish finish) {
    waiting_ = true;
    if (run_) {
      return [current = run_->current(), finish = std::move(finish)](Result<T> result) mutable {
        current.go_on([finish = std::move(finish), result = std::move(result)](Session& session) mutable {
          finish(session, std::move(result));
        });
      };
    }
    return [mailbox = mailbox_, id = info_.id, finish = std::move(finish)](Result<T> result) mutable {
      mailbox->post(id, [finish = std::move(finish), result = std::move(result)](Session& session) mutable {
        finish(session, std::move(result));
      });
    };
  }
  // The same for the usual case: an error becomes the reply, `finish` sees values only.
  template <typename T, typename Finish>
  storage::Callback<T> defer(Finish finish) {
    return defer_result<T>([finish = std::move(finish)](Session& session, Result<T> result) mutable {
      if (!result) return write_error(session.reply(), result.error());
      finish(session, *std::move(result));
    });
  }
  // Runs what a deferred command has left to do, and goes on with the commands behind it.
  void resume(const std::function<void(Session&)>& finish);

  // MULTI, and what it has queued.
  QueuedTransaction& queued() { return queued_; }
  // Transactions of the client's own, under guards (FRESHET.GUARD): numbered from 1.
  std::int64_t keep_sql_guard(std::shared_ptr<cache::SqlGuard> guard);
  std::shared_ptr<cache::SqlGuard> take_sql_guard(std::int64_t id);
  const std::map<std::int64_t, std::shared_ptr<cache::SqlGuard>>& sql_guards() const { return sql_guards_; }
  // A step of a command of a transaction under way: what it writes goes to `reply`, what it reads and writes to the
  // transaction. True if it waits: its step comes by TransactionRun::current().
  bool run_within(std::shared_ptr<TransactionRun> run, protocol::Buffer& reply, const TransactionRun::Step& step);
  // Calls a queued command, within such a step.
  void call_within(const Command& command, std::span<const std::string_view> args);

  protocol::ReplyWriter& reply() { return reply_; }
  cache::Engine& engine();
  Worker& worker() { return worker_; }
  ClientInfo& info() { return info_; }
  const ClientInfo& info() const { return info_; }
  void close_after_replies() { closing_ = true; }
  ConnectionLevel& level() { return level_; }

  // Client-side caching. Null unless CLIENT TRACKING is on.
  TrackedClient* tracked() { return tracked_.get(); }
  void start_tracking(TrackingOptions options);
  void stop_tracking();
  // Before the command reads: its keys are remembered, if the client tracks.
  void track_reads(const Command& command, std::span<const std::string_view> args);
  // What the client must drop has come; and what was redirected here by another one. Between commands only.
  void invalidate(Invalidation told);
  void hear(const Invalidation& told);
  void redirect_broke();
  bool subscribed() const { return subscribed_; }
  void set_subscribed(bool subscribed) { subscribed_ = subscribed; }
  // Recordings (server/recording.h). Before a command waits: the keys that it accesses, noted only while somebody records;
  // and what became of each of them, in the same order.
  void expect_access(std::string_view key);
  void access_answered(AccessKind kind, std::size_t value_bytes);
  // The connection records what all the others access: from begin_batches() on it is sent batches.
  void start_recording(std::shared_ptr<Recording> recording);
  void begin_batches();
  void stop_recording();
  void hear_recorded(const RecordingBatch& batch);
  // RESET: everything but the connection itself as at its beginning.
  void reset();
  // One line of CLIENT LIST, without a line end.
  std::string describe(base::Nanoseconds now) const;
  bool authentication_needed() const;

  // Closes the connection now. Safe to call more than once.
  void close();
  // Closes it if it has said nothing for too long, and is not waiting for us.
  void close_if_idle(base::Nanoseconds now, base::Nanoseconds limit);

 private:
  static void on_event(uv_poll_t* handle, int status, int events);
  void on_readable();
  // Reads once into the input. False if nothing came, or the client has gone.
  bool read_some();
  // As CLIENT LIST shows them.
  std::string flags() const;
  // Executes what can be executed, and sends the replies.
  void run();
  void execute_ready();
  // Parses some commands and executes them. False: no whole command is left, or none may be executed.
  bool execute_some(std::uint64_t& executed);
  // Parses as many commands as belong together into the worker's batch.
  protocol::RequestParser::Status parse_some();
  // Whether another command may be executed now.
  bool may_execute() const;
  // `command`: what args[0] names; null: nothing that is known.
  void execute(const Command* command, std::span<const std::string_view> args);
  // The command to be called: `command`, or the subcommand that `args` name. Null after an error reply.
  const Command* admit(const Command* command, std::span<const std::string_view> args);
  // Between MULTI and EXEC: the command is queued, or refused.
  void queue(const Command& command, std::span<const std::string_view> args);
  // False after an error reply: a key that it would write belongs to a read-only collection.
  bool may_write(const Command& command, std::span<const std::string_view> args);
  void call(const Command& command, std::span<const std::string_view> args);
  // Runs a step of a command, and what follows of answers that the engine gives before it returns.
  void take_step(base::FunctionRef<void()> step);
  void count_reply(const Command& command, std::size_t reply_begin);
  // The reply of a read has been written: what was told of its keys meanwhile follows it.
  void reads_answered();
  void forget_accesses();
  // Writes what the client must drop, or hands it to the connection that it is redirected to. `at_once`: no reply is being
  // written.
  void tell(Invalidation told, bool at_once);
  void redirect(std::uint64_t target, Invalidation told);
  void send_push();
  void protocol_error();
  // What follows everything else: looks ahead, gives buffers back, sees to the limits, and watches for what comes next.
  void settle();
  void send_replies();
  void look_ahead();
  void account();
  void watch();
  void close_for_limit(const char* what, std::size_t bytes);

  Worker& worker_;
  std::shared_ptr<Mailbox> mailbox_;
  const int fd_;
  uv_poll_t poll_;
  int watched_ = 0;             // The events that poll_ watches.
  ClientInfo info_;
  ConnectionLevel level_;
  std::unique_ptr<TrackedClient> tracked_;
  QueuedTransaction queued_;
  std::shared_ptr<TransactionRun> run_;          // While a step of one of its commands is taken.
  std::map<std::int64_t, std::shared_ptr<cache::SqlGuard>> sql_guards_;
  std::int64_t last_sql_guard_ = 0;
  std::shared_ptr<Recording> recording_;         // Null unless the connection records.
  std::vector<std::string> expected_accesses_;   // Of the command that waits.
  std::size_t accesses_answered_ = 0;
  protocol::Buffer in_;
  protocol::Buffer out_;
  protocol::RequestParser parser_;
  protocol::ReplyWriter reply_{out_};
  base::Nanoseconds now_ = 0;   // The clock as read when the commands in hand were taken up.
  std::size_t looked_ahead_ = 0;   // Bytes of in_ whose reads have been handed to the engine.
  std::size_t accounted_ = 0;      // Buffer bytes counted against client_memory_bytes_max.
  const Command* waiting_command_ = nullptr;
  base::Nanoseconds waiting_since_ = 0;
  bool waiting_ = false;
  bool subscribed_ = false;     // To the channel of invalidations.
  bool input_ended_ = false;    // The client sends nothing more, but may still read.
  bool closing_ = false;        // Closes once the replies are sent; executes nothing more.
  bool closed_ = false;
};

}  // namespace freshet::server
