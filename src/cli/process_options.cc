// Configuration, mapped.
#include "cli/process_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/config_values.h"
#include "cache/observed_options.h"

namespace freshet::cli {
namespace {

// Whole seconds, rounded up: a short time must not turn into "never".
std::int64_t seconds_of(base::Nanoseconds duration) {
  return duration / base::kSecond + (duration % base::kSecond != 0 ? 1 : 0);
}

storage::Level level_of(const base::CollectionConfig& collection) {
  if (collection.read_level == "bounded") return storage::Level::bounded;
  return collection.read_level == "any" ? storage::Level::any : storage::Level::linearizable;
}

storage::CollectionSpec spec_of(const base::CollectionConfig& collection) {
  storage::CollectionSpec spec;
  spec.name = collection.name;
  spec.table = collection.table;
  spec.columns = collection.columns;
  spec.query = collection.query;
  spec.depends_on = collection.depends_on;
  spec.declared = collection.declared;
  spec.level = level_of(collection);
  spec.bound = collection.bound;
  spec.guarded = collection.guarded;
  spec.exclusive_writer = collection.exclusive_writer;
  spec.followed = collection.follow;
  spec.version_column = collection.version_column;
  spec.expires_column = collection.expires_column;
  spec.line = collection.line;
  return spec;
}

}  // namespace

cache::EngineOptions engine_options(const base::Config& config) {
  cache::EngineOptions options;
  options.storage_url = config.storage_url;
  options.data_directory = config.data_directory;
  options.relaxed_durability = config.durability == "relaxed-loses-last-writes";
  options.memory_bytes = static_cast<std::size_t>(config.memory_bytes);
  options.policy = config.policy;
  options.cached_value_bytes_max = static_cast<std::size_t>(config.cached_value_bytes_max);
  options.fleet = config.fleet;
  options.for_share_dialect = config.guard_dialect == "for-share";
  options.advisory_lock_class = static_cast<std::int32_t>(config.advisory_lock_class);
  options.storage_connections = static_cast<int>(config.connections);
  options.lease = config.lease_duration;
  options.read_deadline = config.read_deadline;
  options.write_deadline = config.write_deadline;
  options.key_value = config.key_value == "on";
  for (const auto& collection : config.collections) options.collections.push_back(spec_of(collection));
  // Two servers of one machine follow the database by two slots.
  const auto port = config.listen.substr(config.listen.rfind(':') + 1);
  options.node = fmt::format("{}_{}", cache::host_name(), port == "0" ? fmt::format("pid{}", getpid()) : port);
  options.slot = config.slot;
  options.publication = config.publication;
  options.retained_wal_bytes_max = config.retained_wal_bytes_max;
  options.fill_statements_max = static_cast<int>(config.fill_statements_max);
  options.probe_interval = config.probe_interval;
  return options;
}

server::ServerOptions server_options(const base::Config& config) {
  server::ServerOptions options;
  options.listen = config.listen;
  options.threads = static_cast<int>(config.threads);
  options.password = config.password;
  options.metrics = config.metrics;
  options.clients_max = static_cast<int>(config.clients_max);
  options.idle_timeout_seconds = static_cast<int>(seconds_of(config.idle_timeout));
  options.tcp_keepalive_seconds = static_cast<int>(seconds_of(config.keepalive));
  options.request.bulk_bytes_max = config.argument_bytes_max;
  options.query_buffer_bytes_max = static_cast<std::size_t>(config.query_buffer_bytes_max);
  options.output_buffer_bytes_max = static_cast<std::size_t>(config.output_buffer_bytes_max);
  options.client_memory_bytes_max = static_cast<std::size_t>(config.client_memory_bytes_max);
  return options;
}

std::string to_redis_text(const base::Config& config, const base::Setting& setting) {
  const auto* field = std::get_if<std::int64_t base::Config::*>(&setting.field);
  if (field == nullptr) return base::text_of(config, setting);
  const std::int64_t value = config.**field;
  return fmt::format("{}", setting.type == base::SettingType::duration ? seconds_of(value) : value);
}

std::string from_redis_text(const base::Setting& setting, std::string_view text) {
  if (setting.type == base::SettingType::duration) return std::string(text == "0" ? "0" : fmt::format("{}s", text));
  if (setting.type != base::SettingType::bytes) return std::string(text);
  // Redis's units: k, m, g are thousands, kb, mb, gb are 1024s.
  const auto unit = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = text.substr(0, unit);
  for (const auto& [redis, ours] : {std::pair{"k", "kB"}, {"m", "MB"}, {"g", "GB"}, {"kb", "KiB"}, {"mb", "MiB"},
                                    {"gb", "GiB"}, {"b", "B"}, {"", ""}}) {
    if (base::edit_distance(text.substr(unit), redis) == 0) return fmt::format("{}{}", number, ours);
  }
  return std::string(text);
}

void LiveSettings::on_change(Apply apply) {
  const std::lock_guard lock(mutex_);
  apply_ = std::move(apply);
  if (apply_) apply_(config_);
}

void LiveSettings::on_reload(ChangeCollections change) {
  const std::lock_guard lock(mutex_);
  change_ = std::move(change);
}

// Whoever answers may take its time, and does so without the mutex.
void LiveSettings::reload(Reloaded done) {
  if (!reread_) return done(Error::of(ErrorCode::unsupported, "this server has no configuration to be read again"));
  auto config = reread_();
  if (!config) return done(std::move(config).error());
  std::vector<storage::CollectionSpec> specs;
  for (const auto& collection : config->collections) specs.push_back(spec_of(collection));
  const std::lock_guard lock(mutex_);
  if (!change_) return done(Error::of(ErrorCode::unavailable, "the server is starting or stopping"));
  change_(std::move(specs), std::move(done));
}

std::vector<std::pair<std::string, std::string>> LiveSettings::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, std::string>> all = {{"save", ""}, {"appendonly", "no"}};
  for (const base::Setting& setting : base::settings()) {
    if (setting.secret) continue;
    all.emplace_back(setting.key, base::text_of(config_, setting));
    if (!setting.redis_name.empty()) all.emplace_back(setting.redis_name, to_redis_text(config_, setting));
  }
  return all;
}

Result<void> LiveSettings::set(std::string_view name, std::string_view text) {
  const base::Setting* setting = base::find_setting(name);
  std::string ours(text);
  if (setting == nullptr && (setting = base::find_setting_by_redis_name(name)) != nullptr) {
    ours = from_redis_text(*setting, text);
  }
  if (setting == nullptr) {
    const auto near = base::nearest_setting(name);
    return Error::of(ErrorCode::invalid_argument, fmt::format("there is no setting \"{}\"", name),
                     near.empty() ? "CONFIG GET * lists them" : fmt::format("did you mean \"{}\"?", near));
  }
  if (setting->changeable != base::Changeable::at_run_time) {
    return Error::of(ErrorCode::unsupported, fmt::format("{} cannot change while the server runs", setting->key),
                     fmt::format("restart with --{} or with the configuration file changed", setting->flag));
  }
  const std::lock_guard lock(mutex_);
  if (auto set = base::set_from_text(config_, *setting, ours); !set) return set;
  if (apply_) apply_(config_);
  return {};
}

}  // namespace freshet::cli
