// Reading a command's arguments: CLI11 behind one function that answers every mistake with one line and a hint, and the
// flags that stand for settings of the configuration. May use base only.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <map>
#include <optional>
#include <string>

#include "base/config.h"
#include "cli/command.h"
#include "freshet/result.h"

namespace freshet::cli {

// Reads `arguments` into what `app` is bound to. Gives an exit code if there is nothing more to do: --help was asked for, or
// the arguments are wrong (said on standard error).
std::optional<int> parse(CLI::App& app, Arguments arguments);

// --config and one flag for every setting. Given twice, a flag's last value counts.
class ConfigFlags {
 public:
  explicit ConfigFlags(CLI::App& app);
  // The defaults, under the file if one is named, under the flags.
  Result<base::Config> config() const;

 private:
  std::string file_;
  std::map<std::string_view, std::string> values_;  // By key, as given.
};

// Prints an error as "freshet serve: what. remedy".
void print_error(std::string_view command, const Error& error);

}  // namespace freshet::cli
