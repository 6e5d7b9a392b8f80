// Starting, timing and ending the load's threads.
#include "checker/load.h"

#include <fmt/format.h>

#include <thread>

#include "checker/sql_reader.h"

namespace freshet::checker {
namespace {

// The longest load, so that a mistyped duration does not overflow.
constexpr double kSecondsMax = 30 * 24 * 3600.0;

std::string refusal(const CheckOptions& options) {
  if (options.keys < 1 || options.keys > kKeysMax) return fmt::format("keys must be 1 to {}", kKeysMax);
  if (options.clients < 1 || options.clients > kClientsMax) return fmt::format("clients must be 1 to {}", kClientsMax);
  if (options.sql_clients < 0 || options.sql_clients > kClientsMax) {
    return fmt::format("SQL clients must be 0 to {}", kClientsMax);
  }
  if (!(options.seconds >= 0 && options.seconds <= kSecondsMax)) return fmt::format("seconds must be 0 to {}", kSecondsMax);
  if (options.seconds == 0 && options.operations == 0) return "neither seconds nor operations limit the load";
  return {};
}

// Removes keys that have been judged. What cannot be reached stays: its name says where it came from.
class Cleaner {
 public:
  Cleaner(client::Target target, std::string password, base::Nanoseconds deadline)
      : target_(std::move(target)), password_(std::move(password)), deadline_(deadline) {}

  void forget(const std::string& key) {
    if (!connection_ || !connection_->is_open()) {
      connection_.reset();
      auto opened = open_connection(target_, password_, base::now() + deadline_);
      if (!opened) return;
      connection_.emplace(std::move(*opened));
    }
    (void)connection_->call({"DEL", key}, base::now() + deadline_);
  }

 private:
  client::Target target_;
  std::string password_;
  base::Nanoseconds deadline_;
  std::optional<client::Connection> connection_;
};

Result<Abilities> look_at_target(const CheckOptions& options, const client::Target& target) {
  if (!options.via_sql.empty()) {
    if (auto probed = SqlReader::probe(options.via_sql); !probed) return probed.error();
  }
  const base::Nanoseconds deadline = base::now() + options.call_deadline;
  auto connection = open_connection(target, options.password, deadline);
  if (!connection) return connection.error();
  return detect_abilities(*connection, deadline);
}

class Load {
 public:
  Load(const CheckOptions& options, client::Target target, Abilities abilities, std::uint64_t seed)
      : options_(options),
        target_(std::move(target)),
        cleaner_(target_, options.password, options.call_deadline),
        judge_({}, [this] { findings_.stop.request(); }, [this](const std::string& key) { cleaner_.forget(key); }),
        keys_(fmt::format("freshet-check:{}", base::UniqueId::make().to_text()), options.keys,
              static_cast<std::size_t>(options.clients + sql_clients()), judge_),
        abilities_(abilities),
        random_(seed) {
    findings_.operations_max = options.operations;
  }

  void run(LoadReport& report) {
    const base::Nanoseconds start = base::now();
    std::vector<std::thread> threads;
    for (int number = 0; number < options_.clients; ++number) threads.push_back(start_client(number));
    for (int number = 0; number < sql_clients(); ++number) threads.push_back(start_reader(options_.clients + number));
    const auto duration = static_cast<base::Nanoseconds>(options_.seconds * static_cast<double>(base::kSecond));
    findings_.stop.wait_until(options_.seconds > 0 ? base::deadline_after(start, duration) : base::kForever);
    findings_.stop.request();
    for (std::thread& thread : threads) thread.join();
    report.seconds = static_cast<double>(base::now() - start) / static_cast<double>(base::kSecond);
    keys_.close();
    report.judgement = judge_.finish();
    report.operations = findings_.operations.load();
    report.reconnects = findings_.reconnects.load();
    report.errors = findings_.errors();
    report.last_error = findings_.last_error();
    report.online_violation = findings_.first_violation();
  }

 private:
  int sql_clients() const { return options_.via_sql.empty() ? 0 : options_.sql_clients; }

  std::thread start_client(int number) {
    ClientOptions client{target_, options_.password, options_.call_deadline, static_cast<std::uint32_t>(number), random_(),
                         abilities_};
    return std::thread([this, client = std::move(client)] { LoadClient(client, keys_, findings_).run(); });
  }

  std::thread start_reader(int number) {
    return std::thread([this, number, seed = random_()] {
      SqlReader(options_.via_sql, static_cast<std::uint32_t>(number), seed, keys_, findings_).run();
    });
  }

  const CheckOptions& options_;
  const client::Target target_;
  Findings findings_;
  Cleaner cleaner_;  // Used on the judge's thread.
  BackgroundJudge judge_;
  KeySpace keys_;
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
  const auto abilities = look_at_target(options, *target);
  if (!abilities) {
    report.refused = abilities.error().what + "; " + abilities.error().remedy;
    return report;
  }
  report.abilities = *abilities;
  Load(options, *target, *abilities, report.seed).run(report);
  return report;
}

}  // namespace freshet::checker
