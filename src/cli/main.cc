// The program `freshet`.
#include <string>
#include <vector>

#include "base/log.h"
#include "cli/command.h"

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  const int exit_code = freshet::cli::run(words);
  freshet::base::flush_log();
  return exit_code;
}
