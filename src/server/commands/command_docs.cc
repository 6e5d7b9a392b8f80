// docs/COMMANDS.md, made from the table.
#include <fmt/format.h>

#include <algorithm>

#include "server/commands/table.h"

namespace freshet::server {
namespace {

constexpr std::pair<std::string_view, std::string_view> kGroups[] = {
    {"connection", "Connection"}, {"server", "Server"}, {"string", "Strings"}, {"hash", "Rows as hashes"},
    {"generic", "Keys and expiry"},
    {"freshet", "Beyond Redis"},
};

constexpr std::string_view kIntroduction = R"(# Commands

Made from the server's command table; a test compares the two. Freshet speaks RESP2 and RESP3, with Redis's replies and error
texts, as of Redis 7.0. Keys have at most 8 KiB, values at most 512 MiB.

Commands of one connection are executed in order; the replies of a pipeline leave together. SCAN, KEYS and DBSIZE are about
the key-value table.

## What a key is

| key | GET | HGET and its kin | FRESHET.GET in RESP3 | SET, DEL, EXPIRE, HSET … |
|---|---|---|---|---|
| of the key-value table | the string | `-WRONGTYPE` | the string | as in Redis; the hash commands are refused |
| `users:42`, a row | a JSON object | its columns; NULL is an absent field | a map of typed columns | `-READONLY` |
| `accounts:7`, a guarded row | the same | the same | the same | write the row: [WRITING-ROWS.md](WRITING-ROWS.md) |
| `orders-by-customer:17`, a query | a JSON array of objects | `-WRONGTYPE` | an array of such maps | `-READONLY` |

The hash commands answer with the columns' texts as PostgreSQL writes them (`t` and `f` for booleans), as bulk strings in
RESP3 too (HGETALL in a map), as Redis does: client libraries decode them as their callers expect.
FRESHET.GET gives a row's columns as RESP3 numbers, doubles, booleans, nulls and strings; `numeric` stays a string, with
every digit.

## Levels

| level | a read is |
|---|---|
| `LINEARIZABLE` | at least as new as every write acknowledged before it began; the default where a collection has no other |
| `SESSION [token]` | at least as new as what the token names, and as what the connection has seen since |
| `BOUNDED milliseconds` | equal to the database at some moment within so long |
| `SNAPSHOT` | with other keys of the command, as of one moment (MGET, EXISTS; at most 1024 keys) |
| `ANY` | whatever memory holds |
| `DEFAULT` | as the collection says |

The command's level (FRESHET.GET, FRESHET.WITH) comes before the connection's (FRESHET.LEVEL), and that before the
collection's.

## Errors

| prefix | meaning | sending it again |
|---|---|---|
| `-ERR` | the command is wrong, or not offered; the text says what to use | fails again |
| `-NOAUTH`, `-WRONGPASS` | authenticate first; wrong password | after AUTH |
| `-NOPROTO` | HELLO with another version than 2 or 3 | fails again |
| `-TRYAGAIN` | this node does not own the key now, or its guard was replaced; nothing was applied | safe |
| `-TIMEOUT` | the deadline passed before the operation had any effect | safe |
| `-UNAVAILABLE` | the database is out of reach; nothing was applied | safe |
| `-BUSY` | a limit of this node is reached | safe |
| `-READONLY` | the key is a row or a query's result: write with SQL, drop cached data with FRESHET.EVICT | fails again |
| `-WRONGTYPE` | a hash command on a key that is no row, or one for strings on a row | fails again |
| `-EXECABORT` | EXEC: a command was wrong, or the database refused what one wrote; nothing was applied | fails again |
| `-STALE` | no answer as fresh as the read asked for | safe |
| `-UNKNOWN` | the write may have been applied: its answer was lost | only if applying it twice is harmless |
| `-VERSIONMISMATCH` | FRESHET.SET: the key is at the version named in the text | after reading again |
| `-CORRUPTED` | stored data failed its own check | fails again |

## Limits

| limit | default |
|---|---|
| arguments of a command | 1,048,576 |
| bytes of an argument | 512 MiB |
| bytes of an inline command | 64 KiB |
| input, and output, of one connection | 1 GiB each |
| large buffers of all connections together | 2 GiB |
| before authentication | 10 arguments of 16 KiB |

A client that does not read its replies gets no further command executed once 256 KiB wait for it; one that passes a limit is
closed, and the log names it.
)";

std::string spoken(std::string_view name) {
  std::string out = to_upper(name);
  std::replace(out.begin(), out.end(), '|', ' ');
  return out;
}

// A bar would end a table's cell.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string commands_markdown() {
  std::string text(kIntroduction);
  for (const auto& [group, title] : kGroups) {
    text += fmt::format("\n## {}\n\n| command | what it does | as in Redis |\n|---|---|---|\n", title);
    for (const Command& command : command_table().all()) {
      if (command.group != group || command.has(kContainer)) continue;
      const std::string usage = spoken(command.name) + (command.syntax.empty() ? "" : " ") + std::string(command.syntax);
      text += fmt::format("| `{}` | {}{}{} | {} |\n", cell(usage), cell(command.summary), command.note.empty() ? "" : " ",
                          cell(command.note), group == "freshet" ? "-" : command.since);
    }
  }
  return text;
}

}  // namespace freshet::server
