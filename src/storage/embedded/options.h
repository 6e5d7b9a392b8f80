// How to open the embedded storage. May use the standard library only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace rocksdb {
class Env;
}

namespace freshet::storage::embedded {

enum class Durability : std::uint8_t {
  // A write is acknowledged once the log that holds it has been synced to the disk. Writers share syncs.
  synced,
  // A write is acknowledged once the operating system has it. A killed or crashed process loses nothing; a power cut or a
  // crash of the machine loses acknowledged writes: those of about the last second (kRelaxedSyncInterval), newest first.
  // What remains is a prefix of what was acknowledged, and versions still never repeat.
  relaxed,
};

struct EmbeddedOptions {
  std::string directory;  // Made if missing; one process at a time.
  Durability durability = Durability::synced;
  int threads = 2;        // That read what is not in memory; at least 1, at most kThreadsMax.

  // Limits of what waits; past them calls fail with `busy`. One write is accepted whatever its bytes when none waits.
  std::size_t writes_queued_max = 16 * 1024;
  std::size_t write_bytes_queued_max = 256ull << 20;
  std::size_t reads_queued_max = 16 * 1024;

  std::size_t block_cache_bytes = 64ull << 20;
  std::size_t memtable_bytes = 32ull << 20;  // Of each of the at most kMemtablesMax tables in memory.

  rocksdb::Env* env = nullptr;  // For tests that inject faults below RocksDB; nullptr: the operating system.
#if FRESHET_PROTECTION_SWITCHES
  bool skip_guard_check = false;  // Takes the guards away, so that the checkers' tests can see them missing.
#endif
};

inline constexpr int kThreadsMax = 64;
inline constexpr int kMemtablesMax = 3;

}  // namespace freshet::storage::embedded
