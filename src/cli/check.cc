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
  app.add_option("--via-sql", options.via_sql, "read by SQL as well, in the same history; with --rows, write too")
      ->type_name("postgres://…");
  app.add_option("--sql-clients", options.sql_clients, "connections that speak SQL")
      ->check(CLI::Range(1, checker::kClientsMax))->capture_default_str();
  app.add_option("--rows", options.rows, "check rows of this guarded collection instead of keys and values")
      ->type_name("COLLECTION");
  app.add_option("--table", options.table, "the collection's table; called as the collection if not given")
      ->type_name("[SCHEMA.]NAME");
  app.add_flag("--exclusive-writer", options.exclusive_writer, "that table is not sealed: it accepts every write");
  app.add_option("--stale-ms", options.stale_ms, "and the target notices such writes: reads may be so much older")
      ->check(CLI::Range(0.0, checker::kStaleMsMax));
  app.add_flag("--self-test", options.self_test, "check the checkers: corrupted histories must be rejected");
  app.add_flag("--json", options.json, "one JSON object instead of prose");
  app.add_option("--seed", options.seed, "of the workload; 0: drawn, and printed")->capture_default_str();
  if (const auto exit_code = parse(app, arguments)) return *exit_code;
  return checker::run_check(options, std::cout);
}

}  // namespace freshet::cli
