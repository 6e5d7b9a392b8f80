// Reads and transactions by SQL.
#include "checker/rows/row_sql_client.h"

#include <algorithm>

#include "checker/rows/row_statements.h"

namespace freshet::checker {
namespace {

constexpr base::Nanoseconds kReconnectPause = 50 * base::kMillisecond;
// A wait for the guard of rows that others hold.
constexpr base::Nanoseconds kGuardPatience = 5 * base::kSecond;
// Of a hundred steps. Those behind freshet.pass are few: each keeps the rows of its cells out of memory for a while.
constexpr std::uint64_t kReadsPercent = 60;
constexpr std::uint64_t kGuardedPercent = 22;
constexpr std::uint64_t kPassedPercent = 2;
constexpr std::uint64_t kReadsInTransactionsPercent = 25;
// The seal's error.
constexpr std::string_view kSealed = "FR005";

}  // namespace

RowSqlClient::RowSqlClient(ClientOptions options, std::string url, std::string collection, RowTable table, RowLoad& load)
    : options_(std::move(options)),
      collection_(std::move(collection)),
      table_(std::move(table)),
      load_(load),
      mix_(load, options_.number, options_.seed),
      sql_(std::move(url)),
      connection_(options_.target, options_.password, options_.call_deadline) {}

void RowSqlClient::run() {
  while (!load_.findings.stop.requested()) {
    if (ensure_connected()) step();
  }
}

bool RowSqlClient::ensure_connected() {
  if (sql_.is_open()) return true;
  if (sql_.was_opened()) load_.findings.reconnects.fetch_add(1, std::memory_order_relaxed);
  const auto opened = sql_.open();
  if (opened) return true;
  load_.findings.count_error("SQL " + opened.error().what);
  load_.findings.stop.wait_until(base::now() + kReconnectPause);
  return false;
}

void RowSqlClient::step() {
  const std::uint64_t die = mix_.random().below(100);
  if (die < kReadsPercent) return read();
  if (die < kReadsPercent + kGuardedPercent) return write_guarded();
  if (die < kReadsPercent + kGuardedPercent + kPassedPercent) return write_passed();
  write_forbidden();
}

std::vector<std::string> RowSqlClient::rows_of_all(const std::vector<Part>& parts) const {
  std::vector<std::string> rows;
  for (const Part& part : parts) rows.insert(rows.end(), part.rows.begin(), part.rows.end());
  return rows;
}

bool RowSqlClient::succeeds(const SqlAnswer& answer) {
  // Counted by its SQLSTATE.
  if (!answer.ok()) load_.findings.count_error("SQL-" + answer.state() + " " + answer.message());
  return answer.ok();
}

bool RowSqlClient::execute(std::vector<Part>& parts) {
  return std::ranges::all_of(parts, [&](Part& part) {
    const std::string ids = ids_of(part.rows, collection_);
    const SqlAnswer answer = run_row_statement(sql_, part.operation, ids, table_, part.manner.column);
    if (!succeeds(answer)) return false;
    if (is_read(part.operation)) part.operation.source = Source::sql;
    mix_.note(interpret_row_answer(answer, part.rows.size(), part.operation), part);
    return part.operation.outcome == Outcome::ok;
  });
}

void RowSqlClient::read() {
  std::vector<Part> parts;
  parts.push_back(mix_.draw(Via::command, 100));
  parts.front().rows = rows_of(*parts.front().key);
  parts.front().operation.slack_ns = 0;
  mix_.begin(parts);
  const bool done = execute(parts);
  if (!done) return mix_.finish_all(parts, Outcome::failed);
  mix_.finish(parts, base::now());
}

void RowSqlClient::write_forbidden() {
  std::vector<Part> parts;
  parts.push_back(mix_.draw(Via::forbidden_sql, 0));
  Part& part = parts.front();
  mix_.begin(parts);
  const std::string ids = ids_of(part.rows, collection_);
  const SqlAnswer answer = run_row_statement(sql_, part.operation, ids, table_, part.manner.column);
  if (answer.ok()) {
    mix_.note(interpret_row_answer(answer, part.rows.size(), part.operation), part);
    // Where there is nothing to change it passes everywhere.
    if (may_have_written(part.operation)) load_.tally.count(RowEvent::forbidden_accepted);
    return mix_.finish(parts, base::now());
  }
  const bool lost = !sql_.is_open();
  if (answer.state() == kSealed) {
    load_.tally.count(RowEvent::forbidden_refused);
  } else {
    if (lost) load_.tally.count(RowEvent::forbidden_unknown);
    succeeds(answer);
  }
  mix_.finish_all(parts, lost ? Outcome::unknown : Outcome::failed);
}

RowSqlClient::Ending RowSqlClient::draw_ending() {
  static constexpr Ending kEndings[] = {Ending::roll_back, Ending::say_nothing, Ending::cut_before, Ending::cut_during};
  return mix_.chance_percent(30) ? kEndings[mix_.random().below(std::size(kEndings))] : Ending::commit;
}

Outcome RowSqlClient::end(std::vector<Part>& parts, Ending ending) {
  if (ending == Ending::roll_back || ending == Ending::cut_before) {
    if (ending == Ending::cut_before) sql_.close();
    if (ending == Ending::roll_back) (void)sql_.run("ROLLBACK");
    mix_.finish_all(parts, Outcome::failed);
    return Outcome::failed;
  }
  if (ending == Ending::cut_during) {
    sql_.send_and_close("COMMIT");
    mix_.finish_all(parts, Outcome::unknown);
    return Outcome::unknown;
  }
  const SqlAnswer answer = sql_.run("COMMIT");
  if (answer.ok() && answer.tag() == "COMMIT") {
    mix_.finish(parts, base::now());
    return Outcome::ok;
  }
  succeeds(answer);
  const Outcome outcome = sql_.is_open() ? Outcome::failed : Outcome::unknown;
  mix_.finish_all(parts, outcome);
  return outcome;
}

void RowSqlClient::write_guarded() {
  if (!connection_.ensure(load_.findings)) return;
  std::vector<Part> parts = mix_.draw_several(Via::guarded_sql, kReadsInTransactionsPercent);
  const std::vector<std::string> rows = rows_of_all(parts);
  std::vector<std::string_view> command{"FRESHET.GUARD"};
  command.insert(command.end(), rows.begin(), rows.end());
  const auto lent = connection_->call(command, base::now() + kGuardPatience);
  if (!lent || lent->items.size() != 2) {
    return load_.findings.count_error(lent ? lent->text : "CONNECTION " + lent.error().what);
  }
  mix_.begin(parts);
  Ending ending = draw_ending();
  const bool passed = succeeds(sql_.run("BEGIN")) && succeeds(sql_.run(lent->items[1].text));
  if (!passed || !execute(parts)) ending = Ending::roll_back;
  if (ending == Ending::say_nothing) connection_.drop();
  const Outcome outcome = end(parts, ending);
  if (ending == Ending::commit && outcome == Outcome::ok) load_.tally.count(RowEvent::guarded_committed);
  if (ending == Ending::roll_back) load_.tally.count(RowEvent::guarded_rolled_back);
  if (ending != Ending::commit && ending != Ending::roll_back) load_.tally.count(RowEvent::guarded_abandoned);
  if (ending != Ending::say_nothing) tell(lent->items[0].integer, outcome, ending);
}

// A cut connection leaves it open how the transaction ended: that is what is said, or nothing, and the connection goes.
void RowSqlClient::tell(std::int64_t guard, Outcome outcome, Ending ending) {
  const bool cut = ending == Ending::cut_before || ending == Ending::cut_during;
  if (cut && mix_.random().below(2) == 0) return connection_.drop();
  const std::string_view word = cut || outcome == Outcome::unknown ? "UNKNOWN"
                                : outcome == Outcome::ok           ? "COMMITTED"
                                                                   : "ROLLEDBACK";
  const auto told = connection_->call({"FRESHET.UNGUARD", std::to_string(guard), word}, base::now() + kGuardPatience);
  if (!told) return load_.findings.count_error("CONNECTION " + told.error().what);
  if (told->is_error()) load_.findings.count_error(told->text);
}

void RowSqlClient::write_passed() {
  std::vector<Part> parts = mix_.draw_several(Via::passed_sql, kReadsInTransactionsPercent);
  std::string keys = "{";
  for (const std::string& row : rows_of_all(parts)) keys += (keys.size() > 1 ? ",\"" : "\"") + row + "\"";
  if (!succeeds(sql_.run("BEGIN"))) return;
  const bool passed = succeeds(sql_.run("SELECT freshet.pass(VARIADIC $1::text[])", {keys + "}"}));
  mix_.begin(parts);
  Ending ending = draw_ending();
  if (ending == Ending::say_nothing) ending = Ending::commit;
  if (!passed || !execute(parts)) ending = Ending::roll_back;
  const Outcome outcome = end(parts, ending);
  if (ending == Ending::commit && outcome == Outcome::ok) load_.tally.count(RowEvent::passed_committed);
  if (ending == Ending::roll_back) load_.tally.count(RowEvent::passed_rolled_back);
  if (ending == Ending::cut_before || ending == Ending::cut_during) load_.tally.count(RowEvent::passed_abandoned);
}

}  // namespace freshet::checker
