// `freshet check`: the checker room's tool, from the command line.
#include <iostream>

#include "checker/check_command.h"
#include "cli/arguments.h"

namespace freshet::cli {

int run_check(Arguments arguments) {
  checker::CheckOptions options;
  CLI::App app("Writes and reads at a running deployment and checks every answer. Exit 1: a violation, printed with the\n"
               "shortest offending history. Exit 2: inconclusive, too little happened at once to prove anything.",
               "freshet check");
  app.add_option("--target", options.target, "the deployment to check")->type_name("HOST:PORT")->capture_default_str();
  app.add_option("--password", options.password, "sent with AUTH")->type_name("TEXT");
  app.add_option("--seconds", options.seconds, "how long; 0: until --operations")->capture_default_str();
  app.add_option("--operations", options.operations, "stop after so many; 0: by time only")->capture_default_str();
  app.add_option("--keys", options.keys, "keys in use at a time; fewer: more contention")
      ->check(CLI::Range(1, checker::kKeysMax))->capture_default_str();
  app.add_option("--clients", options.clients, "connections")
      ->check(CLI::Range(1, checker::kClientsMax))->capture_default_str();
  app.add_option("--via-sql", options.via_sql, "read by SQL as well, in the same history")->type_name("postgres://…");
  app.add_option("--sql-clients", options.sql_clients, "connections that read by SQL")
      ->check(CLI::Range(1, checker::kClientsMax))->capture_default_str();
  app.add_flag("--self-test", options.self_test, "check the checkers: corrupted histories must be rejected");
  app.add_flag("--json", options.json, "one JSON object instead of prose");
  app.add_option("--seed", options.seed, "of the workload; 0: drawn, and printed")->capture_default_str();
  if (const auto exit_code = parse(app, arguments)) return *exit_code;
  return checker::run_check(options, std::cout);
}

}  // namespace freshet::cli
