// docs/COMMANDS.md, made from the table.
#include <fmt/format.h>

#include <algorithm>

#include "server/command.h"

namespace freshet::server {
namespace {

constexpr std::pair<std::string_view, std::string_view> kGroups[] = {
    {"connection", "Connection"}, {"server", "Server"}, {"string", "Strings"}, {"generic", "Keys and expiry"},
    {"freshet", "Beyond Redis"},
};

constexpr std::string_view kIntroduction = R"(# Commands

Made from the server's command table; a test compares the two. Freshet speaks RESP2 and RESP3, with Redis's replies and error
texts, as of Redis 7.0. Keys have at most 8 KiB, values at most 512 MiB. Values are strings.

Reads are linearizable: at least as new as every write acknowledged before the read began. Commands of one connection are
executed in order; the replies of a pipeline leave together.

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
    for (const Command& command : all_commands()) {
      if (command.group != group || command.has(kContainer)) continue;
      const std::string usage = spoken(command.name) + (command.syntax.empty() ? "" : " ") + std::string(command.syntax);
      text += fmt::format("| `{}` | {}{}{} | {} |\n", cell(usage), cell(command.summary), command.note.empty() ? "" : " ",
                          cell(command.note), group == "freshet" ? "-" : command.since);
    }
  }
  return text;
}

}  // namespace freshet::server
