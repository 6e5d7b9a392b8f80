// A table whose policy the advisor chooses: traffic that changes its habits mid-way ends near the better policy.
#include "eviction/adaptive/advisor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "eviction/adaptive/read_through.h"
#include "eviction/shadow/habits.h"

namespace freshet::eviction::adaptive {
namespace {

constexpr std::size_t kStep = 1'000;  // Requests.

struct Outcome {
  double settled_miss_ratio = 0;
  std::vector<std::string_view> offices;  // Who was in office, in turn.
};

// Replays the trace; `look` is called now and then.
template <typename Look>
double settled_miss_ratio(ReadThrough& cache, const std::vector<std::uint64_t>& trace, Look&& look) {
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    if (i == shadow::kHabitRequests + shadow::kHabitSettled) before = cache.misses();
    cache.read(trace[i]);
    if ((i + 1) % kStep == 0) look();
  }
  return static_cast<double>(cache.misses() - before) /
         static_cast<double>(shadow::kHabitRequests - shadow::kHabitSettled);
}

Outcome run_auto(const std::vector<std::uint64_t>& trace, std::uint64_t seed) {
  AccessQueue queue;
  const TablePolicy* in_office = table_policy(kDefaultPolicy);
  Outcome outcome{0, {in_office->name}};
  ReadThrough cache(*in_office);
  Advisor advisor(cache.table(), queue, *in_office, {.rate = 0.1, .half_life_requests = 2048, .seed = seed});
  outcome.settled_miss_ratio = settled_miss_ratio(cache, trace, [&] {
    const TablePolicy& better = advisor.step(cache.requests());
    if (&better == in_office) return;
    in_office = &better;
    cache.table().set_policy(better.make);
    outcome.offices.push_back(better.name);
  });
  const Report report = advisor.report();
  EXPECT_EQ(report.dropped, 0u);
  EXPECT_EQ(report.changes + 1, outcome.offices.size());
  EXPECT_EQ(report.in_office, outcome.offices.back());
  EXPECT_NEAR(report.policy(report.in_office).miss_ratio, outcome.settled_miss_ratio, 0.05);
  return outcome;
}

void ends_near_the_better(bool wonders_first, std::uint64_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  base::Random random(seed);
  const std::vector<std::uint64_t> trace = shadow::changing_habits(wonders_first, random);
  std::vector<double> ratios;
  std::string all;
  for (const Candidate& candidate : candidates()) {
    ReadThrough cache(*candidate.policy);
    ratios.push_back(settled_miss_ratio(cache, trace, [] {}));
    all += std::string(candidate.policy->name) + " " + std::to_string(ratios.back()) + " ";
  }
  const double best = std::ranges::min(ratios);
  ASSERT_GT(std::ranges::max(ratios), 1.1 * best) << "no habit to tell policies apart by: " << all;
  const Outcome outcome = run_auto(trace, seed);
  EXPECT_LE(outcome.settled_miss_ratio, 1.02 * best) << all << "; in office at last: " << outcome.offices.back();
  EXPECT_LE(outcome.offices.size(), 4u) << "it flaps";
  EXPECT_GE(outcome.offices.size(), 2u) << "one policy was good for both habits: " << all;
}

TEST(Advisor, FromOneHitWondersToAShiftingWorkingSet) {
  ends_near_the_better(true, 1);
}

TEST(Advisor, FromAShiftingWorkingSetToOneHitWonders) {
  ends_near_the_better(false, 2);
}

TEST(Advisor, ListensUntilItGoes) {
  AccessQueue queue;
  const TablePolicy& in_office = *table_policy(kDefaultPolicy);
  ReadThrough cache(in_office);
  for (int i = 0; i < 2; ++i) {
    Advisor advisor(cache.table(), queue, in_office, {.rate = 1});
    for (std::uint64_t key = 0; key < 100; ++key) cache.read(shadow::habit_hash(key));
    advisor.step(cache.requests());
    EXPECT_EQ(advisor.report().sampled_requests, 100u);
    cache.read(shadow::habit_hash(1));
  }
  EXPECT_EQ(queue.take().size(), 1u) << "what came after the last step";
  cache.read(shadow::habit_hash(1));
  EXPECT_TRUE(queue.take().empty());
}

TEST(AccessQueue, DropsWhatFindsItFull) {
  AccessQueue queue;
  for (std::size_t i = 0; i < AccessQueue::kAccessesMax + 10; ++i) queue.on_access({memory::AccessKind::read, i, 1});
  EXPECT_EQ(queue.dropped(), 10u);
  EXPECT_EQ(queue.take().size(), AccessQueue::kAccessesMax);
  queue.on_access({memory::AccessKind::erased, 7, 0});
  ASSERT_EQ(queue.take().size(), 1u);
}

}  // namespace
}  // namespace freshet::eviction::adaptive
