// The configuration of a Freshet process: one plain struct. What each field is called in a file and on the command line,
// what it means and whether it may change at run time stands in one table (base/config_schema.h); collections stand in the
// file only (base/config_collections.h). May use base only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "freshet/result.h"

namespace freshet::base {

// A [[collection]] of the file: a name for the front of keys, and the table or the query behind it.
struct CollectionConfig {
  std::string name;
  std::string table;    // This or `query`, never both.
  std::vector<std::pair<std::string, std::string>> columns;  // Column and the name that clients see; none: all of them.
  std::string query;
  std::vector<std::string> depends_on;
  bool declared = false;                   // depends_on is there, if only as [].
  std::string read_level = "linearizable"; // linearizable, bounded, any
  Nanoseconds bound = 0;                   // For bounded.
  bool guarded = false;                    // writes = "guarded"
  bool exclusive_writer = false;
  bool follow = false;
  std::string version_column;
  std::string expires_column;
  int line = 0;

  // Where it stands in the file is no part of what it says.
  friend bool operator==(const CollectionConfig& a, const CollectionConfig& b) {
    const auto said = [](const CollectionConfig& c) {
      return std::tie(c.name, c.table, c.columns, c.query, c.depends_on, c.declared, c.read_level, c.bound, c.guarded,
                      c.exclusive_writer, c.follow, c.version_column, c.expires_column);
    };
    return said(a) == said(b);
  }
};

// The defaults are the initial values here; docs/CONFIGURATION.md is printed from them.
struct Config {
  // [server]
  std::string listen = "127.0.0.1:6380";
  std::int64_t threads = 0;
  std::string password;
  std::string metrics;
  std::int64_t clients_max = 10'000;
  Nanoseconds idle_timeout = 0;
  Nanoseconds keepalive = 300 * kSecond;
  std::int64_t argument_bytes_max = 512ll << 20;
  std::int64_t query_buffer_bytes_max = 1ll << 30;
  std::int64_t output_buffer_bytes_max = 1ll << 30;
  std::int64_t client_memory_bytes_max = 2ll << 30;
  std::string log_level = "info";

  // [storage]
  std::string storage_url = "embedded";
  std::string data_directory = "data";
  std::string durability = "synced";
  std::string fleet = "default";
  std::string guard_dialect = "advisory";
  std::int64_t advisory_lock_class = 0x46524553;
  std::int64_t connections = 8;
  std::string key_value = "on";

  // [stream]
  std::string slot;
  std::string publication;
  std::int64_t retained_wal_bytes_max = 4ll << 30;
  std::int64_t fill_statements_max = 4;
  Nanoseconds probe_interval = 200 * kMicrosecond;

  // [cache]
  std::int64_t memory_bytes = 1ll << 30;
  std::string policy = "s3fifo";
  std::int64_t cached_value_bytes_max = 1ll << 20;

  // [reads], [writes], [lease]
  std::string read_level = "linearizable";
  Nanoseconds read_deadline = kSecond;
  Nanoseconds write_deadline = 5 * kSecond;
  Nanoseconds lease_duration = 2 * kSecond;

  std::vector<CollectionConfig> collections;

  friend bool operator==(const Config&, const Config&) = default;
};

inline constexpr std::size_t kConfigFileBytesMax = 1 << 20;

// Reads a configuration file's TOML over the defaults. Pure. The error names `filename`, the line, what was expected there
// and the nearest valid name.
Result<Config> parse_config(std::string_view text, std::string_view filename);

// The same for the file at `path`.
Result<Config> read_config_file(const std::string& path);

// A collection as [[collection]] writes it down, line by line; read back it is the same.
std::string text_of(const CollectionConfig& collection);

// docs/CONFIGURATION.md, from the table.
std::string config_reference();

}  // namespace freshet::base
