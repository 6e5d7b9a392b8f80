// memory::Table::copy from several threads, beside writers that replace, erase, evict and resize all the time in a table of
// one shard: no torn value, no other key's, none that is older than one already seen, and the witness that belongs to it.
// Memory goes back to the system and comes again meanwhile. Meant for the sanitizers as much as for itself.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "base/slot.h"
#include "memory/settling_fifo.h"
#include "memory/table.h"

namespace freshet::memory {
namespace {

constexpr std::uint64_t kSeed = 20261124;
constexpr int kReaders = 3;
constexpr std::uint64_t kWriters = 2;
constexpr int kWriterSteps = 40'000;
constexpr std::uint64_t kKeys = 480;
constexpr std::uint64_t kCrowd = 1'500;  // Keys that only come and go, so that the index grows and shrinks.
constexpr std::size_t kSmallBytes = std::size_t{1} << 20;
constexpr std::size_t kLargeBytes = std::size_t{12} << 20;
constexpr std::size_t kBufferBytes = 4'096;

// Says which version it was cached with, until it is gone.
struct Seal final : Witness {
  explicit Seal(std::uint64_t sealed) : version(sealed) {}
  ~Seal() override { version.store(0, std::memory_order_relaxed); }
  // Of a witness that may have ended.
  FRESHET_UNLOCKED_READ static std::uint64_t version_of(const Witness* witness) {
    return peek(static_cast<const Seal*>(witness)->version);
  }
  std::atomic<std::uint64_t> version;
};

std::string key_of(std::uint64_t number) { return "key" + std::string(number % 23, '-') + std::to_string(number); }

// Its length and every byte of it follow from key and version. Sizes that stand in segments and outside of them, and some
// larger than the readers' buffers.
std::string value_of(std::uint64_t number, std::uint64_t version) {
  base::Random random(number << 32 | version);
  const std::uint64_t kind = random.below(100);
  const std::uint64_t bytes = kind < 80 ? random.below(300) : kind < 98 ? random.below(kBufferBytes) : random.below(12'000);
  std::string value(bytes + sizeof(std::uint64_t), '\0');
  for (std::size_t at = 0; at + sizeof(std::uint64_t) <= value.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(value.data() + at, &word, sizeof word);
  }
  return value;
}

class Writer {
 public:
  Writer(Table& table, std::uint64_t id) : table_(table), random_(kSeed + id), id_(id) {}

  void run() {
    for (int i = 0; i < kWriterSteps; ++i) step();
  }

 private:
  void step() {
    const std::uint64_t kind = random_.below(10'000);
    const std::uint64_t number = random_.below(kKeys / kWriters) * kWriters + id_;
    if (kind < 8'000) {
      put(number, ++version_);
    } else if (kind < 9'500) {
      table_.erase(key_of(number), base::hash_of(key_of(number)));
    } else if (kind < 9'970) {
      table_.erase_if([&](const Entry& entry) { return base::hash_of(entry.key()) % 16 == number % 16; });
    } else if (kind < 9'985) {
      table_.set_capacity(kLargeBytes);
      for (std::uint64_t i = 0; i < kCrowd; ++i) put(kKeys + i * kWriters + id_, ++version_);
    } else if (kind < 9'995) {
      table_.set_capacity(kSmallBytes);
    } else {
      table_.erase_if([](const Entry&) { return true; });
    }
  }

  void put(std::uint64_t number, std::uint64_t version) {
    const std::string key = key_of(number);
    const std::string value = value_of(number, version);
    table_.insert({.key = key,
                   .hash = base::hash_of(key),
                   .value = value,
                   .version = version,
                   .witness = WitnessRef(new Seal(version))});
  }

  Table& table_;
  base::Random random_;
  const std::uint64_t id_;
  std::uint64_t version_ = 0;
};

class Reader {
 public:
  Reader(Table& table, std::uint64_t id) : table_(table), random_(~kSeed + id) {}

  void run(const std::atomic<bool>& over) {
    while (!over.load(std::memory_order_relaxed)) read(random_.below(kKeys));
  }
  std::uint64_t faults() const { return faults_; }
  std::uint64_t hits() const { return hits_; }

 private:
  void read(std::uint64_t number) {
    const std::string key = key_of(number);
    std::uint64_t sealed = 0;
    EntryCopy copied;
    table_.prefetch_entry(base::hash_of(key));
    const bool hit = table_.copy(key, base::hash_of(key), buffer_, copied, [&](const Witness* witness, std::int64_t) {
      sealed = Seal::version_of(witness);
      return true;
    });
    if (!hit) return;
    ++hits_;
    const std::string whole = value_of(number, copied.version);
    faults_ += copied.value_bytes != whole.size();
    if (whole.size() <= buffer_.size()) faults_ += std::memcmp(buffer_.data(), whole.data(), whole.size()) != 0;
    faults_ += sealed != copied.version;
    faults_ += copied.version < newest_[number];
    newest_[number] = copied.version;
  }

  Table& table_;
  base::Random random_;
  std::array<char, kBufferBytes> buffer_;
  std::array<std::uint64_t, kKeys> newest_{};
  std::uint64_t faults_ = 0;
  std::uint64_t hits_ = 0;
};

TEST(TableCopyConcurrency, ReadersSeeWholeValuesInOrder) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::uint64_t locked = 0;
  Table table(settling_table(kSmallBytes, 1, &locked));
  std::vector<Writer> writers;
  std::vector<Reader> readers;
  for (std::uint64_t id = 0; id < kWriters; ++id) writers.emplace_back(table, id);
  for (std::uint64_t id = 0; id < kReaders; ++id) readers.emplace_back(table, id);
  {
    std::atomic<bool> over{false};
    std::vector<std::jthread> reading;
    for (Reader& reader : readers) reading.emplace_back([&] { reader.run(over); });
    std::vector<std::jthread> writing;
    for (Writer& writer : writers) writing.emplace_back([&] { writer.run(); });
    writing.clear();
    over = true;
  }
  std::uint64_t hits = 0;
  for (const Reader& reader : readers) {
    EXPECT_EQ(reader.faults(), 0u);
    hits += reader.hits();
  }
  RecordProperty("hits", static_cast<int>(hits));
  RecordProperty("locked", static_cast<int>(locked));
  // What part of them takes the lock is a matter of who runs when.
  EXPECT_GT(hits - locked, std::uint64_t{kWriterSteps} / 100) << "too few hits without the lock to show anything";
  EXPECT_GT(table.stats().evicted, 0u);
}

}  // namespace
}  // namespace freshet::memory
