// Counts and split points: how many keys each slot holds, exactly or from a sample.
//
// Inside a slot, positions are 48 bits of a hash and so spread evenly: if the n-th record stands at the share f of the slot,
// it holds about (n - 1) / f (without bias: the mean of 1 / f is N / (n - 1) for N records). This holds however uneven the
// slots are among themselves (hash tags). A few records of every slot so give a good estimate of all, with at most
// kSlots * kSampledPerSlotMax records and kSlots seeks.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "storage/embedded/reader.h"
#include "storage/embedded/record.h"

namespace freshet::storage::embedded {
namespace {

constexpr std::uint64_t kPositionsPerSlot = 1ull << 48;
// How many records a walk passes between two looks at the clock.
constexpr std::size_t kRecordsPerDeadlineCheck = 1024;

// The records of a range in order, with a deadline.
class Walk {
 public:
  Walk(Database& database, base::SlotRange range, base::Nanoseconds deadline)
      : end_(encode_position(first_position_of(range.last) + kPositionsPerSlot)), bound_(end_), deadline_(deadline) {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    options.iterate_upper_bound = &bound_;
    records_.reset(database.db().NewIterator(options, database.records()));
    skip_to(first_position_of(range.first));
  }

  void skip_to(std::uint64_t position) { records_->Seek(encode_position(position)); }
  void next() { records_->Next(); }
  bool at_end() const { return !records_->Valid(); }

  struct Record {
    std::uint64_t position = 0;
    bool present = false;
  };
  // The record it stands at.
  Result<Record> record() {
    if (++passed_ % kRecordsPerDeadlineCheck == 0 && deadline_ <= base::now()) {
      return Error::of(ErrorCode::deadline_exceeded, "the deadline passed while the data directory was walked");
    }
    const auto key = decode_key({records_->key().data(), records_->key().size()});
    if (!key) return key.error();
    const auto head = decode_head({records_->value().data(), records_->value().size()});
    if (!head) return head.error();
    return Record{key->position, head->present};
  }
  Result<void> status() const {
    if (records_->status().ok()) return {};
    return read_error_of("walking the data directory", records_->status());
  }

 private:
  std::string end_;
  rocksdb::Slice bound_;
  base::Nanoseconds deadline_;
  std::unique_ptr<rocksdb::Iterator> records_;
  std::size_t passed_ = 0;
};

// About how many present keys each slot of the range holds; slots outside it hold 0.
Result<std::vector<double>> sample_slots(Database& database, base::SlotRange range, base::Nanoseconds deadline) {
  std::vector<double> keys(base::kSlots, 0);
  Walk walk(database, range, deadline);
  std::uint64_t slot = 0;
  std::size_t sampled = 0;
  while (!walk.at_end()) {
    const auto record = walk.record();
    if (!record) return record.error();
    if (record->position / kPositionsPerSlot != slot) sampled = 0;
    slot = record->position / kPositionsPerSlot;
    keys[slot] += record->present ? 1 : 0;
    if (++sampled < kSampledPerSlotMax) {
      walk.next();
      continue;
    }
    const auto reached = static_cast<double>(record->position % kPositionsPerSlot + 1);
    constexpr double kUnbiased = static_cast<double>(kSampledPerSlotMax - 1) / kSampledPerSlotMax;
    keys[slot] *= kUnbiased * static_cast<double>(kPositionsPerSlot) / reached;
    walk.skip_to((slot + 1) * kPositionsPerSlot);
  }
  if (auto status = walk.status(); !status) return std::move(status).error();
  return keys;
}

// The present keys if there are at most kCountExactMax records in all.
Result<std::optional<std::uint64_t>> count_few(Database& database, base::Nanoseconds deadline) {
  Walk walk(database, {}, deadline);
  std::uint64_t present = 0;
  std::size_t records = 0;
  for (; !walk.at_end(); walk.next()) {
    if (++records > kCountExactMax) return std::optional<std::uint64_t>();
    const auto record = walk.record();
    if (!record) return record.error();
    present += record->present ? 1 : 0;
  }
  if (auto status = walk.status(); !status) return std::move(status).error();
  return std::optional(present);
}

}  // namespace

Result<KeyCount> count_keys(Database& database, base::Nanoseconds deadline) {
  auto few = count_few(database, deadline);
  if (!few) return std::move(few).error();
  if (*few) return KeyCount{**few, true};
  auto keys = sample_slots(database, {}, deadline);
  if (!keys) return std::move(keys).error();
  double sum = 0;
  for (const double held : *keys) sum += held;
  return KeyCount{static_cast<std::uint64_t>(std::llround(sum)), false};
}

Result<std::vector<base::Slot>> find_split_points(Database& database, base::SlotRange range, int parts,
                                                  base::Nanoseconds deadline) {
  auto keys = sample_slots(database, range, deadline);
  if (!keys) return std::move(keys).error();
  double total = 0;
  for (const double held : *keys) total += held;
  std::vector<base::Slot> points;
  if (total == 0) return points;
  double before = 0;
  int next = 1;  // The part whose beginning is looked for.
  for (int slot = range.first; slot < range.last && next < parts; ++slot) {
    before += (*keys)[static_cast<std::size_t>(slot)];
    if (before < total * next / parts) continue;
    points.push_back(static_cast<base::Slot>(slot + 1));
    while (next < parts && before >= total * next / parts) ++next;
  }
  return points;
}

}  // namespace freshet::storage::embedded
