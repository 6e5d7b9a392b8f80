// The settings, and reading and printing one of them.
#include "base/config_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/config_values.h"

namespace freshet::base {
namespace {

using enum SettingType;
using enum Changeable;

constexpr std::int64_t kTenMinutes = 600 * kSecond;
constexpr std::int64_t kKibibyte = 1 << 10;

constexpr auto kSettings = std::to_array<Setting>({
    {.key = "server.listen", .flag = "listen", .type = endpoint, .field = &Config::listen, .changeable = at_start,
     .meaning = "Where the server takes clients that speak the Redis protocol. Port 0 lets the system choose one. Beyond "
                "loopback it listens only if `server.password` is set."},
    {.key = "server.threads", .flag = "threads", .type = integer, .field = &Config::threads, .changeable = at_start,
     .meaning = "How many event loops serve clients, each on a thread of its own. 0: one a core.",
     .maximum = 256},
    {.key = "server.password", .flag = "password", .type = text, .field = &Config::password, .changeable = at_start,
     .meaning = "What clients must send with AUTH or HELLO before anything else. Empty: none is asked for. Prefer the file "
                "to the flag: other users of the machine can see the command lines of processes.",
     .empty_allowed = true, .secret = true},
    {.key = "server.metrics", .flag = "metrics", .type = endpoint, .field = &Config::metrics, .changeable = at_start,
     .meaning = "Where the metrics are served over HTTP as Prometheus text, at /metrics. Empty: nowhere.",
     .empty_allowed = true},
    {.key = "server.max_clients", .flag = "max-clients", .type = integer, .field = &Config::clients_max,
     .changeable = at_run_time,
     .meaning = "How many clients may be connected at once. One more is told so and disconnected.",
     .minimum = 1, .maximum = 1'000'000, .redis_name = "maxclients"},
    {.key = "server.idle_timeout", .flag = "idle-timeout", .type = duration, .field = &Config::idle_timeout,
     .changeable = at_run_time,
     .meaning = "Clients that send nothing for this long are disconnected, counted in whole seconds. 0: never.",
     .maximum = 365 * 24 * 3600 * kSecond, .redis_name = "timeout"},
    {.key = "server.keepalive", .flag = "keepalive", .type = duration, .field = &Config::keepalive, .changeable = at_start,
     .meaning = "How long a client's connection may be silent before TCP asks whether the other end is still there, counted "
                "in whole seconds. 0: it never asks.",
     .maximum = 24 * 3600 * kSecond, .redis_name = "tcp-keepalive"},
    {.key = "server.argument_max", .flag = "argument-max", .type = bytes, .field = &Config::argument_bytes_max,
     .changeable = at_start,
     .meaning = "The largest argument of a command, and so the largest value. A client that announces a larger one is told "
                "so and disconnected.",
     .minimum = 64 * kKibibyte, .maximum = 512ll << 20, .redis_name = "proto-max-bulk-len"},
    {.key = "server.query_buffer_max", .flag = "query-buffer-max", .type = bytes, .field = &Config::query_buffer_bytes_max,
     .changeable = at_start,
     .meaning = "How many bytes of one client's commands may wait to be executed. A client that passes it is disconnected.",
     .minimum = 1 << 20, .redis_name = "client-query-buffer-limit"},
    {.key = "server.output_buffer_max", .flag = "output-buffer-max", .type = bytes,
     .field = &Config::output_buffer_bytes_max, .changeable = at_start,
     .meaning = "How many bytes of replies may wait for one client to read them. A client that passes it is disconnected.",
     .minimum = 1 << 20},
    {.key = "server.client_memory_max", .flag = "client-memory-max", .type = bytes,
     .field = &Config::client_memory_bytes_max, .changeable = at_start,
     .meaning = "How many bytes the buffers of all clients may hold together. The client that passes it is disconnected.",
     .minimum = 16 << 20, .redis_name = "maxmemory-clients"},
    {.key = "server.log_level", .flag = "log-level", .type = choice, .field = &Config::log_level, .changeable = at_run_time,
     .meaning = "The least important messages that are written to standard error.",
     .choices = "debug|info|warning|error|off"},

    {.key = "storage.url", .flag = "storage", .type = storage, .field = &Config::storage_url, .changeable = at_start,
     .meaning = "The database that holds the truth. `embedded`: a RocksDB in `storage.data`. Otherwise PostgreSQL, by a "
                "connection string of libpq's, either `postgres://user@host/database` or `host=… dbname=…`; TLS, timeouts "
                "and password files work as they do for psql.",
     .secret = true},
    {.key = "storage.data", .flag = "data", .type = text, .field = &Config::data_directory, .changeable = at_start,
     .meaning = "The directory of the embedded storage. It is created if it does not exist, and locked while in use."},
    {.key = "storage.durability", .flag = "durability", .type = choice, .field = &Config::durability, .changeable = at_start,
     .meaning = "Embedded storage: when a write is acknowledged. `synced`: once it is on disk. `relaxed-loses-last-writes`: "
                "once it is in the operating system's hands; a crash of the machine loses the last acknowledged writes. "
                "PostgreSQL decides by itself, and Freshet never asks it for less than `synchronous_commit = on`.",
     .choices = "synced|relaxed-loses-last-writes"},
    {.key = "storage.fleet", .flag = "fleet", .type = text, .field = &Config::fleet, .changeable = at_start,
     .meaning = "PostgreSQL: the name under which this deployment keeps its guards and its lease. A database serves one "
                "deployment: the first one to open it claims it under this name, and any other name is refused. Give a "
                "second deployment a database of its own."},
    {.key = "storage.guard_dialect", .flag = "guard-dialect", .type = choice, .field = &Config::guard_dialect,
     .changeable = at_start,
     .meaning = "PostgreSQL: how a write and the replacement of its guard exclude each other. `advisory`: by advisory "
                "locks, for PostgreSQL itself. `for-share`: by `SELECT … FOR SHARE` on the guard's row, for databases that "
                "speak PostgreSQL's language but lack advisory locks.",
     .choices = "advisory|for-share"},
    {.key = "storage.advisory_lock_class", .flag = "advisory-lock-class", .type = integer,
     .field = &Config::advisory_lock_class, .changeable = at_start,
     .meaning = "PostgreSQL: the first of the two integers of every advisory lock that Freshet takes. Change it if an "
                "application on the same database uses this one.",
     .minimum = INT32_MIN, .maximum = INT32_MAX},
    {.key = "storage.connections", .flag = "connections", .type = integer, .field = &Config::connections,
     .changeable = at_start, .meaning = "PostgreSQL: how many connections carry reads and writes.",
     .minimum = 1, .maximum = 256},
    {.key = "storage.key_value", .flag = "key-value", .type = choice, .field = &Config::key_value, .changeable = at_start,
     .meaning = "PostgreSQL: whether keys that belong to no collection are kept in a table of Freshet's own, `freshet.kv`. "
                "`off`: they are refused, and Freshet creates nothing in the database but what following it needs.",
     .choices = "on|off"},

    {.key = "stream.slot", .flag = "slot", .type = text, .field = &Config::slot, .changeable = at_start,
     .meaning = "PostgreSQL: the replication slot that the change stream is read from. Empty: Freshet creates one, named "
                "after the fleet, the machine and the port, and drops it when it must. A slot that is named here is the "
                "operator's: he creates it, for this process alone, and Freshet never drops it.",
     .empty_allowed = true},
    {.key = "stream.publication", .flag = "publication", .type = text, .field = &Config::publication,
     .changeable = at_start,
     .meaning = "PostgreSQL: the publication that says which tables the change stream tells of. Empty: Freshet creates "
                "`freshet_FLEET` and adds the tables of its collections. One that is named here is the operator's: Freshet "
                "checks it and never changes it.",
     .empty_allowed = true},
    {.key = "stream.retained_wal_max", .flag = "retained-wal-max", .type = bytes, .field = &Config::retained_wal_bytes_max,
     .changeable = at_start,
     .meaning = "PostgreSQL: how much of its log the server may keep for the change stream. Before a slot of Freshet's own "
                "holds more it is given up, so that it never fills the database's disk; what was cached is then dropped, "
                "and a new slot begins.",
     .minimum = 1 << 20},
    {.key = "stream.fills_max", .flag = "fills-max", .type = integer, .field = &Config::fill_statements_max,
     .changeable = at_start,
     .meaning = "PostgreSQL: how many statements that read missing keys of collections may run at once. More misses wait, "
                "so that an empty cache does not overwhelm the database.",
     .minimum = 1, .maximum = 64},
    {.key = "stream.probe_interval", .flag = "probe-interval", .type = duration, .field = &Config::probe_interval,
     .changeable = at_start,
     .meaning = "PostgreSQL: how far apart probes are sent at least, each of which serves all linearizable reads of "
                "collections that wait. Longer: such reads wait up to so long, and the database pays less for them.",
     .minimum = 50 * kMicrosecond, .maximum = kSecond},

    {.key = "cache.memory", .flag = "memory", .type = bytes, .field = &Config::memory_bytes, .changeable = at_run_time,
     .meaning = "How much memory cached entries may take, with their headers and the index.",
     .minimum = 1 << 20, .redis_name = "maxmemory"},
    {.key = "cache.policy", .flag = "policy", .type = choice, .field = &Config::policy, .changeable = at_run_time,
     .meaning = "Who leaves when memory is full. `freshet sim` shows what each of them would miss on a trace of yours "
                "(`freshet record` takes one). Hits take the least time with `fifo`, `clock`, `sieve`, `s3fifo`, `glcache` "
                "and `glcachebytes`; the others keep arrays of their own, which count in the memory. `glcache` and "
                "`glcachebytes` learn, on a thread of their own, which groups of objects are worth their room. `auto` tries "
                "several of the others on a hundredth of the keys and runs the one that would miss least. A change keeps "
                "what is cached.",
     .choices = "auto|fifo|lru|clock|sieve|s3fifo|wtinylfu|arc|lirs|lhd|gdsf|glcache|glcachebytes",
     .redis_name = "maxmemory-policy"},
    {.key = "cache.cached_value_max", .flag = "cached-value-max", .type = bytes, .field = &Config::cached_value_bytes_max,
     .changeable = at_start,
     .meaning = "The largest value that is cached. Larger ones pass through: they are written to and read from storage.",
     .maximum = 512ll << 20},

    {.key = "reads.level", .flag = "read-level", .type = choice, .field = &Config::read_level, .changeable = at_start,
     .meaning = "What a read promises when its command does not say. `linearizable`: at least as new as every write "
                "acknowledged before the read began. Weaker levels are asked for by the command, never by default.",
     .choices = "linearizable"},
    {.key = "reads.deadline", .flag = "read-deadline", .type = duration, .field = &Config::read_deadline,
     .changeable = at_start, .meaning = "How long a read may take before it fails with an error that says so.",
     .minimum = kMillisecond, .maximum = kTenMinutes},
    {.key = "writes.deadline", .flag = "write-deadline", .type = duration, .field = &Config::write_deadline,
     .changeable = at_start,
     .meaning = "How long a write may take before it fails. If storage had received it, the error says that it may have "
                "been applied.",
     .minimum = kMillisecond, .maximum = kTenMinutes},
    {.key = "lease.duration", .flag = "lease", .type = duration, .field = &Config::lease_duration, .changeable = at_start,
     .meaning = "PostgreSQL: how long this process may serve from memory after it last renewed its lease in the database, "
                "and so how long another has to wait when this one is cut off or killed. A clean stop hands over at once.",
     .minimum = 100 * kMillisecond, .maximum = kTenMinutes},
});

Error out_of_limits(const Setting& setting, std::string_view text) {
  const auto found = setting.secret ? std::string("another") : fmt::format("\"{}\"", text.substr(0, kNameBytesMax));
  return Error::of(ErrorCode::invalid_argument, fmt::format("expected {}, found {}", expectation_of(setting), found));
}

Result<std::int64_t> parse_number(SettingType type, std::string_view text) {
  if (type == bytes) return parse_bytes(text);
  if (type == duration) return parse_duration(text);
  return parse_integer(text);
}

std::string format_number(SettingType type, std::int64_t value) {
  if (type == bytes) return format_bytes(value);
  if (type == duration) return format_duration(value);
  return fmt::format("{}", value);
}

std::string_view kind_of(SettingType type) {
  switch (type) {
    case text: return "a text";
    case integer: return "a whole number";
    case bytes: return "a size such as 512MiB";
    case duration: return "a duration with its unit, such as 500ms";
    case endpoint: return "HOST:PORT";
    case storage: return "\"embedded\", postgres://… or keyword=value pairs";
    case choice: return "one of";
  }
  return "a value";
}

bool is_allowed_text(const Setting& setting, std::string_view value) {
  if (value.find('\0') != std::string_view::npos) return false;
  if (value.empty()) return setting.empty_allowed;
  if (setting.type == endpoint) return parse_endpoint(value).has_value();
  if (setting.type == storage) {
    return value == "embedded" || value.starts_with("postgres://") || value.starts_with("postgresql://") ||
           value.find('=') != std::string_view::npos;
  }
  if (setting.type != choice) return true;
  const auto choices = choices_of(setting);
  return std::find(choices.begin(), choices.end(), value) != choices.end();
}

}  // namespace

std::span<const Setting> settings() { return kSettings; }

const Setting* find_setting(std::string_view key) {
  const auto found = std::find_if(kSettings.begin(), kSettings.end(), [&](const Setting& s) { return s.key == key; });
  return found == kSettings.end() ? nullptr : &*found;
}

const Setting* find_setting_by_flag(std::string_view flag) {
  const auto found = std::find_if(kSettings.begin(), kSettings.end(), [&](const Setting& s) { return s.flag == flag; });
  return found == kSettings.end() ? nullptr : &*found;
}

const Setting* find_setting_by_redis_name(std::string_view name) {
  const auto is = [&](const Setting& s) { return !name.empty() && s.redis_name == name; };
  const auto found = std::find_if(kSettings.begin(), kSettings.end(), is);
  return found == kSettings.end() ? nullptr : &*found;
}

std::string_view nearest_setting(std::string_view key) {
  std::vector<std::string_view> keys, names;
  for (const Setting& setting : kSettings) {
    keys.push_back(setting.key);
    names.push_back(setting.name());
  }
  // The right name in the wrong section, or none, is nearer than another name.
  const std::string_view bare = key.substr(key.rfind('.') + 1);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (names[i] == bare) return keys[i];
  }
  if (const auto near = nearest_name(key, keys); !near.empty()) return near;
  const auto near = nearest_name(bare, names);
  const auto found = std::find(names.begin(), names.end(), near);
  return near.empty() ? std::string_view() : keys[static_cast<std::size_t>(found - names.begin())];
}

std::vector<std::string_view> choices_of(const Setting& setting) {
  std::vector<std::string_view> choices;
  for (std::string_view rest = setting.choices; !rest.empty();) {
    const auto bar = std::min(rest.find('|'), rest.size());
    choices.push_back(rest.substr(0, bar));
    rest.remove_prefix(std::min(bar + 1, rest.size()));
  }
  return choices;
}

std::string expectation_of(const Setting& setting) {
  std::string words(kind_of(setting.type));
  if (setting.type == choice) {
    for (const auto name : choices_of(setting)) words += fmt::format("{} \"{}\"", words.ends_with("of") ? "" : ",", name);
  }
  if (std::holds_alternative<std::int64_t Config::*>(setting.field)) {
    const bool bounded = setting.maximum != std::numeric_limits<std::int64_t>::max();
    words += fmt::format(", from {}", format_number(setting.type, setting.minimum));
    if (bounded) words += fmt::format(" to {}", format_number(setting.type, setting.maximum));
  } else if (setting.empty_allowed) {
    words += ", or empty";
  }
  return words;
}

Result<void> set_from_text(Config& config, const Setting& setting, std::string_view text) {
  if (const auto* field = std::get_if<std::int64_t Config::*>(&setting.field)) {
    const auto number = parse_number(setting.type, text);
    if (!number || *number < setting.minimum || *number > setting.maximum) return out_of_limits(setting, text);
    config.**field = *number;
    return {};
  }
  if (!is_allowed_text(setting, text)) {
    Error error = out_of_limits(setting, text);
    const auto choices = choices_of(setting);
    const auto near = nearest_name(text, choices);
    if (!near.empty()) error.remedy = fmt::format("did you mean \"{}\"?", near);
    return error;
  }
  config.*std::get<std::string Config::*>(setting.field) = std::string(text);
  return {};
}

std::string text_of(const Config& config, const Setting& setting) {
  if (const auto* field = std::get_if<std::int64_t Config::*>(&setting.field)) {
    return format_number(setting.type, config.**field);
  }
  return config.*std::get<std::string Config::*>(setting.field);
}

}  // namespace freshet::base
