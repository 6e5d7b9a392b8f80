// Threads over one cache, and the map.
#include "load/linked.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "freshet/cache.h"
#include "load/linked_key.h"
#include "load/round.h"
#include "load/tally.h"

namespace freshet::load {
namespace {

constexpr std::size_t kDraws = std::size_t{1} << 20;  // Of a thread; then they come again.
// The warm-up: so many operations a key, but no longer than this.
constexpr std::uint64_t kWarmUpHits = 4;
constexpr base::Nanoseconds kWarmUpMax = 2 * base::kSecond;
constexpr base::Nanoseconds kMapTimeMax = base::kSecond;
// What the cache may hold beyond keys and values, an entry and in all.
constexpr std::size_t kSpareBytesAnEntry = 256;
constexpr std::size_t kSpareBytes = std::size_t{256} << 20;
constexpr int kOperationsAClockReading = 4096;
constexpr std::uint64_t kLoadWritesMax = 1000;  // In flight while the cache is filled.

using Key = LinkedKey;

std::vector<Key> draw_keys(std::uint64_t keys, base::Random random) {
  std::vector<Key> draws;
  draws.reserve(kDraws);
  for (std::size_t i = 0; i < kDraws; ++i) draws.emplace_back(random.below(keys));
  return draws;
}

// The map, with the same keys and values.
class Yardstick {
 public:
  explicit Yardstick(const LinkedPlan& plan)
      : draws_(draw_keys(plan.keys, base::Random(plan.seed))), buffer_(plan.value_bytes, '\0') {
    map_.reserve(plan.keys);
    for (std::uint64_t i = 0; i < plan.keys; ++i) map_.emplace(Key(i).view(), std::string(plan.value_bytes, 'v'));
  }

  void measure(double seconds) {
    const auto begin = base::now();
    const auto end = begin + std::min(kMapTimeMax, static_cast<base::Nanoseconds>(seconds * base::kSecond / 2));
    auto now = begin;
    for (; now < end; now = base::now()) {
      for (int i = 0; i < kOperationsAClockReading; ++i) {
        const auto found = map_.find(draws_[calls_++ % kDraws].view());
        std::copy(found->second.begin(), found->second.end(), buffer_.begin());
      }
    }
    took_ += now - begin;
  }
  double operations_per_s() const { return static_cast<double>(calls_) / seconds_of(took_); }

 private:
  // Looks keys up by their views: a text of its own for each would cost more than the look-up.
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  const std::vector<Key> draws_;
  std::string buffer_;
  std::unordered_map<std::string, std::string, Hash, std::equal_to<>> map_;
  std::uint64_t calls_ = 0;
  base::Nanoseconds took_ = 0;
};

double process_cpu_s() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// What all threads add to.
struct Shared {
  std::atomic<std::uint64_t> errors{0};
  std::mutex mutex;
  std::string error_text;
  base::Histogram latency_ns;

  void note(const Error& error) {
    ++errors;
    const std::lock_guard lock(mutex);
    if (error_text.empty()) error_text = error.what;
  }
};

// Writes that were handed over and not acknowledged: waits while there are too many.
class WritesInFlight {
 public:
  explicit WritesInFlight(std::uint64_t most) : most_(most) {}
  void begin() {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [&] { return count_ < most_; });
    ++count_;
  }
  // Told under the lock: whoever waits for the last one may destroy this at once.
  void ended() {
    const std::lock_guard lock(mutex_);
    --count_;
    ended_.notify_all();
  }
  void wait_for_all() {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [&] { return count_ == 0; });
  }

 private:
  const std::uint64_t most_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::uint64_t count_ = 0;
};

class LinkedThread {
 public:
  LinkedThread(Cache& cache, const LinkedPlan& plan, int number, Shared& shared)
      : cache_(cache),
        plan_(plan),
        shared_(shared),
        random_(plan.seed + static_cast<std::uint64_t>(number)),
        draws_(draw_keys(plan.keys, base::Random(random_()))),
        value_(plan.value_bytes, 'w'),
        buffer_(plan.value_bytes * plan.batch, '\0'),
        gets_(plan.batch),
        writes_(kLinkedWritesInFlightMax) {}

  void warm_up() {
    const auto threads = static_cast<std::uint64_t>(plan_.threads);
    const auto wanted = std::max<std::uint64_t>(kDraws, kWarmUpHits * plan_.keys / threads);
    const auto end = base::now() + kWarmUpMax;
    while (operations_ < wanted && base::now() < end) {
      for (int i = 0; i < kOperationsAClockReading; ++i) read();
    }
    operations_ = misses_ = 0;
  }
  void run(const std::atomic<bool>& stop) {
    for (std::uint64_t request = 0; !stop.load(std::memory_order_relaxed); ++request) {
      const bool timed = request % kOperationsATimedOne == 0;
      if (plan_.writes > 0 && random_.chance(plan_.writes)) {
        write(timed);
      } else if (timed) {
        const auto begin = base::now();
        read();
        shared_.latency_ns.record(static_cast<std::uint64_t>(base::now() - begin));
      } else {
        read();
      }
    }
  }
  void finish() { writes_.wait_for_all(); }
  std::uint64_t operations() const { return operations_; }
  std::uint64_t misses() const { return misses_; }

 private:
  const Key& next() { return draws_[drawn_++ % kDraws]; }

  void read() {
    operations_ += plan_.batch;
    if (plan_.batch > 1) return read_batch();
    const Key& key = next();
    if (cache_.try_get(key.view(), buffer_).hit == Hit::present) return;
    ++misses_;
    if (auto value = cache_.get(key.view()).get(); !value) shared_.note(value.error());
  }
  void read_batch() {
    for (std::uint32_t i = 0; i < plan_.batch; ++i) {
      gets_[i] = {next().view(), std::span(buffer_).subspan(i * plan_.value_bytes, plan_.value_bytes)};
    }
    if (cache_.try_get_many(gets_) == gets_.size()) return;
    for (const BatchedGet& get : gets_) {
      if (get.result.hit == Hit::present) continue;
      ++misses_;
      if (auto value = cache_.get(get.key).get(); !value) shared_.note(value.error());
    }
  }
  void write(bool timed) {
    ++operations_;
    writes_.begin();
    const auto begin = timed ? base::now() : 0;
    cache_.put(next().view(), value_, {}, [this, begin](Result<std::uint64_t> version) {
      if (!version) shared_.note(version.error());
      if (begin > 0) shared_.latency_ns.record(static_cast<std::uint64_t>(base::now() - begin));
      writes_.ended();
    });
  }

  Cache& cache_;
  const LinkedPlan& plan_;
  Shared& shared_;
  base::Random random_;
  const std::vector<Key> draws_;
  const std::string value_;
  std::string buffer_;
  std::vector<BatchedGet> gets_;
  WritesInFlight writes_;
  std::uint64_t drawn_ = 0;
  std::uint64_t operations_ = 0;
  std::uint64_t misses_ = 0;
};

Result<void> load(Cache& cache, const LinkedPlan& plan) {
  // Ownership is acquired within milliseconds; writes before that fail.
  while (true) {
    auto ready = cache.put(Key(0).view(), "").get();
    if (ready) break;
    if (ready.error().code != ErrorCode::not_owner) return std::move(ready).error();
    std::this_thread::yield();
  }
  const std::string value(plan.value_bytes, 'v');
  Shared shared;
  WritesInFlight writes(kLoadWritesMax);
  bool interrupted = false;
  for (std::uint64_t i = 0; i < plan.keys && shared.errors == 0 && !interrupted; ++i) {
    writes.begin();
    cache.put(Key(i).view(), value, {}, [&](Result<std::uint64_t> version) {
      if (!version) shared.note(version.error());
      writes.ended();
    });
    if (i % kLoadWritesMax == 0) interrupted = is_interrupted(plan.interrupt);
  }
  writes.wait_for_all();
  if (interrupted) return Error::of(ErrorCode::unavailable, "interrupted before anything was measured");
  if (shared.errors == 0) return {};
  return Error::of(ErrorCode::unavailable, fmt::format("the cache could not be filled: {}", shared.error_text));
}

// Runs the threads, and gives the figures of the window.
LinkedFigures run_threads(Cache& cache, const LinkedPlan& plan) {
  Shared shared;
  std::atomic<bool> stop{false};
  std::barrier ready(plan.threads + 1);
  std::vector<std::unique_ptr<LinkedThread>> loads;
  std::vector<std::thread> threads;
  for (int i = 0; i < plan.threads; ++i) {
    auto& one = *loads.emplace_back(std::make_unique<LinkedThread>(cache, plan, i, shared));
    threads.emplace_back([&] {
      one.warm_up();
      ready.arrive_and_wait();
      one.run(stop);
    });
  }
  ready.arrive_and_wait();
  const auto begin = base::now();
  const double cpu = process_cpu_s();
  wait_until(begin + static_cast<base::Nanoseconds>(plan.seconds * base::kSecond), plan.interrupt);
  stop = true;
  LinkedFigures figures;
  figures.seconds = seconds_of(base::now() - begin);
  figures.cpu_s = process_cpu_s() - cpu;
  for (auto& thread : threads) thread.join();
  for (auto& one : loads) {
    one->finish();
    figures.operations += one->operations();
    figures.misses += one->misses();
  }
  figures.errors = shared.errors;
  figures.error_text = shared.error_text;
  figures.latency_ns = shared.latency_ns;
  return figures;
}

Result<LinkedFigures> measure_in(const std::string& folder, const LinkedPlan& plan) {
  Yardstick yardstick(plan);
  Options options;
  options.data_directory = folder;
  options.relaxed_durability = true;
  options.memory_bytes = plan.keys * (Key::kBytes + plan.value_bytes + kSpareBytesAnEntry) + kSpareBytes;
  options.cached_value_bytes_max = std::max(options.cached_value_bytes_max, plan.value_bytes);
  auto cache = Cache::open(options);
  if (!cache) return std::move(cache).error();
  if (auto loaded = load(**cache, plan); !loaded) return std::move(loaded).error();
  yardstick.measure(plan.seconds);
  auto figures = run_threads(**cache, plan);
  yardstick.measure(plan.seconds);
  figures.map_operations_per_s = yardstick.operations_per_s();
  return figures;
}

}  // namespace

Result<LinkedFigures> measure_linked(const LinkedPlan& plan) {
  std::error_code error;
  const auto folder = std::filesystem::temp_directory_path(error) / fmt::format("freshet-bench-{:x}", base::entropy());
  auto figures = measure_in(folder.string(), plan);
  std::filesystem::remove_all(folder, error);
  return figures;
}

}  // namespace freshet::load
