// Every policy beside its model, over random requests, deletes, changes of size and of the capacity: the same objects must
// leave, in the same order, and at the end each that came in has left exactly once.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <new>

#include "base/random.h"
#include "eviction/exact/arc.h"
#include "eviction/exact/belady.h"
#include "eviction/exact/belady_size.h"
#include "eviction/exact/clock.h"
#include "eviction/exact/fifo.h"
#include "eviction/exact/gdsf.h"
#include "eviction/exact/lhd.h"
#include "eviction/exact/lirs.h"
#include "eviction/exact/lru.h"
#include "eviction/exact/models_adaptive.h"
#include "eviction/exact/models_lhd.h"
#include "eviction/exact/models_queues.h"
#include "eviction/exact/models_ranked.h"
#include "eviction/exact/s3_fifo.h"
#include "eviction/exact/sieve.h"
#include "eviction/exact/slots.h"
#include "eviction/exact/w_tiny_lfu.h"

namespace {

thread_local std::uint64_t allocations = 0;

}  // namespace

// Counts what the program allocates. Not inlined, or the compiler takes the pairs for mismatched ones.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* const memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace freshet::eviction::exact {
namespace {

constexpr std::uint64_t kRuns = 60;
constexpr int kSteps = 1500;
constexpr std::uint64_t kLhdRuns = 3;
constexpr int kLhdSteps = 250'000;  // It learns from the 65,536th request on.
constexpr std::uint32_t kSizeMax = 100;

// A host of both, which knows keys and counts bytes.
class Pair {
 public:
  Pair(Policy& policy, Model& model, std::uint64_t seed) : policy_(policy), model_(model), random_(seed) {
    keys_ = 1 + random_.below(300);
    sizes_vary_ = random_.chance(0.7);
    set_capacity();
  }

  void step() {
    const auto dice = random_.below(1000);
    if (dice < 940) {
      request();
    } else if (dice < 970) {
      if (const Slot slot = any_slot(); slot != kNoSlot) erase(slot);
    } else if (dice < 996) {
      if (const Slot slot = any_slot(); slot != kNoSlot) resize(slot);
    } else {
      set_capacity();
    }
  }
  void drain() {
    while (!slot_of_.empty() && !testing::Test::HasFailure()) evict();
    EXPECT_EQ(policy_.take_victim(), kNoSlot);
    EXPECT_EQ(used_, 0u);
  }
  std::uint64_t evictions() const { return evictions_; }
  std::uint64_t hits() const { return hits_; }

 private:
  struct Cached {
    std::uint64_t key;
    std::uint32_t size;
  };

  void set_capacity() {
    capacity_ = random_.chance(0.1) ? 0 : 1 + random_.below(random_.chance(0.5) ? 500 : 12'000);
    policy_.set_capacity(capacity_);
    model_.set_capacity(capacity_);
    make_room(0);
  }
  // Small numbers are asked for more often; a key's hash is well mixed, as policies may expect.
  void request() {
    const std::uint64_t number = std::min(random_.below(keys_), random_.below(keys_));
    base::Random mixed(number);
    const std::uint32_t size = sizes_vary_ ? static_cast<std::uint32_t>(1 + random_.below(kSizeMax)) : 10;
    const auto later = static_cast<std::uint32_t>(++requests_ + random_.below(1000));
    const std::uint32_t next = random_.chance(0.2) ? kNever : later;
    const Access access{mixed(), size, 0, next};
    if (const auto at = slot_of_.find(access.key); at != slot_of_.end()) {
      ++hits_;
      const std::uint64_t before = allocations;
      policy_.on_hit(at->second, access);
      EXPECT_EQ(allocations, before) << "a hit allocates";
      model_.on_hit(at->second, access);
      return;
    }
    const bool wanted = policy_.on_miss(access);
    ASSERT_EQ(wanted, model_.on_miss(access));
    if (!wanted || size > capacity_) return;
    make_room(size);
    if (testing::Test::HasFailure()) return;
    insert(access);
  }
  void insert(const Access& access) {
    const Slot slot = cached_.take({access.key, access.size});
    slot_of_[access.key] = slot;
    used_ += access.size;
    policy_.on_insert(slot, access);
    model_.on_insert({slot, access.key, access.size, access.next, 0});
  }
  void make_room(std::uint32_t size) {
    while (used_ + size > capacity_ && !testing::Test::HasFailure()) evict();
  }
  void evict() {
    const Slot victim = policy_.take_victim();
    ASSERT_LT(victim, cached_.end());
    ASSERT_TRUE(slot_of_.contains(cached_[victim].key)) << "evicted twice";
    ASSERT_TRUE(model_.leaves(victim)) << "after " << evictions_ << " evictions";
    ++evictions_;
    release(victim);
  }
  void erase(Slot slot) {
    policy_.on_erase(slot);
    model_.on_erase(slot);
    release(slot);
  }
  void resize(Slot slot) {
    const auto size = static_cast<std::uint32_t>(1 + random_.below(kSizeMax));
    used_ += size - std::uint64_t{cached_[slot].size};
    cached_[slot].size = size;
    policy_.on_resize(slot, size);
    model_.on_resize(slot, size);
    make_room(0);
  }
  void release(Slot slot) {
    used_ -= cached_[slot].size;
    slot_of_.erase(cached_[slot].key);
    cached_.release(slot);
  }
  Slot any_slot() {
    if (slot_of_.empty()) return kNoSlot;
    return std::next(slot_of_.begin(), static_cast<std::ptrdiff_t>(random_.below(slot_of_.size())))->second;
  }

  Policy& policy_;
  Model& model_;
  base::Random random_;
  std::uint64_t keys_ = 0;
  bool sizes_vary_ = false;
  std::uint64_t capacity_ = 0;
  std::uint64_t used_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t evictions_ = 0;
  std::uint64_t hits_ = 0;
  std::map<std::uint64_t, Slot> slot_of_;
  Slots<Cached> cached_;
};

struct Subject {
  const char* name;
  std::function<std::unique_ptr<Policy>(std::uint64_t seed)> policy;
  std::function<std::unique_ptr<Model>(std::uint64_t seed)> model;
};

template <typename ExactPolicy, typename PolicyModel>
Subject subject(const char* name) {
  return {name,
          make<ExactPolicy>,
          []([[maybe_unused]] std::uint64_t seed) -> std::unique_ptr<Model> {
            if constexpr (std::is_constructible_v<PolicyModel, std::uint64_t>) {
              return std::make_unique<PolicyModel>(seed);
            } else {
              return std::make_unique<PolicyModel>();
            }
          }};
}

class PolicyProperty : public testing::TestWithParam<Subject> {};

TEST_P(PolicyProperty, DoesAsItsModelDoes) {
  std::uint64_t evictions = 0, hits = 0;
  for (std::uint64_t seed = 1; seed <= kRuns && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const auto policy = GetParam().policy(seed);
    const auto model = GetParam().model(seed);
    Pair pair(*policy, *model, seed);
    for (int i = 0; i < kSteps && !HasFailure(); ++i) pair.step();
    pair.drain();
    evictions += pair.evictions();
    hits += pair.hits();
  }
  // A run in which nothing leaves, or nothing is found, shows nothing.
  EXPECT_GT(evictions, kRuns * kSteps / 10);
  EXPECT_GT(hits, kRuns * kSteps / 10);
}

// The same for long enough that it has learnt, and that its steps of age have changed.
TEST(LhdProperty, DoesAsItsModelDoesOnceItHasLearnt) {
  for (std::uint64_t seed = 1; seed <= kLhdRuns && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Lhd policy(seed);
    LhdModel model(seed);
    Pair pair(policy, model, seed);
    for (int i = 0; i < kLhdSteps && !testing::Test::HasFailure(); ++i) pair.step();
    pair.drain();
    EXPECT_GE(model.lessons(), 2u);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Policies, PolicyProperty,
    testing::Values(subject<Fifo, FifoModel>("Fifo"), subject<Lru, LruModel>("Lru"), subject<Clock, ClockModel>("Clock"),
                    subject<Sieve, SieveModel>("Sieve"), subject<S3Fifo, S3FifoModel>("S3Fifo"),
                    subject<WTinyLfu, WTinyLfuModel>("WTinyLfu"), subject<Arc, ArcModel>("Arc"),
                    subject<Lirs, LirsModel>("Lirs"), subject<Lhd, LhdModel>("Lhd"), subject<Gdsf, GdsfModel>("Gdsf"),
                    subject<Belady, BeladyModel>("Belady"), subject<BeladySize, BeladySizeModel>("BeladySize")),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace freshet::eviction::exact
