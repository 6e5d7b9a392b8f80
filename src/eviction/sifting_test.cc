// The sifting policies over a shard of records: they miss as the exact algorithms do, though whole segments leave at a time;
// and a scan, sizes that change and erasures leave them as they should.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/zipf.h"
#include "eviction/carried.h"
#include "eviction/clock.h"
#include "eviction/exact/arc.h"
#include "eviction/exact/clock.h"
#include "eviction/exact/fifo.h"
#include "eviction/exact/gdsf.h"
#include "eviction/exact/lirs.h"
#include "eviction/exact/lru.h"
#include "eviction/exact/s3_fifo.h"
#include "eviction/exact/sieve.h"
#include "eviction/exact/w_tiny_lfu.h"
#include "eviction/fifo.h"
#include "eviction/s3_fifo.h"
#include "eviction/shadow/shadow_cache.h"
#include "eviction/sieve.h"
#include "memory/shard.h"

namespace freshet::eviction {
namespace {

using memory::Entry;
using memory::PickingPolicy;

constexpr std::size_t kShardBytes = std::size_t{4} << 20;
constexpr std::size_t kValueBytes = 100;
constexpr std::size_t kRequests = 400'000;

std::string key_of(std::uint64_t number) { return "key" + std::to_string(number); }

// Popular keys, and in part keys that are asked for once.
std::vector<std::uint64_t> trace(double once, std::uint64_t seed) {
  base::Random random(seed);
  const base::Zipf zipf(200'000, 0.9);
  std::uint64_t fresh = std::uint64_t{1} << 40;
  std::vector<std::uint64_t> numbers;
  for (std::size_t i = 0; i < kRequests; ++i) numbers.push_back(random.chance(once) ? ++fresh : zipf.draw(random));
  return numbers;
}

class Cache {
 public:
  explicit Cache(memory::ShardPolicy policy) {
    shard_.start(std::make_shared<memory::SegmentPool>(std::size_t{64} << 10), kShardBytes, std::move(policy));
  }
  bool read(std::uint64_t number) {
    const std::string key = key_of(number);
    const auto hash = base::hash_of(key);
    if (shard_.visit(key, hash, [](const Entry&) { return true; })) return true;
    shard_.insert({.key = key, .hash = hash, .value = value_});
    EXPECT_LE(shard_.stats().bytes, kShardBytes);
    return false;
  }
  memory::Shard& operator*() { return shard_; }

 private:
  const std::string value_ = std::string(kValueBytes, 'v');
  memory::Shard shard_;
};

// The miss ratios over the trace's second half: of the shard, and of the exact algorithm with as many bytes.
struct Ratios {
  double sifted;
  double exact;
};

template <typename Policy>
Ratios ratios(std::unique_ptr<Policy> policy, std::unique_ptr<exact::Policy> exact,
              const std::vector<std::uint64_t>& numbers) {
  Cache shard(std::move(policy));
  std::size_t misses = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) misses += !shard.read(numbers[i]) && i >= numbers.size() / 2 ? 1 : 0;
  shadow::ShadowCache cache(std::move(exact), (*shard).stats().entry_bytes);
  const std::string value(kValueBytes, 'v');
  const std::size_t tail_bytes = std::is_base_of_v<PickingPolicy, Policy> ? sizeof(PickingPolicy::Slot) : 0;
  std::size_t exact_misses = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::string key = key_of(numbers[i]);
    const std::size_t record_bytes = memory::segments::Record::bytes_of({.key = key, .value = value});
    const auto bytes = static_cast<std::uint32_t>(record_bytes + tail_bytes);
    exact_misses += !cache.read({base::hash_of(key), bytes, 0}) && i >= numbers.size() / 2 ? 1 : 0;
  }
  const double half = static_cast<double>(numbers.size()) / 2;
  return {static_cast<double>(misses) / half, static_cast<double>(exact_misses) / half};
}

TEST(Sifting, MissesAsTheExactAlgorithmsDo) {
  for (const double once : {0.0, 0.3}) {
    SCOPED_TRACE(once);
    const auto numbers = trace(once, 20261129);
    const auto fifo = ratios(std::make_unique<Fifo>(), exact::make<exact::Fifo>(1), numbers);
    EXPECT_NEAR(fifo.sifted, fifo.exact, 0.004);
    const auto clock = ratios(std::make_unique<Clock>(), exact::make<exact::Clock>(1), numbers);
    EXPECT_NEAR(clock.sifted, clock.exact, 0.004);
    const auto sieve = ratios(std::make_unique<Sieve>(), exact::make<exact::Sieve>(1), numbers);
    EXPECT_NEAR(sieve.sifted, sieve.exact, 0.004);
    const auto s3 = ratios(std::make_unique<S3Fifo>(), exact::make<exact::S3Fifo>(1), numbers);
    EXPECT_NEAR(s3.sifted, s3.exact, 0.004);
    EXPECT_LT(s3.sifted, fifo.sifted);
  }
}

template <typename Exact>
void carried_misses_as_exact(const std::vector<std::uint64_t>& numbers) {
  auto policy = std::make_unique<Carried>([] { return exact::make<Exact>(1); }, kShardBytes);
  const auto carried = ratios(std::move(policy), exact::make<Exact>(1), numbers);
  EXPECT_NEAR(carried.sifted, carried.exact, 0.006);
}

TEST(Sifting, CarriedPoliciesMissAsTheyDoElsewhere) {
  for (const double once : {0.0, 0.3}) {
    SCOPED_TRACE(once);
    const auto numbers = trace(once, 20261129);
    carried_misses_as_exact<exact::Lru>(numbers);
    carried_misses_as_exact<exact::Arc>(numbers);
    carried_misses_as_exact<exact::Gdsf>(numbers);
    carried_misses_as_exact<exact::Lirs>(numbers);
    carried_misses_as_exact<exact::WTinyLfu>(numbers);
  }
}

TEST(Sifting, S3FifoKeepsWhatIsHotFromAScan) {
  Cache shard(std::make_unique<S3Fifo>());
  for (int round = 0; round < 4; ++round) {
    for (std::uint64_t i = 0; i < 1'000; ++i) shard.read(i);
  }
  for (std::uint64_t i = 0; i < 200'000; ++i) shard.read(1'000'000 + i);
  int hits = 0;
  for (std::uint64_t i = 0; i < 1'000; ++i) hits += shard.read(i) ? 1 : 0;
  EXPECT_EQ(hits, 1'000);
}

TEST(Sifting, S3FifoRemembersWhatWasErased) {
  Cache shard(std::make_unique<S3Fifo>());
  for (int round = 0; round < 4; ++round) {
    for (std::uint64_t i = 0; i < 1'000; ++i) shard.read(i);
  }
  for (std::uint64_t i = 0; i < 1'000; ++i) EXPECT_TRUE((*shard).erase(key_of(i), base::hash_of(key_of(i))));
  for (std::uint64_t i = 0; i < 1'000; ++i) EXPECT_FALSE(shard.read(i));
  for (std::uint64_t i = 0; i < 20'000; ++i) shard.read(1'000'000 + i);
  int hits = 0;
  for (std::uint64_t i = 0; i < 1'000; ++i) hits += shard.read(i) ? 1 : 0;
  EXPECT_EQ(hits, 1'000);
}

}  // namespace
}  // namespace freshet::eviction
