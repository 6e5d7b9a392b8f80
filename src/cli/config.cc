// `freshet config reference`: docs/CONFIGURATION.md on standard output.
#include "base/config.h"

#include <fmt/format.h>

#include "cli/arguments.h"

namespace freshet::cli {

int run_config(Arguments arguments) {
  CLI::App app("Prints the configuration reference, as Markdown.", "freshet config");
  std::string what;
  app.add_option("what", what, "reference")->required()->check(CLI::IsMember({"reference"}));
  if (const auto exit_code = parse(app, arguments)) return *exit_code;
  fmt::print("{}", base::config_reference());
  return kExitFine;
}

}  // namespace freshet::cli
