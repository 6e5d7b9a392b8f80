// Point reads and scans.
#include "storage/embedded/reader.h"

#include <algorithm>

#include "storage/embedded/record.h"

namespace freshet::storage::embedded {
namespace {

Result<KeyState> state_from(const rocksdb::Status& status, const rocksdb::PinnableSlice& record) {
  if (status.ok()) return decode_record({record.data(), record.size()});
  if (status.IsNotFound()) return KeyState{};
  if (status.IsAborted()) {
    return Error::of(ErrorCode::out_of_range,
                     "read: the values together exceed " + std::to_string(kReadReplyBytesMax) + " bytes",
                     "Read fewer keys at once.");
  }
  return read_error_of("reading from the data directory", status);
}

}  // namespace

std::vector<Result<KeyState>> read_each(Database& database, std::span<const std::string> keys) {
  std::vector<std::string> stored;
  std::vector<rocksdb::Slice> slices;
  stored.reserve(keys.size());
  slices.reserve(keys.size());
  for (const auto& key : keys) slices.emplace_back(stored.emplace_back(encode_key(key)));
  std::vector<rocksdb::PinnableSlice> records(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  rocksdb::ReadOptions options;
  options.value_size_soft_limit = kReadReplyBytesMax;
  database.db().MultiGet(options, database.records(), keys.size(), slices.data(), records.data(), statuses.data());
  std::vector<Result<KeyState>> states;
  states.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) states.push_back(state_from(statuses[i], records[i]));
  return states;
}

Result<std::vector<KeyState>> read_all(Database& database, std::span<const std::string> keys) {
  auto each = read_each(database, keys);
  std::vector<KeyState> states;
  states.reserve(each.size());
  for (auto& state : each) {
    if (!state) return std::move(state).error();
    states.push_back(*std::move(state));
  }
  return states;
}

std::optional<std::vector<KeyState>> read_from_memory(Database& database, std::span<const std::string> keys) {
  rocksdb::ReadOptions options;
  options.read_tier = rocksdb::kBlockCacheTier;
  std::vector<KeyState> states;
  states.reserve(keys.size());
  for (const auto& key : keys) {
    rocksdb::PinnableSlice record;
    const auto status = database.db().Get(options, database.records(), encode_key(key), &record);
    if (!status.ok() && !status.IsNotFound()) return std::nullopt;
    auto state = state_from(status, record);
    if (!state) return std::nullopt;
    states.push_back(*std::move(state));
  }
  return states;
}

// A record that cannot be decoded fails the scan: leaving it out would hide a key that is there.
Result<ScanReply> scan_keys(Database& database, std::uint64_t position, std::size_t limit) {
  ScanReply reply;
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> records(database.db().NewIterator(options, database.records()));
  std::optional<std::uint64_t> last;
  std::size_t passed = 0;
  limit = std::max<std::size_t>(limit, 1);
  for (records->Seek(encode_position(position)); records->Valid(); records->Next()) {
    const auto key = decode_key({records->key().data(), records->key().size()});
    if (!key) return key.error();
    const bool full = reply.keys.size() >= limit || passed >= kScanRecordsMax;
    if (full && last != key->position) {
      reply.next = key->position;
      return reply;
    }
    const auto head = decode_head({records->value().data(), records->value().size()});
    if (!head) return head.error();
    if (head->present) reply.keys.push_back({std::string(key->key), head->expires_at_ms, head->kind});
    last = key->position;
    ++passed;
  }
  if (!records->status().ok()) return read_error_of("scanning the data directory", records->status());
  return reply;
}

}  // namespace freshet::storage::embedded
