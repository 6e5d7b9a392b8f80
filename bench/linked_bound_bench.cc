// What the machine allows a linked hit: the same reads of memory as a hit's and nothing else, in turns with the library
// itself, and the share of it that the library reaches. Copied out, the clock read, uniform, one thread.
//
// The bare hit hashes its key, finds a bucket of addresses and tags, follows the address, compares the key, reads the clock
// and copies the value. Bucket and record have the size of the table's (memory/segments), and huge pages; but nobody may
// change anything, nothing says how long an entry holds, nothing is counted, a key without room in its own bucket is
// left out, and a batch's values go into one buffer, one after the other.
//
// Run: linked_bound_bench [--keys N] [--value-size B] [--rounds N]; a line a round, then the medians.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/late_clock.h"
#include "base/random.h"
#include "base/slot.h"
#include "load/linked.h"
#include "load/linked_key.h"
#include "median.h"
#include "memory/mapped/address_ranges.h"
#include "memory/mapped/block_classes.h"
#include "memory/mapped/unlocked_read.h"

namespace freshet {
namespace {

constexpr std::uint64_t kDraws = std::uint64_t{1} << 20;
constexpr std::size_t kBatch = 16;
constexpr std::size_t kAhead = 4;         // Records on their way while one is copied.
constexpr std::size_t kSlots = 9;         // Of a bucket,
constexpr std::size_t kKeysABucket = 6;   // and how many of them are meant to be in use.
constexpr std::size_t kHeadBytes = 12;
constexpr std::size_t kLineBytes = 64;
constexpr base::Nanoseconds kRoundTime = 2 * base::kSecond;

using Key = load::LinkedKey;

struct alignas(kLineBytes) Bucket {
  std::array<std::uint32_t, kSlots> records;  // By number.
  std::array<std::uint8_t, kSlots> tags;      // 0: free.
};

template <typename T>
T* huge_pages(std::size_t count) {
  const std::size_t bytes = (count * sizeof(T) + memory::kRegionBytes - 1) / memory::kRegionBytes * memory::kRegionBytes;
  void* const memory = memory::AddressRanges::shared().take(bytes);
  std::memset(memory, 0, bytes);
  return static_cast<T*>(memory);
}

class BareTable {
 public:
  BareTable(std::uint64_t keys, std::size_t value_bytes)
      : record_bytes_(kHeadBytes + Key::kBytes + value_bytes),
        value_bytes_(value_bytes),
        bucket_count_(std::max<std::uint64_t>(keys / kKeysABucket, 1)),
        buckets_(huge_pages<Bucket>(bucket_count_)),
        records_(huge_pages<char>(keys * record_bytes_ + kLineBytes)) {
    base::Random random(1);
    std::vector<Key> kept;
    for (std::uint64_t i = 0; i < keys; ++i) {
      if (put(Key(i), static_cast<std::uint32_t>(i))) kept.emplace_back(i);
    }
    for (std::uint64_t i = 0; i < kDraws; ++i) draws_.push_back(kept[random.below(kept.size())]);
  }

  const Key& next() { return draws_[drawn_++ % kDraws]; }
  bool hit(std::string_view key, std::span<char> to) const {
    const std::uint64_t hash = base::hash_of(key);
    const Bucket& bucket = bucket_of(hash);
    __builtin_prefetch(&bucket);
    const base::Nanoseconds now = base::LateClock::now();
    return now < base::kForever && copy(key, record_of(bucket, hash), to);
  }
  std::size_t hits(std::span<const Key* const> keys, std::span<char> to) const {
    std::array<std::uint64_t, kBatch> hashes;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      __builtin_prefetch(&bucket_of(hashes[i] = base::hash_of(keys[i]->view())));
    }
    const base::Nanoseconds now = base::LateClock::now();
    std::array<const char*, kBatch> records;
    std::size_t found = 0;
    for (std::size_t i = 0; i < keys.size() + kAhead; ++i) {
      if (i < keys.size()) fetch(records[i] = record_of(bucket_of(hashes[i]), hashes[i]));
      if (i >= kAhead) found += now < base::kForever && copy(keys[i - kAhead]->view(), records[i - kAhead], to);
    }
    return found;
  }

 private:
  Bucket& bucket_of(std::uint64_t hash) const {
    return buckets_[(hash >> 32) * bucket_count_ >> 32];
  }
  static std::uint8_t tag_of(std::uint64_t hash) { return static_cast<std::uint8_t>(hash) | 1; }
  // The slot with the tag, which one of them has: the last one if none of the first eight does.
  static std::uint32_t slot_of(const Bucket& bucket, std::uint8_t tag) {
    std::uint64_t tags;
    std::memcpy(&tags, bucket.tags.data(), sizeof tags);
    constexpr std::uint64_t kOnes = 0x0101010101010101;
    const std::uint64_t differs = tags ^ kOnes * tag;
    const std::uint64_t equal = (differs - kOnes) & ~differs & kOnes << 7;
    return equal == 0 ? kSlots - 1 : static_cast<std::uint32_t>(std::countr_zero(equal)) / 8;
  }
  const char* record_of(const Bucket& bucket, std::uint64_t hash) const {
    return records_ + bucket.records[slot_of(bucket, tag_of(hash))] * record_bytes_;
  }
  void fetch(const char* record) const {
    for (std::size_t line = 0; line < 3; ++line) __builtin_prefetch(record + line * kLineBytes);
  }
  bool copy(std::string_view key, const char* record, std::span<char> to) const {
    if (static_cast<std::size_t>(record[0]) != key.size() || !memory::peek_equal(record + kHeadBytes, key)) return false;
    memory::peek_bytes(record + kHeadBytes + Key::kBytes, value_bytes_, to.data());
    return true;
  }
  // False if its bucket is full, or has the tag already.
  bool put(const Key& key, std::uint32_t number) {
    const std::uint64_t hash = base::hash_of(key.view());
    Bucket& bucket = bucket_of(hash);
    std::size_t slot = 0;
    for (; slot < kSlots && bucket.tags[slot] != 0; ++slot) {
      if (bucket.tags[slot] == tag_of(hash)) return false;
    }
    if (slot == kSlots) return false;
    bucket.tags[slot] = tag_of(hash);
    bucket.records[slot] = number;
    char* const record = records_ + number * record_bytes_;
    record[0] = Key::kBytes;
    std::memcpy(record + kHeadBytes, key.view().data(), Key::kBytes);
    std::memset(record + kHeadBytes + Key::kBytes, 'v', value_bytes_);
    return true;
  }

  const std::size_t record_bytes_;
  const std::size_t value_bytes_;
  const std::uint64_t bucket_count_;
  Bucket* const buckets_;
  char* const records_;
  std::vector<Key> draws_;
  std::uint64_t drawn_ = 0;
};

// Hits a second, in turns of `batch`.
double measure_bare(BareTable& table, std::size_t batch, std::size_t value_bytes) {
  std::vector<char> to(value_bytes);
  std::array<const Key*, kBatch> keys;
  std::uint64_t asked = 0, found = 0;
  const base::Nanoseconds begin = base::now();
  base::Nanoseconds now = begin;
  for (; now < begin + kRoundTime; now = base::now()) {
    for (int i = 0; i < 4096; ++i, asked += batch) {
      if (batch == 1) {
        found += table.hit(table.next().view(), to);
        continue;
      }
      for (std::size_t k = 0; k < batch; ++k) keys[k] = &table.next();
      found += table.hits(std::span(keys).first(batch), to);
    }
  }
  if (found != asked) throw std::runtime_error(fmt::format("{} of {} keys were not found", asked - found, asked));
  return static_cast<double>(asked) / (static_cast<double>(now - begin) / base::kSecond);
}

double measure_library(std::uint64_t keys, std::size_t value_bytes, std::size_t batch) {
  load::LinkedPlan plan;
  plan.keys = keys;
  plan.value_bytes = value_bytes;
  plan.batch = static_cast<std::uint32_t>(batch);
  plan.seconds = static_cast<double>(kRoundTime) / base::kSecond;
  const auto figures = load::measure_linked(plan);
  if (!figures) throw std::runtime_error(figures.error().what);
  if (figures->errors + figures->misses > 0) throw std::runtime_error("the library missed or failed: the keys do not fit");
  return static_cast<double>(figures->operations) / figures->seconds;
}

void compare(BareTable& table, std::uint64_t keys, std::size_t value_bytes, std::size_t batch, int rounds) {
  std::vector<double> shares;
  for (int round = 0; round < rounds; ++round) {
    const double before = measure_bare(table, batch, value_bytes);
    const double library = measure_library(keys, value_bytes, batch);
    const double bare = (before + measure_bare(table, batch, value_bytes)) / 2;
    shares.push_back(library / bare);
    fmt::print("batch {:2}: bare {:.2f} M/s, library {:.2f} M/s, share {:.2f}\n", batch, bare * 1e-6, library * 1e-6,
               shares.back());
  }
  fmt::print("batch {:2}: share {:.2f} (median of {})\n", batch, median(shares), rounds);
}

}  // namespace
}  // namespace freshet

int main(int argc, char** argv) {
  CLI::App app("The library's linked hit beside the bare one");
  std::uint64_t keys = 1'000'000;
  std::size_t value_bytes = 100;
  int rounds = 3;
  app.add_option("--keys", keys, "Keys")->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100'000'000}));
  app.add_option("--value-size", value_bytes, "Bytes of a value")->check(CLI::Range(16, 255));
  app.add_option("--rounds", rounds, "Rounds")->check(CLI::Range(1, 100));
  CLI11_PARSE(app, argc, argv);
  freshet::BareTable table(keys, value_bytes);
  for (const std::size_t batch : {std::size_t{1}, freshet::kBatch}) {
    freshet::compare(table, keys, value_bytes, batch, rounds);
  }
}
