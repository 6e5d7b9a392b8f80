// The table of commands, and the two that only talk about the program itself.
#include "cli/command.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <vector>

#include "base/config_values.h"

namespace freshet::cli {
namespace {

constexpr std::array kCommands = {
    Command{"serve", "serve clients that speak the Redis protocol", run_serve},
    Command{"check", "check a running deployment: are its reads linearizable?", run_check},
    Command{"doctor", "check a PostgreSQL: can it be followed, and what would mend it?", run_doctor},
    Command{"explain", "ask a server about a key: where it comes from, why it is or is not cached", run_explain},
    Command{"sim", "replay a trace: what would a cache of this size and policy miss?", run_sim},
    Command{"record", "write down what a running server is asked for: a trace for freshet sim", run_record},
    Command{"bench", "load a server and measure it, or two in turns; or the library in process", run_bench},
    Command{"demo", "show it live: load, reads checked, beside the database read directly", run_demo},
    Command{"config", "print the configuration reference", run_config},
    Command{"version", "print the version", run_version},
    Command{"help", "print this", run_help},
};

}  // namespace

std::span<const Command> commands() { return kCommands; }

int run_version(Arguments) {
  fmt::print("freshet {}\n", FRESHET_VERSION);
  return kExitFine;
}

int run_help(Arguments) {
  fmt::print("Freshet: a distributed cache whose reads are consistent with the database behind it.\n\n");
  fmt::print("usage: freshet COMMAND [arguments]; freshet COMMAND --help says more\n\n");
  for (const Command& command : kCommands) fmt::print("  {:<8} {}\n", command.name, command.summary);
  return kExitFine;
}

int run(Arguments arguments) {
  if (arguments.empty()) {
    run_help({});
    return kExitUsage;
  }
  std::string_view name = arguments.front();
  if (name == "--help" || name == "-h") name = "help";
  if (name == "--version") name = "version";
  std::vector<std::string_view> names;
  for (const Command& command : kCommands) {
    if (command.name == name) return command.run(arguments.subspan(1));
    names.push_back(command.name);
  }
  const auto near = base::nearest_name(name, names);
  fmt::print(stderr, "freshet: there is no command \"{}\"{}\n", name,
             near.empty() ? std::string("; freshet help lists them") : fmt::format("; did you mean \"{}\"?", near));
  return kExitUsage;
}

}  // namespace freshet::cli
