// How a cache is opened, and how a read or a write is asked for. Standard library types only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace freshet {

// What a read promises (docs/READ-LEVELS.md).
enum class Freshness : std::uint8_t {
  linearizable,  // At least as new as every write acknowledged before the read began.
  session,       // Includes the writes that `token` names.
  bounded,       // Equals the database at some moment within the last `bound`.
  snapshot,      // Reads of many keys: all values as of one moment.
  any,           // Whatever is there, with its age.
};

// Who writes a collection's rows.
enum class Writes : std::uint8_t {
  observed,  // Anybody, with SQL. Read-only here: Freshet follows the database's change stream.
  guarded,   // Every write goes through Freshet, and hits are linearizable from memory (docs/WRITING-ROWS.md). Tables only.
};

// A collection: rows of your own table, or results of a query. Its keys are "name:key", and its values JSON.
struct Collection {
  std::string name;
  // A table, by its primary key: the key's parts, in the key's order, divided by ':' (docs/OBSERVED.md). As SQL writes its
  // name.
  std::string table = {};
  // Which columns to show, each with the name to give it; none: all.
  std::vector<std::pair<std::string, std::string>> columns = {};
  // Or a SELECT whose parameters $1, $2, … are the key's parts.
  std::string query = {};
  // The tables that the query's result depends on, where the catalog cannot show it; nullopt: it can.
  std::optional<std::vector<std::string>> depends_on = {};
  // For reads that name no level of their own: linearizable, bounded or any.
  Freshness freshness = Freshness::linearizable;
  std::chrono::milliseconds bound{0};
  Writes writes = Writes::observed;
  // Guarded: you vouch that Freshet alone writes to the table; else Freshet seals it, so that it refuses other writes.
  bool exclusive_writer = false;
  // Guarded: the table's change stream is watched as well, for writes that got past: they are logged and counted, and what
  // they touched is dropped.
  bool follow = false;
  // Guarded: a bigint column that grows with every change (a sealed table sees to it by itself); empty: none.
  std::string version_column = {};
  // Guarded: a timestamp with time zone at which the row expires; empty: rows do not.
  std::string expires_column = {};
};

struct Options {
  // "embedded" (RocksDB in `data_directory`), or a libpq connection string: "postgres://user@host/db?sslmode=verify-full".
  std::string storage = "embedded";
  std::string data_directory = "data";
  // Embedded only: acknowledge writes before the log is synced. A crash of the machine loses the last acknowledged writes.
  bool relaxed_durability = false;
  // What the cache may hold: entries with all their bookkeeping.
  std::size_t memory_bytes = std::size_t{1} << 30;
  // Who leaves when memory is full: "fifo", "lru", "clock", "sieve", "s3fifo", "wtinylfu", "arc", "lirs", "lhd", "gdsf",
  // "glcache" or "glcachebytes"; or "auto": chosen by what a hundredth of the keys would miss (docs/EVICTION.md).
  std::string policy = "s3fifo";
  // Larger values are read and written through, but not cached.
  std::size_t cached_value_bytes_max = std::size_t{1} << 20;
  // PostgreSQL: the name of the nodes that work together. One fleet uses a database's freshet.kv; another's name is refused.
  std::string fleet = "default";
  // PostgreSQL: how long this process provably owns the keys after its last renewal.
  std::chrono::milliseconds lease{2000};
  // PostgreSQL: whether to offer the key-value table freshet.kv, which Freshet creates.
  bool key_value = true;
  // PostgreSQL: the collections. For observed ones Freshet needs a publication and a replication slot (docs/OBSERVED.md).
  std::vector<Collection> collections = {};
  // When a call brings no deadline of its own.
  std::chrono::milliseconds read_deadline{1000};
  std::chrono::milliseconds write_deadline{5000};
};

struct ReadOptions {
  std::optional<Freshness> freshness = {};  // Nullopt: the collection's own; the key-value table's is linearizable.
  std::chrono::milliseconds bound{0};       // For Freshness::bounded.
  std::string token = {};                   // For Freshness::session: Cache::token(), or made by SQL (docs/READ-LEVELS.md).
  std::chrono::milliseconds deadline{0};    // From the call on; 0: Options::read_deadline.
};

struct WriteOptions {
  std::chrono::milliseconds deadline{0};      // From the call on; 0: Options::write_deadline.
  std::chrono::milliseconds expires_after{0}; // By the database's clock; 0: never. Negative ones are refused.
};

}  // namespace freshet
