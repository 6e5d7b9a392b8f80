// The bytes of keys and records.
#include "storage/embedded/record.h"

#include <cassert>
#include <cstring>

#include "base/random.h"

namespace freshet::storage::embedded {
namespace {

constexpr std::uint8_t kTombstoneFlag = 1;
constexpr std::uint8_t kExpiryFlag = 2;
constexpr std::uint8_t kHashFlag = 4;
constexpr std::size_t kExpiryBytes = 8;
constexpr std::size_t kOperationOffset = 10;

void append_u64(std::string& out, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
}

std::uint64_t load_u64(std::string_view bytes) {
  assert(bytes.size() >= 8);
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  return number;
}

Error damaged(std::string what) {
  return Error::of(ErrorCode::corrupted, "stored record: " + std::move(what),
                   "Write the key anew, or restore the data directory from a backup.");
}

}  // namespace

std::string encode_position(std::uint64_t position) {
  std::string out;
  append_u64(out, position);
  return out;
}

std::string encode_key(std::string_view key) {
  std::string out;
  out.reserve(kPositionBytes + key.size());
  append_u64(out, position_of(key));
  out.append(key);
  return out;
}

Result<StoredKey> decode_key(std::string_view stored) {
  if (stored.size() < kPositionBytes) return damaged("a key of " + std::to_string(stored.size()) + " bytes");
  StoredKey out{load_u64(stored), stored.substr(kPositionBytes)};
  if (out.position != position_of(out.key)) return damaged("a key does not stand at its position");
  return out;
}

std::string encode_record(const KeyState& state) {
  assert(state.version != 0);
  assert(state.present || (state.value.empty() && state.expires_at_ms == 0 && state.kind == ValueKind::string));
  std::string out;
  out.reserve(kRecordHeaderBytes + kExpiryBytes + state.value.size());
  out.push_back(static_cast<char>(kRecordFormat));
  out.push_back(static_cast<char>((state.present ? 0 : kTombstoneFlag) | (state.expires_at_ms != 0 ? kExpiryFlag : 0) |
                                  (state.kind == ValueKind::hash ? kHashFlag : 0)));
  append_u64(out, state.version);
  const auto operation = state.operation.to_bytes();
  out.append(reinterpret_cast<const char*>(operation.data()), operation.size());
  if (state.expires_at_ms != 0) append_u64(out, static_cast<std::uint64_t>(state.expires_at_ms));
  out.append(state.value);
  return out;
}

Result<RecordHead> decode_head(std::string_view record) {
  if (record.empty()) return damaged("it is empty");
  const auto format = static_cast<std::uint8_t>(record[0]);
  if (format != kRecordFormat) return damaged("unknown format " + std::to_string(format));
  if (record.size() < kRecordHeaderBytes) return damaged("its header is cut off");
  const auto flags = static_cast<std::uint8_t>(record[1]);
  if ((flags & ~(kTombstoneFlag | kExpiryFlag | kHashFlag)) != 0) return damaged("unknown flags " + std::to_string(flags));
  RecordHead head;
  head.present = (flags & kTombstoneFlag) == 0;
  if ((flags & kHashFlag) != 0) head.kind = ValueKind::hash;
  head.version = load_u64(record.substr(2));
  if (head.version == 0) return damaged("its version is 0");
  head.operation =
      base::UniqueId::from_bytes(reinterpret_cast<const unsigned char*>(record.data()) + kOperationOffset);
  head.value = record.substr(kRecordHeaderBytes);
  if ((flags & kExpiryFlag) != 0) {
    if (head.value.size() < kExpiryBytes) return damaged("its expiry is cut off");
    head.expires_at_ms = static_cast<std::int64_t>(load_u64(head.value));
    if (head.expires_at_ms == 0) return damaged("its expiry is 0");
    head.value.remove_prefix(kExpiryBytes);
  }
  const bool carries_data = head.expires_at_ms != 0 || !head.value.empty() || head.kind != ValueKind::string;
  if (!head.present && carries_data) return damaged("a tombstone carries data");
  return head;
}

Result<KeyState> decode_record(std::string_view record) {
  auto head = decode_head(record);
  if (!head) return std::move(head).error();
  return KeyState{head->present,       std::string(head->value), head->version, head->operation,
                  head->expires_at_ms, head->kind};
}

}  // namespace freshet::storage::embedded
