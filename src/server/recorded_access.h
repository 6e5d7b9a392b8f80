// One access as FRESHET.RECORD sends it: 24 bytes, least significant byte first. May use the standard library only.
//
//   0   8   the key's hash
//   8   8   microseconds since 1970, by the server's clock
//   16  4   bytes of the object: its key and its value
//   20  1   0: read, 1: write, 2: erase
//   21  3   zero
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace freshet::server {

enum class AccessKind : std::uint8_t { read = 0, write = 1, erase = 2 };

inline constexpr std::size_t kRecordedAccessBytes = 24;
// The first item of a batch; its second one is the number of accesses that were dropped, the third one the records.
inline constexpr std::string_view kRecordedBatch = "freshet.record";

struct RecordedAccess {
  std::uint64_t key = 0;
  std::int64_t time_us = 0;
  std::uint32_t size = 0;
  AccessKind kind = AccessKind::read;
  friend bool operator==(const RecordedAccess&, const RecordedAccess&) = default;
};

static_assert(std::endian::native == std::endian::little);

// `to` has room for kRecordedAccessBytes.
inline void pack(const RecordedAccess& access, char* to) {
  std::memcpy(to, &access.key, 8);
  std::memcpy(to + 8, &access.time_us, 8);
  std::memcpy(to + 16, &access.size, 4);
  std::memset(to + 20, 0, 4);
  to[20] = static_cast<char>(access.kind);
}

// `from` holds kRecordedAccessBytes.
inline RecordedAccess unpack(const char* from) {
  RecordedAccess access;
  std::memcpy(&access.key, from, 8);
  std::memcpy(&access.time_us, from + 8, 8);
  std::memcpy(&access.size, from + 16, 4);
  access.kind = static_cast<AccessKind>(from[20]);
  return access;
}

}  // namespace freshet::server
