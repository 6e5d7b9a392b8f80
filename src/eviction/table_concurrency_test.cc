// memory::Table with the policies of this room, from several threads at once: no torn value, no older value after a newer
// one, nothing leaked. Meant for the thread sanitizer as much as for itself.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/slot.h"
#include "eviction/policies.h"
#include "memory/table.h"

namespace freshet::eviction {
namespace {

using memory::Entry;

constexpr std::uint64_t kSeed = 20231023;
constexpr int kThreads = 4;
constexpr int kSteps = 50'000;
constexpr std::uint64_t kKeys = 64;  // Few, so that threads meet.
constexpr std::size_t kCapacityBytes = 32 * 1024;
// Those that need little enough beside the entries for a table as small as this.
constexpr std::array<const char*, 7> kPolicies{"fifo", "lru", "clock", "sieve", "s3fifo", "arc", "lirs"};

struct CountedWitness final : memory::Witness {
  explicit CountedWitness(std::atomic<int>& alive_count) : alive(alive_count) { ++alive; }
  ~CountedWitness() override { --alive; }
  std::atomic<int>& alive;
};

std::string key_of(std::uint64_t number) { return "key" + std::to_string(number); }

// A value that shows whether it is whole: every word of it, and its length, follow from key and version.
std::string value_of(std::uint64_t number, std::uint64_t version) {
  base::Random words(number << 32 | version);
  std::string value((1 + words.below(60)) * sizeof(std::uint64_t), '\0');
  for (std::size_t at = 0; at < value.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = words();
    std::memcpy(value.data() + at, &word, sizeof word);
  }
  return value;
}

bool is_whole(const Entry& entry, std::uint64_t number) {
  return entry.key() == key_of(number) && entry.value() == value_of(number, entry.version());
}

// One thread. It alone writes the keys whose number is its own modulo kThreads; it reads them all.
class Worker {
 public:
  Worker(memory::Table& table, std::atomic<int>& witnesses, int id)
      : table_(table),
        witnesses_(witnesses),
        random_(kSeed + static_cast<std::uint64_t>(id)),
        id_(static_cast<std::uint64_t>(id)) {}

  void run() {
    for (int i = 0; i < kSteps; ++i) step();
  }
  int faults() const { return faults_; }
  int hits() const { return hits_; }

 private:
  void step() {
    const std::uint64_t kind = random_.below(1'000);
    const std::uint64_t number = random_.below(kKeys);
    const std::string key = key_of(number);
    const std::uint64_t hash = base::hash_of(key);
    if (kind < 250) {
      write(number / kThreads * kThreads + id_);
    } else if (kind < 700) {
      table_.prefetch(hash);
      hits_ += table_.visit(key, hash, [&](const Entry& entry) { see(entry, number); });
    } else if (kind < 900) {
      if (kind % 4 == 0) table_.prefetch_entry(hash);
      pins_[random_.below(pins_.size())] = {table_.pin(key, hash), number};
      for (const auto& [entry, pinned_number] : pins_) faults_ += entry && !is_whole(*entry, pinned_number);
    } else if (kind < 990) {
      table_.erase(key, hash);
    } else if (kind < 994) {
      table_.erase_if([&](const Entry& entry) { return base::hash_of(entry.key()) % 3 == number % 3; });
    } else if (kind < 997) {
      table_.set_policy(table_policy(kPolicies[random_.below(kPolicies.size())])->make);
    } else {
      table_.set_capacity(kCapacityBytes / (1 + random_.below(4)));
    }
  }

  void write(std::uint64_t number) {
    const std::string key = key_of(number);
    const std::string value = value_of(number, ++version_);
    table_.insert({.key = key,
                   .hash = base::hash_of(key),
                   .value = value,
                   .version = version_,
                   .witness = memory::WitnessRef(new CountedWitness(witnesses_))});
  }

  void see(const Entry& entry, std::uint64_t number) {
    faults_ += !is_whole(entry, number);
    faults_ += entry.version() < newest_[number];
    newest_[number] = entry.version();
  }

  memory::Table& table_;
  std::atomic<int>& witnesses_;
  base::Random random_;
  const std::uint64_t id_;
  std::uint64_t version_ = 0;  // One sequence for all keys of this thread.
  std::array<std::uint64_t, kKeys> newest_{};
  std::array<std::pair<memory::EntryRef, std::uint64_t>, 4> pins_;
  int faults_ = 0;
  int hits_ = 0;
};

class TableConcurrency : public testing::TestWithParam<const char*> {};

TEST_P(TableConcurrency, ReadersSeeWholeValuesInOrder) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::atomic<int> witnesses{0};
  {
    memory::TableOptions options;
    options.capacity_bytes = kCapacityBytes;
    options.shards = 2;  // Few, so that threads meet at the locks too.
    options.policy = table_policy(GetParam())->make;
    memory::Table table(std::move(options));
    std::vector<Worker> workers;
    for (int id = 0; id < kThreads; ++id) workers.emplace_back(table, witnesses, id);
    {
      std::vector<std::jthread> threads;
      for (Worker& worker : workers) threads.emplace_back([&worker] { worker.run(); });
    }
    for (const Worker& worker : workers) {
      EXPECT_EQ(worker.faults(), 0);
      EXPECT_GT(worker.hits(), kSteps / 100) << "too few hits to show anything";
    }
    const memory::TableStats stats = table.stats();
    EXPECT_LE(stats.bytes, stats.capacity_bytes);
    EXPECT_GT(stats.evicted, 0u);
  }
  EXPECT_EQ(witnesses, 0) << "entries leaked";
}

INSTANTIATE_TEST_SUITE_P(Policies, TableConcurrency, testing::ValuesIn(kPolicies),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace freshet::eviction
