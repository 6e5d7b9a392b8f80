// What decides how PostgreSQL writes a value as text. The change stream and the fills use the same settings, so that a value
// has one text wherever it comes from. May use libpq's parameters.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "storage/postgres/libpq.h"

namespace freshet::storage::postgres {

struct OutputSetting {
  std::string_view name;
  std::string_view value;  // Without blanks and backslashes: it goes into libpq's `options` as it stands.
};

// search_path: types such as regclass print names as short as it allows. lc_monetary: money.
inline constexpr std::array<OutputSetting, 7> kOutputSettings = {{{"datestyle", "ISO,YMD"},
                                                                  {"intervalstyle", "postgres"},
                                                                  {"timezone", "UTC"},
                                                                  {"extra_float_digits", "1"},
                                                                  {"bytea_output", "hex"},
                                                                  {"search_path", "pg_catalog"},
                                                                  {"lc_monetary", "C"}}};

// Adds them, and UTF8, to what the connection string says. They win over its own `options`, which stay otherwise.
void add_output_settings(ConnectionParameters& parameters);

// The server's start in the form in which storage::Identity carries it everywhere, as an SQL expression.
inline constexpr std::string_view kStartedAtSql =
    "pg_catalog.to_char(pg_catalog.pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";

// Since when the server's shared memory stands. After a crash of a backend the postmaster ends all others and begins again
// by itself: its own start time stays, and numbers of transactions that were not flushed are used again. These statistics
// live in shared memory only, are made with it, and any role may read them. (To reset them looks like such a crash: what was
// cached goes once more than it must.) PostgreSQL 15 or later.
inline constexpr std::string_view kMemorySinceSql =
    "(SELECT pg_catalog.to_char(p.stats_reset AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
    "FROM pg_catalog.pg_stat_get_recovery_prefetch() p)";

}  // namespace freshet::storage::postgres
