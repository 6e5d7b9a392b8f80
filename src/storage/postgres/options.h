// How a PostgresStorage is opened. May use storage.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "storage/collection.h"

namespace freshet::storage::postgres {

enum class GuardDialect : std::uint8_t {
  advisory,   // Shared advisory locks on cells, then the check. PostgreSQL; writers run at READ COMMITTED.
  for_share,  // SELECT … FOR SHARE on the guard's row. PostgreSQL-compatible distributed databases; any isolation level.
};

struct PostgresOptions {
  // Any libpq connection string or URL, TLS settings included. With several hosts and no target_session_attrs the primary
  // is looked for.
  std::string url;
  // The deployment's name, under which its guards and its lease are kept. A database serves one fleet: the first that opens
  // it. At most kFleetBytesMax of printable ASCII.
  std::string fleet = "default";
  GuardDialect dialect = GuardDialect::advisory;
  // The first integer of the two-integer advisory locks; the second is the cell. The same in every program that writes
  // through the same guards.
  std::int32_t advisory_lock_class = 0x46524553;
  // All of them, at least kConnectionsMin: two for set_guard, one for scans and health, the others for reads and writes.
  int connections = 8;
  // Creates or upgrades schema freshet if it is missing or old; else an administrator runs schema_sql() beforehand.
  bool create_schema = true;
  // The guarded row collections: those of these specs that say so.
  std::vector<CollectionSpec> rows = {};

  base::Nanoseconds connect_timeout = 5 * base::kSecond;
  // How long one statement of a write may wait for a lock before it is given up (rolled back: `busy`).
  base::Nanoseconds lock_timeout = 3 * base::kSecond;
  base::Nanoseconds statement_timeout = 10 * base::kSecond;
  // The server ends a session that sits idle inside a guarded transaction for so long.
  base::Nanoseconds idle_in_transaction_timeout = 5 * base::kSecond;
  // A connection whose oldest statement has no answer for so long is given up and replaced. Above statement_timeout.
  base::Nanoseconds stall_timeout = 12 * base::kSecond;
  // set_guard: how long one attempt waits for a cell,
  base::Nanoseconds guard_lock_timeout = 500 * base::kMillisecond;
  // and after how long the holder is reported, and ended if it is a connection of this fleet.
  base::Nanoseconds guard_holder_limit = 2 * base::kSecond;
  // Tombstones are deleted once they are older than this, by a sweep that starts so often. Far above the deadline of any
  // write and the time its outcome may take to settle.
  base::Nanoseconds tombstone_age = 600 * base::kSecond;
  base::Nanoseconds tombstone_sweep_interval = 60 * base::kSecond;
};

inline constexpr int kConnectionsMin = 5;
inline constexpr int kConnectionsMax = 256;
inline constexpr std::size_t kFleetBytesMax = 32;

}  // namespace freshet::storage::postgres
