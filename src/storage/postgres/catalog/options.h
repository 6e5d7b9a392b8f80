// How a PostgresObservedStorage is opened. May use base and storage.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "storage/collection.h"

namespace freshet::storage::postgres {

struct ObservedOptions {
  // Any libpq connection string or URL. With several hosts and no target_session_attrs the primary is looked for.
  std::string url;
  // The deployment's name: it stands in the names of sessions.
  std::string fleet = "default";
  std::vector<CollectionSpec> specs;
  // Guarded ones, for `freshet doctor`.
  std::vector<CollectionSpec> guarded;

  std::string publication = "freshet";
  // True: Freshet creates it and adds tables to it. False: the operator owns it; it is only checked.
  bool publication_managed = true;
  std::string slot;
  bool slot_managed = true;
  // The stream also tells the messages of transactions (pg_logical_emit_message()), whosever they are.
  bool messages = false;

  // For fills: so many statements run at once. Three connections more serve probes, nudges and the catalog, one the stream.
  int fill_connections = 4;
  // Fill statements that wait for a connection; beyond it they are refused: busy.
  std::size_t fill_queue_max = 1024;
  std::size_t fill_queue_bytes_max = 64ull * 1024 * 1024;

  base::Nanoseconds connect_timeout = 5 * base::kSecond;
  base::Nanoseconds statement_timeout = 10 * base::kSecond;
  // A connection whose oldest statement has no answer for so long is given up and replaced. Above statement_timeout.
  base::Nanoseconds stall_timeout = 12 * base::kSecond;
  // How long a change of the publication waits for a table's lock.
  base::Nanoseconds lock_timeout = 2 * base::kSecond;

  // A managed replication slot that retains more of the log is given up and made again. 0: never.
  std::uint64_t retained_wal_bytes_max = 4ull * 1024 * 1024 * 1024;
  base::Nanoseconds slot_check_interval = 5 * base::kSecond;
};

inline constexpr int kFillConnectionsMax = 64;
// Publications that publish partitions through their root, and column lists, came with 13 and 15.
inline constexpr int kServerVersionMin = 150000;

}  // namespace freshet::storage::postgres
