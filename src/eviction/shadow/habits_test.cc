// Traffic that changes its habits mid-way: a cache whose policy the chooser changes ends near the better policy.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "eviction/shadow/chooser.h"
#include "eviction/shadow/habits.h"
#include "eviction/shadow/known_policies.h"
#include "eviction/shadow/plain_host.h"
#include "eviction/shadow/shadows.h"

namespace freshet::eviction::shadow {
namespace {

constexpr std::uint64_t kCapacity = kHabitCapacity;  // Objects of one byte each.
constexpr std::size_t kTold = 10'000;

// The share of misses once settled.
double settled_ratio(std::size_t misses) {
  return static_cast<double>(misses) / static_cast<double>(kHabitRequests - kHabitSettled);
}

double ratio_of(const ShadowPolicy& policy, const std::vector<std::uint64_t>& trace) {
  ShadowCache cache(policy.make(1), kCapacity);
  for (std::size_t i = 0; i < trace.size(); ++i) {
    if (i == kHabitRequests + kHabitSettled) cache.forget_counts();
    cache.read({trace[i], 1, 0});
  }
  return settled_ratio(cache.counts().misses);
}

struct Outcome {
  double ratio = 0;
  std::vector<std::string> offices;  // Who was in office, in turn.
};

Outcome run_auto(const std::vector<ShadowPolicy>& policies, const std::vector<std::uint64_t>& trace, std::uint64_t seed) {
  Shadows shadows({policies, {0.5, 1, 2}, kCapacity, 0.1, 2048, seed});
  Chooser chooser(policies.size(), 0);
  PlainHost host(policies[0].make(seed), kCapacity);
  Outcome outcome{0, {policies[0].name}};
  std::uint64_t misses_before = 0, windows = 0;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    if (i == kHabitRequests + kHabitSettled) misses_before = host.misses();
    host.read(trace[i], 1);
    if (shadows.takes(trace[i])) shadows.read({trace[i], 1, 0});
    if ((i + 1) % kTold == 0) shadows.count_all(kTold, kTold);
    if (shadows.windows() == windows) continue;
    windows = shadows.windows();
    const std::size_t before = chooser.in_office();
    const std::size_t now = chooser.next(shadows.object_miss_ratios());
    if (now == before) continue;
    host.change_policy(policies[now].make(seed));
    outcome.offices.push_back(policies[now].name);
  }
  outcome.ratio = settled_ratio(host.misses() - misses_before);
  return outcome;
}

// LHD learns nothing in as short a trace: it is left out.
std::vector<ShadowPolicy> three_policies() {
  const std::vector<ShadowPolicy> few = few_policies();
  return {few[0], few[1], few[2]};
}

void ends_near_the_better(bool wonders_first, std::uint64_t seed, const std::string& better) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  base::Random random(seed);
  const std::vector<std::uint64_t> trace = changing_habits(wonders_first, random);

  const std::vector<ShadowPolicy> policies = three_policies();
  std::vector<double> ratios;
  for (const ShadowPolicy& policy : policies) ratios.push_back(ratio_of(policy, trace));
  const double best = std::ranges::min(ratios);
  ASSERT_GT(std::ranges::max(ratios), 1.1 * best) << "no habit to tell policies apart by";
  const Outcome outcome = run_auto(policies, trace, seed);
  EXPECT_LE(outcome.ratio, 1.02 * best);
  EXPECT_EQ(outcome.offices.back(), better);
  EXPECT_LE(outcome.offices.size(), 4u) << "it flaps";
}

TEST(Habits, FromOneHitWondersToAShiftingWorkingSet) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) ends_near_the_better(true, seed, "lru");
}

TEST(Habits, FromAShiftingWorkingSetToOneHitWonders) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) ends_near_the_better(false, seed, "s3fifo");
}

}  // namespace
}  // namespace freshet::eviction::shadow
