// What the shadow caches (eviction/shadow/) cost and how near they come: whether a key is sampled, as every hit asks; a
// sampled access through five policies at five sizes; and the error of the estimated miss ratio at the live size, over
// Zipf(0.9) traces of 1 M requests for 100,000 keys, with the adjustment for how many requests were sampled and without.
//
// Run: shadow_bench [--benchmark_filter=...]. The errors are counters: roots of the mean square over kTraces traces.
#include <benchmark/benchmark.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/random.h"
#include "base/zipf.h"
#include "eviction/exact/lhd.h"
#include "eviction/exact/lru.h"
#include "eviction/exact/s3_fifo.h"
#include "eviction/exact/sieve.h"
#include "eviction/exact/w_tiny_lfu.h"
#include "eviction/shadow/shadows.h"

namespace freshet::eviction::shadow {
namespace {

constexpr std::uint64_t kKeys = 100'000;
constexpr std::uint64_t kRequests = 1'000'000;
constexpr std::uint64_t kCachedObjects = 20'000;
constexpr int kTraces = 20;

std::vector<std::uint64_t> zipf_hashes(std::uint64_t seed) {
  const base::Zipf zipf(kKeys, 0.9);
  base::Random random(seed);
  std::vector<std::uint64_t> hashes;
  hashes.reserve(kRequests);
  for (std::uint64_t i = 0; i < kRequests; ++i) hashes.push_back(base::Random(zipf.draw(random) ^ seed << 32)());
  return hashes;
}

std::vector<ShadowPolicy> five_policies() {
  return {{"lru", exact::make<exact::Lru>},
          {"s3fifo", exact::make<exact::S3Fifo>},
          {"sieve", exact::make<exact::Sieve>},
          {"lhd", exact::make<exact::Lhd>},
          {"wtinylfu", exact::make<exact::WTinyLfu>}};
}

void takes(benchmark::State& state) {
  std::array<std::uint64_t, 1 << 12> hashes;
  base::Random random(1);
  for (auto& hash : hashes) hash = random();
  const base::KeySample sample(0.01);
  std::uint64_t taken = 0;
  for (auto _ : state) {
    for (const std::uint64_t hash : hashes) {
      if (sample.takes(hash)) [[unlikely]] benchmark::DoNotOptimize(++taken);
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * hashes.size()));
}
BENCHMARK(takes);

void sampled_access(benchmark::State& state) {
  const auto hashes = zipf_hashes(1);
  std::uint64_t objects = 0;
  for (auto _ : state) {
    Shadows shadows({.policies = five_policies(), .capacity_bytes = 2'000, .rate = 1});
    for (const std::uint64_t hash : hashes) shadows.read({hash, 1, 0});
    objects = shadows.objects();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * hashes.size()));
  state.counters["objects"] = static_cast<double>(objects);
}
BENCHMARK(sampled_access)->Unit(benchmark::kMillisecond);

double truth(const ShadowPolicy& policy, const std::vector<std::uint64_t>& hashes) {
  ShadowCache cache(policy.make(1), kCachedObjects);
  for (const std::uint64_t hash : hashes) cache.read({hash, 1, 0});
  return static_cast<double>(cache.counts().misses) / kRequests;
}

// Misses over the whole trace: an estimate whose window is so long forgets nothing.
double estimate(const ShadowPolicy& policy, const std::vector<std::uint64_t>& hashes, double rate, bool adjust) {
  Shadows shadows({.policies = {policy}, .multiples = {1}, .capacity_bytes = kCachedObjects, .rate = rate,
                   .half_life_requests = std::uint64_t{1} << 40});
  for (const std::uint64_t hash : hashes) shadows.read({hash, 1, 0});
  if (adjust) shadows.count_all(kRequests, kRequests);
  return shadows.estimate(0).object_miss_ratio;
}

void error(benchmark::State& state, ShadowPolicy policy) {
  const double rate = static_cast<double>(state.range(0)) / 100;
  double adjusted = 0, unadjusted = 0;
  for (auto _ : state) {
    for (std::uint64_t seed = 1; seed <= kTraces; ++seed) {
      const auto hashes = zipf_hashes(seed);
      const double all = truth(policy, hashes);
      adjusted += std::pow(estimate(policy, hashes, rate, true) - all, 2);
      unadjusted += std::pow(estimate(policy, hashes, rate, false) - all, 2);
    }
  }
  const auto traces = static_cast<double>(state.iterations()) * kTraces;
  state.counters["rms"] = std::sqrt(adjusted / traces);
  state.counters["rms_unadjusted"] = std::sqrt(unadjusted / traces);
}
BENCHMARK_CAPTURE(error, lru, ShadowPolicy{"lru", exact::make<exact::Lru>})->Arg(1)->Arg(5)->Arg(10)->Iterations(1);
BENCHMARK_CAPTURE(error, s3fifo, ShadowPolicy{"s3fifo", exact::make<exact::S3Fifo>})->Arg(1)->Arg(5)->Arg(10)->Iterations(1);

}  // namespace
}  // namespace freshet::eviction::shadow

BENCHMARK_MAIN();
