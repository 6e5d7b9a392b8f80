// `freshet demo`: a server in this process on the given PostgreSQL, clients at full speed, every read checked, and a picture
// of it twice a second. Exit 1 if a read was not legal.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "base/random.h"
#include "base/slot.h"
#include "cli/arguments.h"
#include "cli/demo_load.h"
#include "cli/process_options.h"
#include "cli/stop_signals.h"
#include "server/server.h"

namespace freshet::cli {
namespace {

constexpr base::Nanoseconds kRefresh = base::kSecond / 2;
// A lease of another process has to run out first, if one was killed.
constexpr base::Nanoseconds kOwnershipWaitMax = 15 * base::kSecond;
constexpr base::Nanoseconds kOwnershipLook = 20 * base::kMillisecond;

struct DemoOptions {
  std::string storage;
  double seconds = 30;
  std::uint32_t keys = 20'000;
  int clients = 4;
  double write_share = 0.05;
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
  return figures;
}

// Waits until every slot is guarded: before that, writes are refused. False if a signal came, or it took too long.
bool wait_for_ownership(const cache::Engine& engine, StopSignals& signals) {
  const auto end = base::now() + kOwnershipWaitMax;
  while (engine.stats().slots_guarded < static_cast<std::uint64_t>(base::kSlots)) {
    if (signals.wait(kOwnershipLook)) return false;
    if (base::now() < end) continue;
    const auto status = engine.ownership_status();
    print_error("demo", Error::of(ErrorCode::not_owner, status.detail, "Is another Freshet at work on this database?"));
    return false;
  }
  return true;
}

// Runs the load until the time is over, a signal comes, or a client has given up.
void watch(DemoLoad& load, const cache::Engine& engine, const DemoOptions& options, StopSignals& signals) {
  const auto before = engine.stats();
  const bool live = isatty(STDOUT_FILENO) == 1;
  DemoScreen screen(live, fmt::format("freshet demo · {} clients · {} records · {:.0f} % writes", options.clients,
                                      with_commas(options.keys), 100 * options.write_share));
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

int demo(const DemoOptions& options) {
  StopSignals signals;
  base::Config config;
  config.storage_url = options.storage;
  config.listen = "127.0.0.1:0";
  config.log_level = "warning";
  base::set_log_level(base::LogLevel::warning);
  LiveSettings settings(config);
  auto engine = cache::Engine::open(engine_options(config));
  if (!engine) {
    print_error("demo", engine.error());
    return kExitFailed;
  }
  auto server = server::Server::start(server_options(config), **engine, settings);
  if (!server) {
    print_error("demo", server.error());
    return kExitFailed;
  }
  if (!wait_for_ownership(**engine, signals)) return kExitFailed;

  const auto seed = options.seed != 0 ? options.seed : base::entropy();
  const auto run = fmt::format("demo-{:08x}", static_cast<std::uint32_t>(base::entropy()));
  DemoLoad load({{"127.0.0.1", (*server)->port()}, options.storage, run, options.keys, options.clients,
                 options.write_share, seed});
  show(fmt::format("freshet demo: writing {} records, seed {}\n", with_commas(options.keys), seed));
  if (auto filled = load.fill(); !filled) {
    print_error("demo", filled.error());
    return kExitFailed;
  }
  watch(load, **engine, options, signals);
  if (auto cleaned = load.clean(); !cleaned) print_error("demo", cleaned.error());
  (*engine)->release();
  server->reset();
  return conclude(load);
}

}  // namespace

int run_demo(Arguments arguments) {
  DemoOptions options;
  CLI::App app("Loads records into a PostgreSQL through Freshet, writes and reads them at full speed, checks every read\n"
               "against the legal history of its record, and shows it. The records are removed at the end. `./start demo`\n"
               "brings a temporary PostgreSQL along.", "freshet demo");
  app.add_option("--storage", options.storage, "the database")->type_name("postgres://…")->required();
  app.add_option("--seconds", options.seconds, "how long; 0: until interrupted")->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--keys", options.keys, "records")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  app.add_option("--clients", options.clients, "connections")->check(CLI::Range(1, 256))->capture_default_str();
  app.add_option("--writes", options.write_share, "share of the operations that write")->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of the load; 0: drawn, and printed")->capture_default_str();
  if (const auto exit_code = parse(app, arguments)) return *exit_code;
  return demo(options);
}

}  // namespace freshet::cli
