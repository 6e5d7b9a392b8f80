// MULTI on a connection: the commands that wait for EXEC, the keys that it watches, and the execution of the commands, all
// against one transaction of the engine. On the session's loop. May use cache and protocol.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cache/transaction.h"
#include "cache/transaction_engine.h"
#include "protocol/buffer.h"
#include "server/command.h"

namespace freshet::server {

class Session;

// What one connection may queue: commands, and their bytes together.
inline constexpr std::size_t kQueuedCommandsMax = 100'000;
inline constexpr std::size_t kQueuedBytesMax = 64ull * 1024 * 1024;
// Keys that one connection may watch.
inline constexpr std::size_t kWatchedKeysMax = 1024;

struct QueuedCommand {
  const Command* command;
  std::vector<std::string> args;

  // Into a vector that serves many.
  void view(std::vector<std::string_view>& views) const { views.assign(args.begin(), args.end()); }
};

// What WATCH saw. Versions never repeat; a row without one is compared as a whole.
struct WatchMark {
  bool present = false;
  storage::Version version = 0;
  std::string value;               // Of what has no version.

  static WatchMark of(const cache::Reading& reading);
  friend bool operator==(const WatchMark&, const WatchMark&) = default;
};

// The connection's state between MULTI and EXEC, and its watched keys.
class QueuedTransaction {
 public:
  bool is_open() const { return open_; }
  void open() { open_ = true; }
  // A command that cannot be queued: EXEC will refuse the others.
  void spoil() { spoilt_ = open_; }
  bool is_spoilt() const { return spoilt_; }
  // False: a limit is reached.
  bool add(const Command& command, std::span<const std::string_view> args);
  // Ends them: what is left is to be cleared.
  std::vector<QueuedCommand> take_commands() { return std::move(commands_); }
  std::map<std::string, WatchMark, std::less<>>& watched() { return watched_; }
  void clear() { *this = {}; }

 private:
  bool open_ = false;
  bool spoilt_ = false;
  std::size_t bytes_ = 0;
  std::vector<QueuedCommand> commands_;
  std::map<std::string, WatchMark, std::less<>> watched_;
};

// EXEC under way. Each command writes its reply into a piece of its own; one that waits for what storage makes of its write
// gets it when that has come.
class TransactionRun : public std::enable_shared_from_this<TransactionRun> {
 public:
  // `transaction` is null if no key is guarded.
  TransactionRun(std::vector<QueuedCommand> commands, std::shared_ptr<cache::Transaction> transaction, cache::Engine& engine,
                 std::map<std::string, cache::Reading, std::less<>> readings);

  cache::TransactionEngine& engine() { return engine_; }

  // Executes the commands, and commits what they write. Its reply is EXEC's, at once or when the session is resumed.
  void execute(Session& session);

  using Step = std::function<void(Session&)>;
  // The command that executes now, for whoever answers it: it goes on with that step, if the run is still there.
  struct Waiting {
    std::weak_ptr<TransactionRun> run;
    std::size_t place;
    void go_on(Step step) const;
  };
  Waiting current() { return {weak_from_this(), current_}; }

 private:
  struct Piece {
    protocol::Buffer reply;
    Step step;               // What it goes on with: an answer has come.
    bool waits = false;
  };

  void execute_piece(Session& session, std::size_t index);
  // Runs the steps that have come for a piece.
  void go_on(Session& session, Piece& piece, Step step);
  void finish(Session& session);

  const std::vector<QueuedCommand> commands_;
  std::shared_ptr<cache::Transaction> transaction_;
  cache::TransactionEngine engine_;
  std::vector<Piece> pieces_;
  std::size_t current_ = 0;
  std::vector<std::string_view> args_;  // Of the command that executes now.
};

}  // namespace freshet::server
