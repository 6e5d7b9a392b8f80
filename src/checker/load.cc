// Starting, timing and ending the load's threads.
#include "checker/load.h"

#include <fmt/format.h>

#include <thread>

#include "checker/rows/bypass_watch.h"
#include "checker/rows/row_client.h"
#include "checker/rows/row_sql_client.h"
#include "checker/clients/sql_reader.h"

namespace freshet::checker {
namespace {

// The longest load, so that a mistyped duration does not overflow.
constexpr double kSecondsMax = 30 * 24 * 3600.0;
// How long keys that could not be removed are tried again.
constexpr base::Nanoseconds kCleanupPatience = 10 * base::kSecond;

std::string refusal(const CheckOptions& options) {
  if (options.keys < 1 || options.keys > kKeysMax) return fmt::format("keys must be 1 to {}", kKeysMax);
  if (options.clients < 1 || options.clients > kClientsMax) return fmt::format("clients must be 1 to {}", kClientsMax);
  if (options.sql_clients < 0 || options.sql_clients > kClientsMax) {
    return fmt::format("SQL clients must be 0 to {}", kClientsMax);
  }
  if (!(options.seconds >= 0 && options.seconds <= kSecondsMax)) return fmt::format("seconds must be 0 to {}", kSecondsMax);
  if (options.rows.empty() && (!options.table.empty() || options.exclusive_writer || options.stale_ms != 0)) {
    return "a table, an exclusive writer and stale reads are of a load over rows: give --rows";
  }
  if (options.rows.find(':') != options.rows.npos) return "rows must be the name of a collection";
  if (!(options.stale_ms >= 0 && options.stale_ms <= kStaleMsMax)) {
    return fmt::format("stale reads may be 0 to {} ms old", kStaleMsMax);
  }
  if (options.stale_ms > 0 && !options.exclusive_writer) {
    return "a sealed table is the target's alone, and its reads are never stale: give --exclusive-writer";
  }
  if (options.seconds == 0 && options.operations == 0) return "neither seconds nor operations limit the load";
  return {};
}

// Removes keys that have been judged.
class Cleaner {
 public:
  Cleaner(client::Target target, std::string password, base::Nanoseconds deadline)
      : deadline_(deadline), connection_(std::move(target), std::move(password), deadline) {}

  // Those that cannot be removed now are tried again by finish(); so are those which a write that is still waiting at the
  // target, for its rows or its guard, may bring back.
  void forget(const TrackedKey& key) {
    for (std::string& row : rows_of(key)) {
      if (!remove(row) || key.has_unknown()) left_.push_back(std::move(row));
    }
  }
  // Gives how many stay behind: their names say where they came from.
  std::size_t finish() {
    const base::Nanoseconds end = base::now() + kCleanupPatience;
    const auto in_time = [end] { return base::now() < end; };
    while (!left_.empty() && in_time()) {
      std::erase_if(left_, [&](const std::string& key) { return in_time() && remove(key); });
    }
    return left_.size();
  }

 private:
  bool remove(const std::string& key) {
    if (!connection_.ensure(unheard_)) return false;
    const auto reply = connection_->call({"DEL", key}, base::now() + deadline_);
    return reply && !reply->is_error();
  }

  const base::Nanoseconds deadline_;
  Findings unheard_;  // Its errors are not the load's.
  Reconnecting connection_;
  std::vector<std::string> left_;
};

Result<Abilities> look_at_target(const CheckOptions& options, const client::Target& target, RowTable& table) {
  std::optional<SqlConnection> sql;
  if (!options.via_sql.empty()) {
    sql.emplace(options.via_sql);
    if (auto opened = sql->open(); !opened) return opened.error();
    if (auto primary = refuse_standby(*sql); !primary) return primary.error();
  }
  if (sql && options.rows.empty()) {
    if (auto probed = SqlReader::probe(*sql); !probed) return probed.error();
  }
  const base::Nanoseconds deadline = base::now() + options.call_deadline;
  auto connection = open_connection(target, options.password, deadline);
  if (!connection) return connection.error();
  auto abilities = detect_abilities(*connection, deadline);
  if (!abilities || options.rows.empty()) return abilities;
  if (sql) {
    auto found = find_row_table(*sql, options.table.empty() ? options.rows : options.table);
    if (!found) return found.error();
    table = std::move(*found);
  }
  if (auto probed = probe_rows(*connection, options.rows, sql ? &*sql : nullptr, table); !probed) return probed.error();
  return abilities;
}

// What the keys are, in turn, the hottest one's first: half of them are registers.
std::span<const Family> families_of(const CheckOptions& options) {
  static constexpr Family kKeys[] = {Family::registers, Family::counter, Family::registers, Family::text};
  static constexpr Family kRows[] = {Family::registers, Family::pair, Family::counter, Family::registers};
  // Of reads that may be old only those of unique values can be judged.
  static constexpr Family kWatchedRows[] = {Family::registers};
  if (options.rows.empty()) return kKeys;
  return options.stale_ms > 0 ? std::span<const Family>(kWatchedRows) : kRows;
}

std::string prefix_of(const CheckOptions& options) {
  const std::string fresh = base::UniqueId::make().to_text();
  return options.rows.empty() ? "freshet-check:" + fresh : fmt::format("{}:freshet-check-{}", options.rows, fresh);
}

class Load {
 public:
  Load(const CheckOptions& options, client::Target target, Abilities abilities, RowTable table, std::uint64_t seed)
      : options_(options),
        target_(std::move(target)),
        table_(std::move(table)),
        cleaner_(target_, options.password, options.call_deadline),
        judge_({}, [this] { findings_.stop.request(); }, [this](const TrackedKey& key) { cleaner_.forget(key); }),
        keys_(prefix_of(options), families_of(options), options.keys,
              static_cast<std::size_t>(options.clients + sql_clients()), judge_),
        rows_{keys_, findings_, tally_, static_cast<base::Nanoseconds>(options.stale_ms * base::kMillisecond)},
        abilities_(abilities),
        random_(seed) {
    findings_.operations_max = options.operations;
  }

  void run(LoadReport& report) {
    std::optional<BypassWatch> watch;
    if (!options_.rows.empty()) watch.emplace(target_, options_.password, options_.rows);
    const base::Nanoseconds start = base::now();
    std::vector<std::thread> threads;
    for (int number = 0; number < options_.clients; ++number) threads.push_back(start_client(number));
    for (int number = 0; number < sql_clients(); ++number) threads.push_back(start_sql(options_.clients + number));
    const auto duration = static_cast<base::Nanoseconds>(options_.seconds * static_cast<double>(base::kSecond));
    findings_.stop.wait_until(options_.seconds > 0 ? base::deadline_after(start, duration) : base::kForever);
    findings_.stop.request();
    for (std::thread& thread : threads) thread.join();
    report.seconds = static_cast<double>(base::now() - start) / static_cast<double>(base::kSecond);
    keys_.close();
    report.judgement = judge_.finish();
    report.left_behind = cleaner_.finish();
    report.operations = findings_.operations.load();
    report.reconnects = findings_.reconnects.load();
    report.errors = findings_.errors();
    report.last_error = findings_.last_error();
    report.online_violation = findings_.first_violation();
    if (watch) report.rows = report_rows(*watch);
  }

 private:
  int sql_clients() const { return options_.via_sql.empty() ? 0 : options_.sql_clients; }

  ClientOptions client_options(int number) {
    return {target_, options_.password, options_.call_deadline, static_cast<std::uint32_t>(number), random_(), abilities_};
  }

  std::thread start_client(int number) {
    return std::thread([this, client = client_options(number)] {
      options_.rows.empty() ? LoadClient(client, keys_, findings_).run() : RowClient(client, rows_).run();
    });
  }

  std::thread start_sql(int number) {
    return std::thread([this, client = client_options(number)] {
      if (options_.rows.empty()) return SqlReader(options_.via_sql, client.number, client.seed, keys_, findings_).run();
      RowSqlClient(client, options_.via_sql, options_.rows, table_, rows_).run();
    });
  }

  RowsReport report_rows(BypassWatch& watch) {
    RowsReport report{tally_.all(), watch.watches(), 0, {}, tally_.shortfall(sql_clients() > 0, rows_.together())};
    const std::uint64_t accepted = tally_.of(RowEvent::forbidden_accepted);
    report.noticed = watch.await(accepted);
    if (accepted > 0 && !options_.exclusive_writer) {
      report.violations.push_back(fmt::format("the table {} is not sealed: it accepted {} writes that passed no guard\n",
                                              table_.name, accepted));
    }
    if (accepted > 0 && options_.stale_ms > 0 && !report.watched) {
      report.violations.push_back(fmt::format("nobody watches over {}: {} writes passed no guard and were not noticed\n",
                                              table_.name, accepted));
    }
    if (report.watched && report.noticed < accepted) {
      report.violations.push_back(fmt::format("the watch over {} noticed {} transactions of {} that passed no guard\n",
                                              table_.name, report.noticed, accepted));
    }
    return report;
  }

  const CheckOptions& options_;
  const client::Target target_;
  const RowTable table_;
  Findings findings_;
  RowTally tally_;
  Cleaner cleaner_;  // Used on the judge's thread.
  BackgroundJudge judge_;
  KeySpace keys_;
  RowLoad rows_;
  const Abilities abilities_;
  base::Random random_;
};

}  // namespace

LoadReport run_load(const CheckOptions& options) {
  LoadReport report;
  report.seed = options.seed != 0 ? options.seed : base::entropy();
  report.refused = refusal(options);
  if (!report.refused.empty()) return report;
  const auto target = client::parse_target(options.target);
  if (!target) {
    report.refused = target.error().what + "; " + target.error().remedy;
    return report;
  }
  RowTable table;
  const auto abilities = look_at_target(options, *target, table);
  if (!abilities) {
    report.refused = abilities.error().what + "; " + abilities.error().remedy;
    return report;
  }
  report.abilities = *abilities;
  Load(options, *target, *abilities, std::move(table), report.seed).run(report);
  return report;
}

}  // namespace freshet::checker
