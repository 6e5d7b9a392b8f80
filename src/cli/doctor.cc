// `freshet doctor`: is the database fit to be followed? Prints what it found, and the statements that mend what is missing.
#include <fmt/format.h>

#include "cache/observed_options.h"
#include "cli/arguments.h"
#include "cli/process_options.h"
#include "storage/postgres/doctor/doctor.h"

namespace freshet::cli {
namespace {

using storage::postgres::Finding;
using storage::postgres::Verdict;

std::string_view mark_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::fine: return "ok    ";
    case Verdict::advice: return "advice";
    case Verdict::broken: return "BROKEN";
  }
  return "";
}

void print(const Finding& finding) {
  fmt::print("{}  {}\n", mark_of(finding.verdict), finding.what);
  for (const auto& statement : finding.statements) fmt::print("            {}\n", statement);
  if (!finding.note.empty()) fmt::print("          ({})\n", finding.note);
}

}  // namespace

int run_doctor(Arguments arguments) {
  CLI::App app("Checks a PostgreSQL for use with observed collections, and prints the SQL that mends what is missing.\n"
               "Changes nothing. Exit 1 if something is broken.",
               "freshet doctor");
  ConfigFlags flags(app);
  if (const auto exit_code = parse(app, arguments)) return *exit_code;
  const auto config = flags.config();
  if (!config) {
    print_error("doctor", config.error());
    return kExitUsage;
  }
  if (config->storage_url == "embedded") {
    print_error("doctor", Error::of(ErrorCode::invalid_argument, "the embedded storage needs no doctor",
                                    "name a database: --storage postgres://…"));
    return kExitUsage;
  }
  const auto findings = storage::postgres::examine(cache::observed_options(engine_options(*config)));
  bool broken = false;
  for (const auto& finding : findings) {
    print(finding);
    broken = broken || finding.verdict == Verdict::broken;
  }
  fmt::print("{}\n", broken ? "Freshet cannot follow this database yet." : "Freshet can follow this database.");
  return broken ? kExitFailed : kExitFine;
}

}  // namespace freshet::cli
