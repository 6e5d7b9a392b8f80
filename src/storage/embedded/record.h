// How a key and its state stand in RocksDB: the key's and the value's bytes.
//
// KEY      8 bytes   position_of(key), most significant first
//          n bytes   the key itself
//
// The position first makes RocksDB's order (bytewise) the order that scans and slices need: all keys of a slot are
// neighbours, and inside a slot the 48 bits of the hash spread keys evenly, so that a few records of a slot tell how many it
// holds. The key follows in full because two keys may share a position.
//
// VALUE    1 byte    format: 1
//          1 byte    flags: bit 0 tombstone, bit 1 an expiry follows, bit 2 the value is a hash; the others are 0
//          8 bytes   version, most significant first; never 0
//         16 bytes   the operation that wrote it
//         [8 bytes]  expires_at_ms, most significant first, if bit 1; never 0
//          n bytes   the value; none in a tombstone
//
// A record costs 26 bytes beside key position and value, 34 with an expiry. The header is written anew with every state,
// touches included: RocksDB rewrites the whole record anyway.
//
// Integrity: RocksDB guards its blocks and its log with checksums, so a decoder sees damage only from a bug, another program
// or a foreign format. It is checked all the same, and every check that fails is ErrorCode::corrupted: a format that this
// build does not know, unknown flags, a record shorter than its header, a version of 0, a tombstone with an expiry, a value
// or a value's kind, a key that does not stand at its position. A record is never half believed.
//
// Changing the layout means a new format byte; decoders keep the old ones for as long as directories may hold them. Bit 2 is
// younger than the format: records made before it are strings, and a build that does not know it refuses those that have it.
//
// May use storage's interface; knows nothing of RocksDB.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "freshet/result.h"
#include "storage/storage.h"

namespace freshet::storage::embedded {

inline constexpr std::size_t kPositionBytes = 8;
inline constexpr std::size_t kRecordHeaderBytes = 26;
inline constexpr std::uint8_t kRecordFormat = 1;

// The smallest stored key at or after this position: the bound of scans.
std::string encode_position(std::uint64_t position);
std::string encode_key(std::string_view key);

struct StoredKey {
  std::uint64_t position = 0;
  std::string_view key;  // Points into the bytes decoded.
};
Result<StoredKey> decode_key(std::string_view stored);

// `state` has a version; a tombstone has neither value nor expiry.
std::string encode_record(const KeyState& state);

// All of a record but its value, which stays where it is.
struct RecordHead {
  bool present = false;
  Version version = 0;
  OperationId operation;
  std::int64_t expires_at_ms = 0;
  ValueKind kind = ValueKind::string;
  std::string_view value;  // Points into the bytes decoded.
};
Result<RecordHead> decode_head(std::string_view record);
Result<KeyState> decode_record(std::string_view record);

}  // namespace freshet::storage::embedded
