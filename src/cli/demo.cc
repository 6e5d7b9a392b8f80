// `freshet demo`: a server in this process that follows a table of the given PostgreSQL, writers that change it by plain
// SQL, clients that read it through Freshet at full speed, every read checked, and a picture of it twice a second. Exit 1 if
// a read was not legal.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/demo_load.h"
#include "cli/process_options.h"
#include "cli/stop_signals.h"
#include "server/commands/table.h"
#include "server/server.h"

namespace freshet::cli {
namespace {

constexpr base::Nanoseconds kRefresh = base::kSecond / 2;
// A replication slot is made once the transactions that run have ended.
constexpr base::Nanoseconds kStreamWaitMax = 30 * base::kSecond;
constexpr base::Nanoseconds kStreamLook = 20 * base::kMillisecond;

struct DemoOptions {
  std::string storage;
  double seconds = 30;
  std::uint32_t keys = 20'000;
  int clients = 4;
  int writers = 2;
  std::uint64_t seed = 0;
};

void show(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

DemoFigures figures_of(const DemoLoad& load, const cache::Engine& engine, const cache::EngineStats& before) {
  DemoFigures figures = load.figures();
  const auto stats = engine.stats();
  figures.hits = stats.hits - before.hits;
  figures.misses = stats.misses - before.misses;
  const auto statements = [](const cache::EngineStats& of) { return of.observed.probes + of.observed.fill_statements; };
  figures.statements = statements(stats) - statements(before);
  return figures;
}

// Waits until the change stream is followed: before that, reads go to the database. False if a signal came, or it took too
// long.
bool wait_for_stream(const cache::Engine& engine, StopSignals& signals) {
  const auto end = base::now() + kStreamWaitMax;
  while (!engine.stats().observed.streaming) {
    if (signals.wait(kStreamLook)) return false;
    if (base::now() < end) continue;
    print_error("demo", Error::of(ErrorCode::unavailable, "the change stream did not start",
                                  "freshet doctor says what the database lacks; a long transaction may hold it up"));
    return false;
  }
  return true;
}

// Runs the load until the time is over, a signal comes, or a client has given up.
void watch(DemoLoad& load, const cache::Engine& engine, const DemoOptions& options, StopSignals& signals) {
  const auto before = engine.stats();
  const bool live = isatty(STDOUT_FILENO) == 1;
  DemoScreen screen(live, fmt::format("freshet demo · {} clients read · {} writers write around it, by SQL · {} records",
                                      options.clients, options.writers, base::with_commas(options.keys)));
  load.start();
  const auto duration = static_cast<base::Nanoseconds>(options.seconds * base::kSecond);
  const auto end = base::deadline_after(base::now(), duration > 0 ? duration : base::kForever);
  for (auto next = base::now() + kRefresh; base::now() < end && load.failure().empty(); next += kRefresh) {
    const bool stop = signals.wait(std::min(next, end) - base::now()).has_value();
    show(screen.refresh(figures_of(load, engine, before)));
    if (stop) break;
  }
  load.stop();
  show(screen.summary(figures_of(load, engine, before)));
}

int conclude(const DemoLoad& load) {
  for (const auto& text : load.reports()) fmt::print("\nVIOLATION: {}", text);
  if (load.figures().violations > 0) return kExitFailed;
  if (const auto failure = load.failure(); !failure.empty()) {
    fmt::print(stderr, "freshet demo: a client gave up: {}\n", failure);
    return kExitFailed;
  }
  return kExitFine;
}

cache::EngineOptions demo_engine(const base::Config& config) {
  auto options = engine_options(config);
  options.key_value = false;
  options.fleet = kDemoFleet;
  storage::CollectionSpec records;
  records.name = kDemoCollection;
  records.table = kDemoTable;
  options.collections = {std::move(records)};
  return options;
}

int demo(const DemoOptions& options) {
  StopSignals signals;
  base::Config config;
  config.storage_url = options.storage;
  config.listen = "127.0.0.1:0";
  config.log_level = "warning";
  base::set_log_level(base::LogLevel::warning);
  const auto seed = options.seed != 0 ? options.seed : base::entropy();
  show(fmt::format("freshet demo: a table of {} records, seed {}\n", base::with_commas(options.keys), seed));
  if (auto filled = DemoLoad::fill(options.storage, options.keys); !filled) {
    print_error("demo", filled.error());
    return kExitFailed;
  }
  LiveSettings settings(config);
  auto engine = cache::Engine::open(demo_engine(config));
  if (!engine) {
    print_error("demo", engine.error());
    return kExitFailed;
  }
  auto server = server::Server::start(server_options(config), server::command_table(), **engine, settings);
  if (!server) {
    print_error("demo", server.error());
    return kExitFailed;
  }
  if (!wait_for_stream(**engine, signals)) return kExitFailed;

  DemoLoad load({{"127.0.0.1", (*server)->port()}, options.storage, options.keys, options.clients, options.writers, seed});
  watch(load, **engine, options, signals);
  (*engine)->release();
  server->reset();
  engine->reset();
  if (auto cleaned = DemoLoad::clean(options.storage); !cleaned) print_error("demo", cleaned.error());
  return conclude(load);
}

}  // namespace

int run_demo(Arguments arguments) {
  DemoOptions options;
  CLI::App app("Follows a table of a PostgreSQL, which writers change by plain SQL, around Freshet. Clients read it\n"
               "through Freshet at full speed; every read is checked against the legal history of its record. The table\n"
               "is dropped at the end. `./start demo` brings a temporary PostgreSQL along.", "freshet demo");
  app.add_option("--storage", options.storage, "the database")->type_name("postgres://…")->required();
  app.add_option("--seconds", options.seconds, "how long; 0: until interrupted")->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--keys", options.keys, "records")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  app.add_option("--clients", options.clients, "connections")->check(CLI::Range(1, 256))->capture_default_str();
  app.add_option("--writers", options.writers, "connections that write by SQL")->check(CLI::Range(0, 64))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of the load; 0: drawn, and printed")->capture_default_str();
  if (const auto exit_code = parse(app, arguments)) return *exit_code;
  return demo(options);
}

}  // namespace freshet::cli
