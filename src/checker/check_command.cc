// Prints what the self-test or the load found, for people or as JSON.
#include "checker/check_command.h"

#include <fmt/format.h>

#include <ostream>

#include "base/text.h"
#include "checker/load.h"
#include "checker/rows/row_tally.h"
#include "checker/history/selftest.h"

namespace freshet::checker {
namespace {

std::string json_list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    out += base::quote_json(text);
  }
  return out + "]";
}

std::string json_counts(const std::map<std::string, std::uint64_t>& counts) {
  std::string out = "{";
  for (const auto& [name, count] : counts) {
    out += fmt::format("{}{}:{}", out.size() > 1 ? "," : "", base::quote_json(name), count);
  }
  return out + "}";
}

std::string json_rows(const RowsReport& rows) {
  return fmt::format(",\"rows\":{},\"watched\":{},\"noticed\":{}", json_counts(rows.events), rows.watched, rows.noticed);
}

std::string_view verdict_name(int code) {
  return code == kExitFine ? "fine" : code == kExitViolation ? "violation" : "inconclusive";
}

std::vector<std::string> violations_of(const LoadReport& report) {
  std::vector<std::string> violations = report.judgement.reports;
  // The search's histories are the shorter ones; the online checker's is printed where the search has none.
  if (violations.empty() && !report.online_violation.empty()) violations.push_back(report.online_violation);
  if (report.rows) violations.insert(violations.end(), report.rows->violations.begin(), report.rows->violations.end());
  return violations;
}

// Why a run without a violation still proves nothing; empty if it proves something.
std::string doubt_of(const LoadReport& report) {
  if (!report.refused.empty()) return report.refused;
  if (report.judgement.inconclusive_keys > 0) {
    return fmt::format("{} keys could not be decided: {}", report.judgement.inconclusive_keys,
                       report.judgement.inconclusive.front());
  }
  std::string shortfall = report.judgement.contention.shortfall(report.abilities.freshet_get);
  if (shortfall.empty() && report.rows) shortfall = report.rows->shortfall;
  if (!shortfall.empty() && !report.last_error.empty()) shortfall += "; the last error was: " + report.last_error;
  return shortfall;
}

int code_of(const LoadReport& report, const std::string& doubt) {
  if (report.violated()) return kExitViolation;
  return doubt.empty() ? kExitFine : kExitInconclusive;
}

void print_json(const LoadReport& report, int code, const std::string& doubt, std::ostream& out) {
  const Contention& c = report.judgement.contention;
  out << fmt::format(
      "{{\"verdict\":\"{}\",\"seed\":{},\"seconds\":{:.3f},\"operations\":{},\"reads\":{},\"unknown_outcomes\":{},"
      "\"keys\":{},\"overlapped\":{},\"tells_source\":{},\"hits\":{},\"hits_during_write\":{},\"reads_during_write\":{},"
      "\"reconnects\":{},\"errors\":{},\"violating_keys\":{},\"violations\":{},\"undecided_keys\":{},"
      "\"left_behind\":{},\"doubt\":{}{}}}\n",
      verdict_name(code), report.seed, report.seconds, report.operations, c.reads, c.unknown, report.judgement.keys,
      c.overlapped, report.abilities.freshet_get, c.hits, c.hits_during_write, c.reads_during_write, report.reconnects,
      json_counts(report.errors), report.judgement.violations, json_list(violations_of(report)),
      report.judgement.inconclusive_keys, report.left_behind, base::quote_json(doubt),
      report.rows ? json_rows(*report.rows) : std::string());
}

void print_rows(const RowsReport& rows, std::ostream& out) {
  const auto count = [&](RowEvent event) { return rows.events.at(std::string(name_of(event))); };
  out << fmt::format("{} writes by commands, {} transactions by MULTI, {} reads of pairs\n", count(RowEvent::command_writes),
                     count(RowEvent::transactions), count(RowEvent::pair_reads));
  out << fmt::format("SQL behind FRESHET.GUARD: {} committed, {} rolled back, {} abandoned\n",
                     count(RowEvent::guarded_committed), count(RowEvent::guarded_rolled_back),
                     count(RowEvent::guarded_abandoned));
  out << fmt::format("SQL behind freshet.pass: {} committed, {} rolled back, {} abandoned\n",
                     count(RowEvent::passed_committed), count(RowEvent::passed_rolled_back),
                     count(RowEvent::passed_abandoned));
  out << fmt::format("SQL past the guard: {} refused, {} accepted{}\n", count(RowEvent::forbidden_refused),
                     count(RowEvent::forbidden_accepted),
                     rows.watched ? fmt::format(", {} noticed by the target", rows.noticed) : std::string());
}

void print_load(const LoadReport& report, std::ostream& out) {
  const Contention& c = report.judgement.contention;
  const double rate = report.seconds > 0 ? static_cast<double>(report.operations) / report.seconds : 0;
  out << fmt::format("seed {}\n{} operations in {:.1f} s ({:.0f} per second), {} reads, {} keys judged\n", report.seed,
                     report.operations, report.seconds, rate, c.reads, report.judgement.keys);
  out << fmt::format("{} operations overlapped another client's on their key\n", c.overlapped);
  out << fmt::format("{} reads, surely, while another client's write on the key was in flight\n", c.reads_during_write);
  if (report.abilities.freshet_get) {
    out << fmt::format("{} hits from memory, {} of them while another client's write on the key was in flight\n", c.hits,
                       c.hits_during_write);
  } else {
    out << "the target has no FRESHET.GET: where reads came from is not known, and versions are not checked\n";
  }
  if (report.rows) print_rows(*report.rows, out);
  if (report.left_behind > 0) out << fmt::format("{} keys could not be removed\n", report.left_behind);
  if (c.unknown > 0) out << fmt::format("{} writes of unknown outcome\n", c.unknown);
  if (report.reconnects > 0) out << fmt::format("{} reconnects\n", report.reconnects);
  for (const auto& [kind, count] : report.errors) out << fmt::format("{} errors {}\n", count, kind);
  for (const std::string& violation : violations_of(report)) out << "\nVIOLATION: " << violation;
}

std::string_view verdict_in_words(const LoadReport& report, bool stale, int code) {
  if (code == kExitFine && stale) return "no violation: no read was older than it may be";
  if (code == kExitFine) return "no violation: every answer has a legal order";
  const bool in_histories = report.judgement.violations > 0 || !report.online_violation.empty();
  if (!in_histories) return "\nthe collection is not what it is said to be";
  return stale ? "\nthe target's reads are older than they may be" : "\nthe target is not linearizable";
}

int print_verdict(const LoadReport& report, bool stale, int code, const std::string& doubt, std::ostream& out) {
  if (code != kExitInconclusive) out << verdict_in_words(report, stale, code) << '\n';
  if (code == kExitInconclusive) out << "inconclusive: " << doubt << '\n';
  return code;
}

int run_self_test_command(const CheckOptions& options, std::ostream& out) {
  std::vector<std::string> failed;
  std::size_t count = 0;
  for (const SelfTestResult& result : run_self_test()) {
    ++count;
    if (!result.passed()) failed.push_back(result.name);
    if (options.json) continue;
    const char* expected = result.legal ? "accepted" : "rejected";
    out << fmt::format("{} {}: {}\n", result.passed() ? "ok  " : "FAIL", expected, result.name);
    if (!result.legal) out << render_timeline(result.offending);
  }
  const int code = failed.empty() ? kExitFine : kExitViolation;
  if (options.json) {
    out << fmt::format("{{\"self_test\":{{\"cases\":{},\"failed\":{}}},\"verdict\":\"{}\"}}\n", count, json_list(failed),
                       failed.empty() ? "fine" : "the checkers are broken");
  } else {
    out << (failed.empty() ? fmt::format("self-test: all {} histories judged as they should be\n", count)
                           : std::string("self-test: THE CHECKERS ARE BROKEN\n"));
  }
  return code;
}

}  // namespace

int run_check(const CheckOptions& options, std::ostream& out) {
  if (options.self_test) return run_self_test_command(options, out);
  const LoadReport report = run_load(options);
  const std::string doubt = doubt_of(report);
  const int code = code_of(report, doubt);
  if (options.json) {
    print_json(report, code, doubt, out);
    return code;
  }
  if (report.refused.empty()) print_load(report, out);
  return print_verdict(report, options.stale_ms > 0, code, doubt, out);
}

}  // namespace freshet::checker
