// Reads of the embedded database, on the caller's thread: states, scans, counts, split points. Each sees committed states
// only: RocksDB shows a write once it stands in the log (synced, unless relaxed).
//
// May use RocksDB and the room's own headers.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "freshet/result.h"
#include "storage/embedded/database.h"
#include "storage/storage.h"

namespace freshet::storage::embedded {

// The most bytes of values in one read.
inline constexpr std::size_t kReadReplyBytesMax = 1ull << 30;
// The most records, tombstones included, that one scan passes.
inline constexpr std::size_t kScanRecordsMax = 4096;
// A count walks all records up to this many, then estimates.
inline constexpr std::size_t kCountExactMax = 100'000;
// The records of each slot that an estimate looks at: what lies beyond is inferred from how far into the slot they reach.
inline constexpr std::size_t kSampledPerSlotMax = 8;

// The state of each key, or why it could not be read.
std::vector<Result<KeyState>> read_each(Database& database, std::span<const std::string> keys);
// All states, or the first error.
Result<std::vector<KeyState>> read_all(Database& database, std::span<const std::string> keys);
// All states if memory holds them: no I/O. Nothing if it does not, or on any error (read_all will tell it).
std::optional<std::vector<KeyState>> read_from_memory(Database& database, std::span<const std::string> keys);

// ScanReply without its clock.
Result<ScanReply> scan_keys(Database& database, std::uint64_t position, std::size_t limit);

// Walks stop with deadline_exceeded once the deadline passes.
Result<KeyCount> count_keys(Database& database, base::Nanoseconds deadline);
Result<std::vector<base::Slot>> find_split_points(Database& database, base::SlotRange range, int parts,
                                                  base::Nanoseconds deadline);

}  // namespace freshet::storage::embedded
