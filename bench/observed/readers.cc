// See readers.h.
#include "readers.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <semaphore>
#include <thread>
#include <vector>

#include "base/random.h"
#include "database.h"

namespace freshet::bench {
namespace {

// Reads in flight of an open loop: more only wait longer, which the latencies show.
constexpr int kInFlightMax = 20'000;
constexpr base::Nanoseconds kTick = 100 * base::kMicrosecond;
constexpr std::size_t kWarmBatch = 512;

std::string key_of(std::uint64_t row) { return fmt::format("bench_rows:{}", row); }

std::string random_key(base::Random& random, int rows) { return key_of(random.below(static_cast<std::uint64_t>(rows))); }

void sleep_until(base::Nanoseconds moment) {
  const auto wait = moment - base::now();
  if (wait > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(wait));
}

// Starts what is due every tick; answers come on the follower's thread.
void run_open_loop(cache::Engine& engine, const cache::ReadOptions& read, const ReaderOptions& options,
                   ReadFigures& figures) {
  base::Random random(1);
  std::atomic<std::uint64_t> done{0}, failed{0};
  std::uint64_t begun = 0;
  const auto begin = base::now();
  const auto end = begin + static_cast<base::Nanoseconds>(options.seconds * base::kSecond);
  const double apart_ns = 1e9 / options.rate;
  for (auto tick = begin; tick < end; tick += kTick) {
    sleep_until(tick);
    // A rate beyond what is possible is never caught up with: the end ends it.
    for (auto now = base::now(); now < end && static_cast<double>(begun) * apart_ns < static_cast<double>(now - begin);
         ++begun, now = base::now()) {
      while (begun - done >= kInFlightMax) std::this_thread::yield();
      const auto called = base::now();
      engine.get(random_key(random, options.rows), read, [&, called](Result<cache::Reading> reading) {
        if (!reading) ++failed;
        figures.latency_ns.record(static_cast<std::uint64_t>(base::now() - called));
        ++done;
      });
    }
  }
  while (done < begun) std::this_thread::yield();
  figures.reads = done;
  figures.failed = failed;
  figures.seconds = static_cast<double>(base::now() - begin) / 1e9;
}

void run_closed_loop(cache::Engine& engine, const cache::ReadOptions& read, const ReaderOptions& options,
                     ReadFigures& figures) {
  std::atomic<std::uint64_t> reads{0}, failed{0};
  const auto begin = base::now();
  const auto end = begin + static_cast<base::Nanoseconds>(options.seconds * base::kSecond);
  std::vector<std::thread> readers;
  for (int id = 0; id < options.readers; ++id) {
    readers.emplace_back([&, id] {
      base::Random random(static_cast<std::uint64_t>(id) + 1);
      std::binary_semaphore answered(0);
      for (auto now = base::now(); now < end; ++reads) {
        engine.get(random_key(random, options.rows), read, [&](Result<cache::Reading> reading) {
          if (!reading) ++failed;
          answered.release();
        });
        answered.acquire();
        const auto after = base::now();
        figures.latency_ns.record(static_cast<std::uint64_t>(after - now));
        sleep_until(after + options.pause);
        now = base::now();
      }
    });
  }
  for (auto& reader : readers) reader.join();
  figures.reads = reads;
  figures.failed = failed;
  figures.seconds = static_cast<double>(base::now() - begin) / 1e9;
}

}  // namespace

ReadFigures read_through(cache::Engine& engine, const cache::ReadOptions& read, const ReaderOptions& options) {
  ReadFigures figures;
  const ServerClock clock(options.url);
  const auto cpu = clock.seconds();
  const auto probes = engine.stats().observed.probes;
  options.rate > 0 ? run_open_loop(engine, read, options, figures) : run_closed_loop(engine, read, options, figures);
  figures.probes = engine.stats().observed.probes - probes;
  figures.database_cpu_seconds = clock.seconds() - cpu;
  return figures;
}

ReadFigures read_by_sql(const ReaderOptions& options) {
  ReadFigures figures;
  const ServerClock clock(options.url);
  const auto cpu = clock.seconds();
  std::atomic<std::uint64_t> reads{0};
  const auto begin = base::now();
  const auto end = begin + static_cast<base::Nanoseconds>(options.seconds * base::kSecond);
  std::vector<std::thread> readers;
  for (int id = 0; id < options.readers; ++id) {
    readers.emplace_back([&, id] {
      const auto session = connect(options.url);
      run(session.get(), "PREPARE read(int) AS SELECT id, n, filler FROM bench_rows WHERE id = $1");
      base::Random random(static_cast<std::uint64_t>(id) + 1);
      const double apart_ns = options.rate > 0 ? 1e9 * options.readers / options.rate : 0;
      for (std::uint64_t turn = 0; base::now() < end; ++turn, ++reads) {
        if (apart_ns > 0) sleep_until(begin + static_cast<base::Nanoseconds>(static_cast<double>(turn) * apart_ns));
        const auto row = std::to_string(random.below(static_cast<std::uint64_t>(options.rows)));
        const char* const values[] = {row.c_str()};
        const auto now = base::now();
        PQclear(PQexecPrepared(session.get(), "read", 1, values, nullptr, nullptr, 0));
        figures.latency_ns.record(static_cast<std::uint64_t>(base::now() - now));
        sleep_until(base::now() + options.pause);
      }
    });
  }
  for (auto& reader : readers) reader.join();
  figures.reads = reads;
  figures.seconds = static_cast<double>(base::now() - begin) / 1e9;
  figures.database_cpu_seconds = clock.seconds() - cpu;
  return figures;
}

std::unique_ptr<cache::Engine> open_cold(const std::string& url, base::Nanoseconds probe_interval) {
  cache::EngineOptions options;
  options.probe_interval = probe_interval;
  options.storage_url = url;
  options.key_value = false;
  options.node = "bench";
  options.read_deadline = 30 * base::kSecond;
  storage::CollectionSpec spec;
  spec.name = spec.table = "bench_rows";
  options.collections = {spec};
  auto engine = cache::Engine::open(options);
  if (!engine) fail(engine.error().what);
  while (!(*engine)->stats().observed.streaming) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  return *std::move(engine);
}

namespace {

void read_all(cache::Engine& engine, int rows) {
  const auto end = static_cast<std::size_t>(rows);
  for (std::size_t first = 0; first < end; first += kWarmBatch) {
    std::vector<std::string> keys;
    for (auto row = first; row < std::min(first + kWarmBatch, end); ++row) keys.push_back(key_of(row));
    std::binary_semaphore answered(0);
    engine.get_many(std::move(keys), {}, [&](const Result<std::vector<cache::Reading>>& readings) {
      if (!readings) fail(readings.error().what);
      answered.release();
    });
    answered.acquire();
  }
}

}  // namespace

std::unique_ptr<cache::Engine> open_warm(const std::string& url, int rows, base::Nanoseconds probe_interval) {
  auto engine = open_cold(url, probe_interval);
  // Right after tables were made, what was published changes, and what was read before is dropped once.
  std::uint64_t fills = 0;
  do {
    fills = engine->stats().observed.fills;
    read_all(*engine, rows);
  } while (engine->stats().observed.fills != fills);
  return engine;
}

WarmingTimes read_until_warm(cache::Engine& engine, int rows) {
  constexpr auto kWhile = std::chrono::milliseconds(50);
  std::atomic<std::uint64_t> reads{0}, hits{0}, failed{0};
  std::atomic<bool> over{false};
  WarmingTimes times;
  std::atomic<base::Nanoseconds> first{0};
  const auto begin = base::now();
  std::vector<std::thread> readers;
  for (int id = 0; id < kWarmingReaders; ++id) {
    readers.emplace_back([&, id] {
      base::Random random(static_cast<std::uint64_t>(id) + 1);
      std::binary_semaphore answered(0);
      while (!over) {
        std::vector<std::string> keys;
        for (int i = 0; i < kWarmingBatch; ++i) keys.push_back(random_key(random, rows));
        engine.get_many(std::move(keys), {}, [&](const Result<std::vector<cache::Reading>>& readings) {
          failed += readings ? 0 : 1;
          std::uint64_t from_memory = 0;
          if (readings) {
            for (const auto& reading : *readings) from_memory += reading.source == cache::Source::memory ? 1 : 0;
          }
          base::Nanoseconds none = 0;
          if (from_memory > 0) first.compare_exchange_strong(none, base::now() - begin);
          hits += from_memory;
          reads += readings ? readings->size() : 0;
          answered.release();
        });
        answered.acquire();
      }
    });
  }
  while (times.most == 0) {
    const auto reads_before = reads.load();
    const auto hits_before = hits.load();
    std::this_thread::sleep_for(kWhile);
    const auto asked = std::max<std::uint64_t>(reads - reads_before, 1);
    const auto share = static_cast<double>(hits - hits_before) / static_cast<double>(asked);
    if (times.half == 0 && share >= 0.5) times.half = base::now() - begin;
    if (share >= 0.9) times.most = base::now() - begin;
  }
  over = true;
  for (auto& reader : readers) reader.join();
  times.first = first;
  times.failed = failed;
  return times;
}

}  // namespace freshet::bench
