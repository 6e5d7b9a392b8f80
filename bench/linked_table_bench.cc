// What a hit from memory costs a process that links the library: 1 M keys, values of 100 bytes, uniform. Each hit hashes its
// key, reads a clock, looks up, checks a witness as the consistency room does (one atomic load), and copies the value out:
// as the public API does (copy), or by visits with the shard's lock. Beside it the parts: the lock against std::mutex, the
// clocks, and a bare read of memory.
//
// Run: linked_table_bench [--benchmark_filter=...]; items_per_second is hits a second over all threads.
#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/late_clock.h"
#include "base/random.h"
#include "base/slot.h"
#include "base/spin_lock.h"
#include "drawn_keys.h"
#include "eviction/policies.h"
#include "memory/table.h"

namespace freshet {
namespace {

using memory::NewEntry;

constexpr std::uint64_t kKeys = 1'000'000;
constexpr std::size_t kValueBytes = 100;
constexpr int kHitsToSettle = 3;  // S3-FIFO has then nothing to count.
constexpr std::size_t kCapacityBytes = std::size_t{1} << 30;

std::unique_ptr<memory::Table> filled_table(memory::PolicyFactory policy) {
  memory::TableOptions options;
  options.capacity_bytes = kCapacityBytes;
  options.policy = std::move(policy);
  auto table = std::make_unique<memory::Table>(options);
  const memory::WitnessRef witness(new Deadline);
  const std::string value(kValueBytes, 'v');
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    const Key key(i);
    const std::uint64_t hash = base::hash_of(key.view());
    table->insert({.key = key.view(), .hash = hash, .value = value, .version = i, .witness = witness});
    for (int hit = 0; hit < kHitsToSettle; ++hit) table->visit(key.view(), hash, [](const memory::Entry&) {});
  }
  return table;
}

memory::Table& s3_fifo_table() {
  static const auto table = filled_table(eviction::table_policy("s3fifo")->make);
  return *table;
}
memory::Table& lru_table() {
  static const auto table = filled_table(eviction::table_policy("lru")->make);
  return *table;
}

// One linearizable hit; the number of bytes copied, 0 on a miss.
std::size_t hit(memory::Table& table, std::string_view key, std::uint64_t hash, base::Nanoseconds now, char* out) {
  std::size_t copied = 0;
  table.visit(key, hash, [&](const memory::Entry& entry) {
    if (now >= static_cast<const Deadline*>(entry.witness())->at.load(std::memory_order_acquire)) return false;
    copied = entry.value().copy(out, kValueBytes);
    return true;
  });
  return copied;
}

// The same as the public API does it: mostly without the lock, by the unordered clock.
std::size_t copy(memory::Table& table, std::string_view key, std::span<char> out) {
  const auto judge = [] {
    return [now = base::LateClock::now()](const memory::Witness* witness, std::int64_t) {
      return now < memory::peek(static_cast<const Deadline*>(witness)->at);
    };
  };
  memory::EntryCopy copied;
  return table.copy_judged(key, base::hash_of(key), out, copied, judge) ? copied.value_bytes : 0;
}

// Keys one by one, uniform over the first state.range(0) of them: few stay in the processor's cache and show what the code
// costs; with all of them every hit waits for memory.
void run_hits(benchmark::State& state, memory::Table& table) {
  const std::vector<Key> keys = drawn_keys(state, static_cast<std::uint64_t>(state.range(0)));
  char out[kValueBytes];
  std::size_t next = 0;
  for (auto _ : state) {
    const Key& key = keys[next++ % kDraws];
    const std::uint64_t hash = base::hash_of(key.view());
    table.prefetch(hash);  // Under way while the clock is read.
    if (hit(table, key.view(), hash, base::now(), out) != kValueBytes) state.SkipWithError("a key is missing");
    benchmark::DoNotOptimize(out);
  }
  state.SetItemsProcessed(state.iterations());
}

void run_copies(benchmark::State& state, memory::Table& table) {
  const std::vector<Key> keys = drawn_keys(state, static_cast<std::uint64_t>(state.range(0)));
  char out[kValueBytes];
  std::size_t next = 0;
  for (auto _ : state) {
    const Key& key = keys[next++ % kDraws];
    if (copy(table, key.view(), out) != kValueBytes) state.SkipWithError("a key is missing");
    benchmark::DoNotOptimize(out);
  }
  state.SetItemsProcessed(state.iterations());
}

// One request in ten puts a new value of the same size into the cache, as a write that was acknowledged or a change of the
// stream does; the others are copies.
void mixed_s3_fifo(benchmark::State& state) {
  memory::Table& table = s3_fifo_table();
  const std::vector<Key> keys = drawn_keys(state, kKeys);
  const memory::WitnessRef witness(new Deadline);
  const std::string value(kValueBytes, 'w');
  char out[kValueBytes];
  std::size_t next = 0;
  for (auto _ : state) {
    const std::string_view key = keys[next++ % kDraws].view();
    if (next % 10 == 0) {
      const NewEntry entry{
          .key = key, .hash = base::hash_of(key), .value = value, .version = next, .witness = witness, .written = true};
      table.insert(entry);
    } else if (copy(table, key, out) != kValueBytes) {
      state.SkipWithError("a key is missing");
    }
    benchmark::DoNotOptimize(out);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(mixed_s3_fifo)->ThreadRange(1, 2)->UseRealTime();

void copy_s3_fifo(benchmark::State& state) { run_copies(state, s3_fifo_table()); }
void copy_lru(benchmark::State& state) { run_copies(state, lru_table()); }
BENCHMARK(copy_s3_fifo)->ArgName("keys")->Arg(1'000)->Arg(kKeys)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(copy_lru)->ArgName("keys")->Arg(kKeys)->UseRealTime();

void hit_s3_fifo(benchmark::State& state) { run_hits(state, s3_fifo_table()); }
void hit_lru(benchmark::State& state) { run_hits(state, lru_table()); }
BENCHMARK(hit_s3_fifo)->ArgName("keys")->Arg(1'000)->Arg(kKeys)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(hit_lru)->ArgName("keys")->Arg(1'000)->Arg(kKeys)->ThreadRange(1, 2)->UseRealTime();

// Batches, as get_many and a server's pipeline bring them: one reading of the clock; the index, then the entries prefetched.
void hit_batch(benchmark::State& state) {
  memory::Table& table = s3_fifo_table();
  const std::vector<Key> keys = drawn_keys(state, kKeys);
  std::vector<std::uint64_t> hashes(static_cast<std::size_t>(state.range(0)));
  char out[kValueBytes];
  std::size_t next = 0;
  for (auto _ : state) {
    const Key* const batch = &keys[next];
    next = (next + hashes.size()) % kDraws;
    for (std::size_t i = 0; i < hashes.size(); ++i) {
      hashes[i] = base::hash_of(batch[i].view());
      table.prefetch(hashes[i]);
    }
    for (const std::uint64_t hash : hashes) table.prefetch_entry(hash);
    const base::Nanoseconds now = base::now();
    for (std::size_t i = 0; i < hashes.size(); ++i) {
      if (hit(table, batch[i].view(), hashes[i], now, out) != kValueBytes) state.SkipWithError("a key is missing");
      benchmark::DoNotOptimize(out);
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(hit_batch)->ArgName("batch")->Arg(4)->Arg(16)->Arg(64)->ThreadRange(1, 2)->UseRealTime();

// The yardstick: one read of memory whose address the read before it gave, over as many bytes as the entries take. A hit of
// 1 M keys is two such reads, the index's and the entry's.
void dependent_read(benchmark::State& state) {
  constexpr std::size_t kLines = std::size_t{1} << 22;
  struct alignas(64) Line {
    std::uint32_t next;
  };
  std::vector<Line> lines(kLines);
  for (std::uint32_t i = 0; i < kLines; ++i) lines[i].next = i;
  base::Random random(1);
  for (std::uint32_t i = kLines - 1; i > 0; --i) std::swap(lines[i].next, lines[random.below(i)].next);  // One cycle.
  std::uint32_t at = 0;
  for (auto _ : state) at = lines[at].next;
  benchmark::DoNotOptimize(at);
}
BENCHMARK(dependent_read);

void clock_reading(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(base::now());
}
BENCHMARK(clock_reading);

void late_clock_reading(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(base::LateClock::now());
}
BENCHMARK(late_clock_reading);

template <typename Lock>
void lock_and_unlock(benchmark::State& state) {
  Lock lock;
  for (auto _ : state) {
    std::lock_guard hold(lock);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(lock_and_unlock<base::SpinLock>);
BENCHMARK(lock_and_unlock<std::mutex>);

}  // namespace
}  // namespace freshet

BENCHMARK_MAIN();
