// The chooser's promises, over random sequences of estimates.
#include "eviction/shadow/chooser.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <vector>

#include "base/random.h"

namespace freshet::eviction::shadow {
namespace {

using Ratios = std::vector<double>;

std::size_t policies_of(base::Random& random) { return 2 + random.below(5); }

TEST(Chooser, NoiseWithinTheMarginChangesNothing) {
  EXPECT_TRUE(rc::check("within", [](std::uint64_t seed) {
    base::Random random(seed);
    const std::size_t policies = policies_of(random), office = random.below(policies);
    Chooser chooser(policies, office);
    for (int window = 0; window < 300; ++window) {
      const double ratio = random.share();
      const double margin = std::max(ratio * Chooser::kMarginRelative, Chooser::kMarginAbsolute);
      Ratios ratios;
      for (std::size_t i = 0; i < policies; ++i) ratios.push_back(ratio + margin * 0.999 * (2 * random.share() - 1));
      ratios[office] = ratio;
      RC_ASSERT(chooser.next(ratios) == office);
    }
  }));
}

TEST(Chooser, ABetterWindowNowAndThenChangesNothing) {
  EXPECT_TRUE(rc::check("interrupted", [](std::uint64_t seed) {
    base::Random random(seed);
    Chooser chooser(2, 0);
    std::uint64_t in_a_row = 0;
    for (int window = 0; window < 300; ++window) {
      const bool better = ++in_a_row < Chooser::kWindowsToWin && random.chance(0.8);
      if (!better) in_a_row = 0;
      RC_ASSERT(chooser.next(Ratios{0.5, better ? 0.1 : 0.5}) == 0u);
    }
  }));
}

TEST(Chooser, WhateverComesItChangesAtMostOnceInACoolDown) {
  EXPECT_TRUE(rc::check("any", [](std::uint64_t seed) {
    base::Random random(seed);
    const std::size_t policies = policies_of(random);
    const std::uint64_t habit_lasts = 1 + random.below(40);
    Chooser chooser(policies, 0);
    Ratios ratios(policies);
    std::uint64_t changed_at = 0;
    for (std::uint64_t window = 1; window <= 2000; ++window) {
      if (window % habit_lasts == 0 || window == 1) {
        for (double& ratio : ratios) ratio = random.share();
      }
      const std::size_t before = chooser.in_office();
      const std::size_t after = chooser.next(ratios);
      RC_ASSERT(after < policies);
      if (after == before) continue;
      RC_ASSERT(ratios[after] < ratios[before]);
      RC_ASSERT(changed_at == 0 || window - changed_at > Chooser::kCoolDown);
      changed_at = window;
    }
  }));
}

// Two habits that take turns, however long each lasts up to the longest cool-down: each change back doubles the cool-down,
// so that there are few.
TEST(Chooser, ToAndFroSoonKeepsOne) {
  for (std::uint64_t lasts = 1; lasts <= Chooser::kSoon * Chooser::kCoolDown; ++lasts) {
    SCOPED_TRACE(testing::Message() << "habits last " << lasts);
    constexpr std::uint64_t kWindows = 20'000;
    Chooser chooser(2, 0);
    std::uint64_t changes = 0;
    for (std::uint64_t window = 0; window < kWindows; ++window) {
      const bool first = window / lasts % 2 == 0;
      const std::size_t before = chooser.in_office();
      changes += chooser.next(first ? Ratios{0.2, 0.6} : Ratios{0.6, 0.2}) != before ? 1 : 0;
    }
    // Six doublings, then one change in the longest cool-down.
    EXPECT_LE(changes, 8 + kWindows / Chooser::kCoolDownMax);
  }
}

// Estimates in which `best` is better than all others by a little more than the margin.
Ratios with_a_best(base::Random& random, std::size_t policies, std::size_t best) {
  const double ratio = 0.05 + 0.6 * random.share();
  const double beaten = std::max(ratio / (1 - Chooser::kMarginRelative), ratio + Chooser::kMarginAbsolute) + 1e-6;
  Ratios ratios(policies);
  for (double& each : ratios) each = beaten + 0.3 * random.share();
  ratios[best] = ratio;
  return ratios;
}

TEST(Chooser, AConstantlyBetterPolicyComesIn) {
  EXPECT_TRUE(rc::check("from the start", [](std::uint64_t seed) {
    base::Random random(seed);
    const std::size_t policies = policies_of(random), best = random.below(policies);
    Chooser chooser(policies, random.below(policies));
    for (std::uint64_t i = 0; i < Chooser::kWindowsToWin; ++i) chooser.next(with_a_best(random, policies, best));
    RC_ASSERT(chooser.in_office() == best);
    for (int i = 0; i < 100; ++i) RC_ASSERT(chooser.next(with_a_best(random, policies, best)) == best);
  }));
  // A rival that was better before may come in first, and has its cool-down.
  EXPECT_TRUE(rc::check("after anything", [](std::uint64_t seed) {
    base::Random random(seed);
    const std::size_t policies = policies_of(random), best = random.below(policies);
    Chooser chooser(policies, random.below(policies));
    Ratios ratios(policies);
    for (std::uint64_t window = random.below(1000); window > 0; --window) {
      if (window % 10 == 0) std::ranges::generate(ratios, [&] { return random.share(); });
      chooser.next(ratios);
    }
    RC_ASSERT(chooser.cool_down_left() <= Chooser::kCoolDownMax);
    const std::uint64_t wait = chooser.cool_down_left() + 1 + Chooser::kCoolDownMax + 1;
    for (std::uint64_t i = 0; i < wait; ++i) chooser.next(with_a_best(random, policies, best));
    RC_ASSERT(chooser.in_office() == best);
  }));
}

TEST(Chooser, OfSeveralThatAreBetterTheBestComesIn) {
  Chooser chooser(3, 0);
  const Ratios ratios{0.5, 0.4, 0.3};
  for (std::uint64_t window = 1; window < Chooser::kWindowsToWin; ++window) EXPECT_EQ(chooser.next(ratios), 0u);
  EXPECT_EQ(chooser.next(ratios), 2u);
}

// Tiny ratios: a tenth fewer of next to no misses is nothing to change for.
TEST(Chooser, BelowTheFloorNothingChanges) {
  Chooser chooser(2, 0);
  for (int window = 0; window < 100; ++window) ASSERT_EQ(chooser.next(Ratios{0.003, 0.0}), 0u);
}

}  // namespace
}  // namespace freshet::eviction::shadow
