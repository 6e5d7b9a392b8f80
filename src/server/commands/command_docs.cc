// docs/COMMANDS.md, made from the table.
#include <fmt/format.h>

#include <algorithm>

#include "server/commands/table.h"

namespace freshet::server {
namespace {

constexpr std::pair<std::string_view, std::string_view> kGroups[] = {
    {"connection", "Connection"}, {"server", "Server"}, {"string", "Strings"}, {"hash", "Hashes"},
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
| of the key-value table, a string | the string | `-WRONGTYPE` | the string | as in Redis |
| of the key-value table, a hash | `-WRONGTYPE` | its fields | a map of strings | as in Redis: [below](#hashes) |
| `users:42`, a row | a JSON object | its columns; NULL is an absent field | a map of typed columns | `-READONLY` |
| `accounts:7`, a guarded row | the same | the same | the same | write the row: [WRITING-ROWS.md](WRITING-ROWS.md) |
| `orders-by-customer:17`, a query | a JSON array of objects | `-WRONGTYPE` | an array of such maps | `-READONLY` |

On rows the hash commands answer with the columns' texts as PostgreSQL writes them (`t` and `f` for booleans), as bulk
strings in RESP3 too (HGETALL in a map), as Redis does: client libraries decode them as their callers expect.
FRESHET.GET gives a row's columns as RESP3 numbers, doubles, booleans, nulls and strings; `numeric` stays a string, with
every digit.

A hash of the key-value table is stored and cached whole, as one value: reading a field is a look into memory, and changing
one writes all of them, to memory and to the database. That suits objects of up to some kilobytes: a session, a user's
settings, some counters. A write costs about what `SET … XX` of as many bytes costs (plain SETs of several clients travel
together, and cost half). Writes of one hash take turns, one transaction of the database after the other. Larger collections
belong into a table: [WRITING-ROWS.md](WRITING-ROWS.md). Expiry belongs to the key; that of single fields (HEXPIRE) is not
offered.

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
| `-WRONGTYPE` | a hash command on a string, one for strings on a hash, or one that a row does not take | fails again |
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
| a hash | 65,536 fields, and 4 MiB in all |
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
