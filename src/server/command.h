// A command of the server: its row in the table of commands, what its handler is given, and how the table is searched. The
// commands themselves are server/commands, which the server does not know: it is given their table. May use cache and
// protocol.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "cache/engine.h"
#include "protocol/reply_writer.h"

namespace freshet::server {

class Session;

// One execution of a command. The arguments are valid until the handler returns: what waits for storage copies them.
struct Context {
  Session& session;
  cache::Engine& engine;
  protocol::ReplyWriter& reply;
  std::span<const std::string_view> args;  // The command's name included.
  base::Nanoseconds now;                   // Read from the clock since these commands arrived.
  const cache::ReadOptions& read;          // How fresh its reads must be: the connection's level, or the command's own.
};

// Writes one reply, or makes the session wait (Session::defer) and returns without one.
using Handler = void (*)(Context& context);

enum CommandFlag : std::uint32_t {
  kReadonly = 1,    // Reads keys.
  kWrite = 2,       // Writes keys.
  kFast = 4,        // Constant work but for the size of its values.
  kNoAuth = 8,      // Allowed before authentication.
  kAdmin = 16,      // About the server rather than the data.
  kContainer = 32,  // Its first argument names a subcommand: a row "container|subcommand".
  kPrefetch = 64,   // A read whose keys are worth fetching while an earlier command of the pipeline waits.
  kNotOffered = 128,  // Answers with an error that says what to use.
  kWhileSubscribed = 256,  // Allowed on a RESP2 connection that has subscribed.
  kNotQueued = 512,   // Between MULTI and EXEC it is executed at once.
  kNoMulti = 1024,    // Not allowed there.
};

struct Command {
  std::string_view name;    // In lower case; "client|list" for a subcommand.
  int arity;                // Arguments, the name included; negative: at least so many.
  std::uint32_t flags;
  int first_key;            // 0: it takes no keys.
  int last_key;             // Negative: counted from the end.
  int key_step;
  std::string_view group;   // Redis's: "string", "generic", "connection", "server"; or "freshet".
  std::string_view since;   // The version of Redis that it behaves like; for Freshet's own commands Freshet's version.
  std::string_view syntax;  // Its arguments, as documentation writes them.
  std::string_view summary;
  Handler handler;
  std::string_view note = {};  // Where it differs from Redis.

  bool has(std::uint32_t flag) const { return (flags & flag) != 0; }
  bool takes(std::size_t arguments) const {
    return arity >= 0 ? arguments == static_cast<std::size_t>(arity) : arguments >= static_cast<std::size_t>(-arity);
  }
  // Calls use(key) for each key of a call of it, as long as that returns true. False if it did not.
  template <typename Use>
  bool for_each_key(std::span<const std::string_view> args, Use use) const {
    if (first_key == 0) return true;
    const auto last = last_key < 0 ? args.size() - static_cast<std::size_t>(-last_key) : static_cast<std::size_t>(last_key);
    for (auto i = static_cast<std::size_t>(first_key); i <= last; i += static_cast<std::size_t>(key_step)) {
      if (!use(args[i])) return false;
    }
    return true;
  }
  // The same for the keys of a read that are worth fetching before its turn; none of other commands.
  template <typename Use>
  bool for_each_key_ahead(std::span<const std::string_view> args, Use use) const {
    return !has(kPrefetch) || !takes(args.size()) || for_each_key(args, use);
  }
  bool is_subcommand() const { return name.find('|') != name.npos; }
};

// The commands that a server offers. Immutable; thread-safe.
class CommandTable {
 public:
  // The rows, in the order of the documentation, must outlive the table. Names are distinct. `unknown` gives the error for
  // the words of a command that is in no row.
  using UnknownText = std::string (*)(std::span<const std::string_view> args);
  CommandTable(std::span<const Command> rows, UnknownText unknown);

  std::span<const Command> all() const { return rows_; }
  // Finds a command (never a subcommand) by its name in any case; null if there is none.
  const Command* find(std::string_view name) const;
  // Finds a container's subcommand by its name in any case; null if there is none.
  const Command* find_subcommand(const Command& container, std::string_view name) const;
  // Of a command of this table.
  std::size_t index_of(const Command& command) const { return static_cast<std::size_t>(&command - rows_.data()); }
  std::string unknown_text(std::span<const std::string_view> args) const { return unknown_(args); }

 private:
  const Command* find_row(std::string_view name) const;

  const std::span<const Command> rows_;
  const UnknownText unknown_;
  std::vector<std::uint16_t> index_;  // Open addressing by the name's hash: a row's number plus 1, or 0.
};

std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);

}  // namespace freshet::server
