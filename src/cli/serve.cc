// `freshet serve`: configuration, engine, server; other collections on SIGHUP; and an orderly end on SIGTERM and SIGINT:
// ownership first, so that another process can take over at once, then the clients. A second signal ends the process where
// it stands.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "base/config_schema.h"
#include "base/config_values.h"
#include "base/log.h"
#include "cli/arguments.h"
#include "cli/process_options.h"
#include "cli/stop_signals.h"
#include "eviction/policies.h"
#include "server/commands/table.h"
#include "server/server.h"

namespace freshet::cli {
namespace {

void print_config(const base::Config& config) {
  std::string_view section;
  for (const base::Setting& setting : base::settings()) {
    if (setting.section() != section) {
      section = setting.section();
      fmt::print("[{}]\n", section);
    }
    const auto text = base::text_of(config, setting);
    const bool number = setting.type == base::SettingType::integer;
    if (setting.secret && text != base::text_of({}, setting)) {
      fmt::print("# {} is set\n", setting.name());
    } else {
      fmt::print("{} = {}\n", setting.name(), number ? text : base::quote_toml(text));
    }
  }
  for (const auto& collection : config.collections) fmt::print("\n{}", base::text_of(collection));
}

// How long the word "ready" waits for keys to be writable and cacheable, and how often it looks.
constexpr auto kReadyPatience = 5 * base::kSecond;
constexpr auto kReadyPoll = 2 * base::kMillisecond;

// Whether the key-value table, if it is offered, is this node's; or why that will not be soon.
bool owns_keys(const cache::Engine& engine, bool& other_holder) {
  if (engine.stats().slots_guarded == base::kSlots) return true;
  const auto status = engine.ownership_status();
  other_holder = !status.holder.empty() && status.period == 0;
  return false;
}

void report_ownership(const cache::Engine& engine, bool other_holder) {
  const auto status = engine.ownership_status();
  if (other_holder) {
    return base::log_warning("serve", "another holder owns the keys: reads go to storage, and writes fail meanwhile. {}",
                             status.detail);
  }
  base::log_warning("serve", "{} of {} slots guarded after {} s: reads go to storage, and writes fail or wait. {}",
                    engine.stats().slots_guarded, base::kSlots, kReadyPatience / base::kSecond, status.detail);
}

// Waits until this node owns and guards every slot and follows the change stream, as far as it has to, or another holder is
// known, or its patience is over, and says which it was. Gives the signal that told it to stop meanwhile, if one did.
// A SIGHUP meanwhile is kept for later.
std::optional<int> wait_until_ready(cache::Engine& engine, const base::Config& config, StopSignals& signals,
                                    bool& hung_up) {
  const auto begin = base::now();
  const bool observes = std::any_of(config.collections.begin(), config.collections.end(),
                                    [](const base::CollectionConfig& collection) { return !collection.guarded; });
  bool owns = config.key_value == "off", follows = !observes, other_holder = false;
  while (!(owns && follows) && !(other_holder && follows) && base::now() - begin < kReadyPatience) {
    owns = owns || owns_keys(engine, other_holder);
    follows = follows || engine.stats().observed.streaming;
    const auto signal = signals.wait(kReadyPoll);
    hung_up |= signal == SIGHUP;
    if (signal && signal != SIGHUP) return signal;
  }
  if (!owns) report_ownership(engine, other_holder);
  if (!follows) {
    base::log_warning("serve", "the change stream is not followed after {} s: reads of observed collections go to the "
                      "database. {}", kReadyPatience / base::kSecond, engine.stream_status().detail);
  }
  if (owns && follows) {
    base::log_info("serve", "everything can be cached after {} ms", (base::now() - begin) / base::kMillisecond);
  }
  return std::nullopt;
}

void reload(LiveSettings& settings) {
  settings.reload([](const Result<std::vector<std::string>>& lines) {
    if (!lines) return base::log_warning("serve", "not reloaded: {}. {}", lines.error().what, lines.error().remedy);
    for (const auto& line : *lines) base::log_info("serve", "{}", line);
    base::log_info("serve", "reloaded: {} collections are others now", lines->size());
  });
}

int serve(const base::Config& config, LiveSettings::Reread reread) {
  base::set_log_level(*base::parse_log_level(config.log_level));
  StopSignals signals(true);
  LiveSettings settings(config, std::move(reread));
  auto engine = cache::Engine::open(engine_options(config));
  if (!engine) {
    print_error("serve", engine.error());
    return kExitFailed;
  }
  auto server = server::Server::start(server_options(config), server::command_table(), **engine, settings);
  if (!server) {
    print_error("serve", server.error());
    return kExitFailed;
  }
  settings.on_change([&](const base::Config& changed) {
    base::set_log_level(*base::parse_log_level(changed.log_level));
    (*engine)->set_memory(static_cast<std::size_t>(changed.memory_bytes));
    (void)(*engine)->set_policy(changed.policy);  // The schema lists its names.
    const auto options = server_options(changed);
    (*server)->set_clients_max(options.clients_max);
    (*server)->set_idle_timeout(options.idle_timeout_seconds);
  });
  settings.on_reload([&](std::vector<storage::CollectionSpec> specs, LiveSettings::Reloaded done) {
    (*engine)->change_collections(std::move(specs), std::move(done));
  });
  bool hung_up = false;
  auto signal = wait_until_ready(**engine, config, signals, hung_up);
  if (!signal) {
    base::log_info("serve", "ready on {}, storage {}", (*server)->endpoint().to_text(),
                   config.storage_url == "embedded" ? "embedded in " + config.data_directory : std::string("PostgreSQL"));
    if (hung_up) reload(settings);
    while ((signal = signals.wait()) == SIGHUP) reload(settings);
  }
  base::log_info("serve", "stopping on signal {}", *signal);
  settings.on_change(nullptr);
  settings.on_reload(nullptr);
  (*engine)->release();
  server->reset();
  engine->reset();
  base::log_info("serve", "stopped");
  return kExitFine;
}

}  // namespace

int run_serve(Arguments arguments) {
  CLI::App app("Serves clients that speak the Redis protocol.", "freshet serve");
  ConfigFlags flags(app);
  bool check_config = false;
  app.add_flag("--check-config", check_config, "read the configuration, print it or what is wrong with it, and stop");
  if (const auto exit_code = parse(app, arguments)) return *exit_code;
  const auto config = flags.config();
  if (!config) {
    print_error("serve", config.error());
    return kExitUsage;
  }
  if (check_config) {
    print_config(*config);
    return kExitFine;
  }
  return serve(*config, [&] { return flags.config(); });
}

}  // namespace freshet::cli
