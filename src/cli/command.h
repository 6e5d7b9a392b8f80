// The commands of the program `freshet`: one file each, dispatched by main.cc. May use every room.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace freshet::cli {

// The program's exit codes; `check` adds its own (checker/check_command.h).
inline constexpr int kExitFine = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 64;  // The command line or the configuration is wrong (EX_USAGE).

using Arguments = std::span<const std::string>;

struct Command {
  std::string_view name;
  std::string_view summary;
  int (*run)(Arguments arguments);  // What stands after the command's name; returns the exit code.
};

std::span<const Command> commands();

int run_serve(Arguments arguments);
int run_check(Arguments arguments);
int run_doctor(Arguments arguments);
int run_explain(Arguments arguments);
int run_sim(Arguments arguments);
int run_bench(Arguments arguments);
int run_record(Arguments arguments);
int run_demo(Arguments arguments);
int run_config(Arguments arguments);
int run_version(Arguments arguments);
int run_help(Arguments arguments);

// Runs the command that arguments[0] names.
int run(Arguments arguments);

}  // namespace freshet::cli
