// How a cache is opened, and how a read or a write is asked for. Standard library types only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace freshet {

struct Options {
  // "embedded" (RocksDB in `data_directory`), or a libpq connection string: "postgres://user@host/db?sslmode=verify-full".
  std::string storage = "embedded";
  std::string data_directory = "data";
  // Embedded only: acknowledge writes before the log is synced. A crash of the machine loses the last acknowledged writes.
  bool relaxed_durability = false;
  // What the cache may hold: entries with all their bookkeeping.
  std::size_t memory_bytes = std::size_t{1} << 30;
  // Larger values are read and written through, but not cached.
  std::size_t cached_value_bytes_max = std::size_t{1} << 20;
  // PostgreSQL: the name of the nodes that work together. One fleet uses a database's freshet.kv; another's name is refused.
  std::string fleet = "default";
  // PostgreSQL: how long this process provably owns the keys after its last renewal.
  std::chrono::milliseconds lease{2000};
  // When a call brings no deadline of its own.
  std::chrono::milliseconds read_deadline{1000};
  std::chrono::milliseconds write_deadline{5000};
};

// What a read promises (docs/CONSISTENCY.md).
enum class Freshness : std::uint8_t {
  linearizable,  // At least as new as every write acknowledged before the read began.
  bounded,       // Equals the database at some moment within the last `bound`.
  any,           // Whatever is there, with its age.
};

struct ReadOptions {
  Freshness freshness = Freshness::linearizable;
  std::chrono::milliseconds bound{0};     // For Freshness::bounded.
  std::chrono::milliseconds deadline{0};  // From the call on; 0: Options::read_deadline.
};

struct WriteOptions {
  std::chrono::milliseconds deadline{0};      // From the call on; 0: Options::write_deadline.
  std::chrono::milliseconds expires_after{0}; // By the database's clock; 0: never. Negative ones are refused.
};

}  // namespace freshet
