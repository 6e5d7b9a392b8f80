// A hit on a shard of records (memory/segments), to be held against one on the table's entries (linked_table_bench): 1 M
// keys, values of 100 bytes, uniform, in 256 shards; and what ten million small entries take (bench/small_objects.py).
//
// Run: segment_bench [--benchmark_filter=...]; items_per_second is hits a second over all threads.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include "base/late_clock.h"
#include "base/slot.h"
#include "drawn_keys.h"
#include "eviction/policies.h"
#include "eviction/sifting/s3_fifo.h"
#include "memory/segments/segment_shard.h"
#include "memory/table.h"

namespace freshet {
namespace {

using namespace memory::segments;

constexpr std::uint64_t kKeys = 1'000'000;
constexpr std::uint64_t kManyKeys = 10'000'000;
constexpr std::size_t kValueBytes = 100;
constexpr std::size_t kSmallValueBytes = 10;
constexpr int kHitsToSettle = 3;  // S3-FIFO has then nothing to count.
constexpr std::size_t kShards = 256;

class Records {
 public:
  explicit Records(std::size_t capacity_bytes) {
    for (std::size_t i = 0; i < kShards; ++i) {
      auto policy = std::make_unique<eviction::sifting::S3Fifo>();
      shards_.push_back(std::make_unique<SegmentShard>(pool_, capacity_bytes / kShards, std::move(policy)));
    }
  }
  SegmentShard& shard_of(std::uint64_t hash) { return *shards_[hash >> 56]; }
  void fill(std::uint64_t keys, std::size_t value_bytes, int hits) {
    const memory::WitnessRef witness(new Deadline);
    const std::string value(value_bytes, 'v');
    for (std::uint64_t i = 0; i < keys; ++i) {
      const Key key(i);
      const std::uint64_t hash = base::hash_of(key.view());
      shard_of(hash).insert({.key = key.view(), .hash = hash, .value = value, .version = i, .witness = witness});
      for (int hit = 0; hit < hits; ++hit) {
        shard_of(hash).visit(key.view(), hash, [](const EntryView&) { return true; });
      }
    }
  }
  memory::ShardStats stats() {
    memory::ShardStats total;
    for (const auto& shard : shards_) {
      const auto one = shard->stats();
      total.entries += one.entries;
      total.bytes += one.bytes;
      total.index_bytes += one.index_bytes;
    }
    return total;
  }

 private:
  SegmentPool pool_{64 << 10};
  std::vector<std::unique_ptr<SegmentShard>> shards_;
};

Records& records() {
  static Records* const records = [] {
    auto* const made = new Records(std::size_t{1} << 30);
    made->fill(kKeys, kValueBytes, kHitsToSettle);
    return made;
  }();
  return *records;
}

bool copy(SegmentShard& shard, std::string_view key, std::uint64_t hash, std::span<char> out) {
  const base::Nanoseconds now = base::LateClock::now();
  memory::EntryCopy copied;
  return shard.copy(key, hash, out, copied, [now](const memory::Witness* witness, std::int64_t) {
    return witness && now < memory::peek(static_cast<const Deadline*>(witness)->at);
  });
}

void copy_records(benchmark::State& state) {
  const std::vector<Key> keys = drawn_keys(state, static_cast<std::uint64_t>(state.range(0)));
  Records& all = records();
  char out[kValueBytes];
  std::size_t next = 0;
  for (auto _ : state) {
    const std::string_view key = keys[next++ % kDraws].view();
    const std::uint64_t hash = base::hash_of(key);
    SegmentShard& shard = all.shard_of(hash);
    shard.prefetch(hash);
    if (!copy(shard, key, hash, out)) state.SkipWithError("a key is missing");
    benchmark::DoNotOptimize(out);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(copy_records)->ArgName("keys")->Arg(1'000)->Arg(kKeys)->ThreadRange(1, 2)->UseRealTime();

// One request in ten puts a new value of the same size in, as in linked_table_bench.
void mixed_records(benchmark::State& state) {
  const std::vector<Key> keys = drawn_keys(state, kKeys);
  Records& all = records();
  const memory::WitnessRef witness(new Deadline);
  const std::string value(kValueBytes, 'w');
  char out[kValueBytes];
  std::size_t next = 0;
  for (auto _ : state) {
    const std::string_view key = keys[next++ % kDraws].view();
    const std::uint64_t hash = base::hash_of(key);
    SegmentShard& shard = all.shard_of(hash);
    shard.prefetch(hash);
    if (next % 10 == 0) {
      shard.insert({.key = key, .hash = hash, .value = value, .version = next, .witness = witness, .written = true});
    } else if (!copy(shard, key, hash, out)) {
      state.SkipWithError("a key is missing");
    }
    benchmark::DoNotOptimize(out);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(mixed_records)->ThreadRange(1, 2)->UseRealTime();

std::size_t resident_bytes() {
  std::size_t total = 0, resident = 0;
  if (std::FILE* const file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu %zu", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// Many keys of 20 bytes with values of 10: what it takes by its own account, and by what the process has grown.
template <typename Fill>
void many_small(benchmark::State& state, Fill&& fill) {
  for (auto _ : state) {
    const std::size_t before = resident_bytes();
    const auto [entries, bytes] = fill(static_cast<std::uint64_t>(state.range(0)));
    if (entries != static_cast<std::uint64_t>(state.range(0))) state.SkipWithError("some were evicted");
    state.counters["account_bytes"] = static_cast<double>(bytes);
    state.counters["rss_bytes"] = static_cast<double>(resident_bytes() - before);
  }
}

void many_small_records(benchmark::State& state) {
  std::unique_ptr<Records> all;
  many_small(state, [&](std::uint64_t keys) {
    all = std::make_unique<Records>(std::size_t{4} << 30);
    all->fill(keys, kSmallValueBytes, 0);
    const auto stats = all->stats();
    return std::pair(stats.entries, stats.bytes);
  });
}
BENCHMARK(many_small_records)->Arg(kManyKeys)->Iterations(1)->Unit(benchmark::kMillisecond);

void many_small_entries(benchmark::State& state) {
  std::unique_ptr<memory::Table> table;
  many_small(state, [&](std::uint64_t keys) {
    memory::TableOptions options;
    options.capacity_bytes = std::size_t{4} << 30;
    options.policy = eviction::table_policy("s3fifo")->make;
    table = std::make_unique<memory::Table>(std::move(options));
    const memory::WitnessRef witness(new Deadline);
    const std::string value(kSmallValueBytes, 'v');
    for (std::uint64_t i = 0; i < keys; ++i) {
      const Key key(i);
      const auto hash = base::hash_of(key.view());
      table->insert({.key = key.view(), .hash = hash, .value = value, .version = i, .witness = witness});
    }
    const auto stats = table->stats();
    return std::pair(stats.entries, stats.bytes);
  });
}
BENCHMARK(many_small_entries)->Arg(kManyKeys)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace freshet

BENCHMARK_MAIN();
