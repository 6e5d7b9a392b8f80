// The trial finds the way that does better, goes on trying the other, and changes its mind when the trace does.
#include "eviction/gl_cache/trial.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace freshet::eviction::gl_cache {
namespace {

constexpr std::uint32_t kVictims = 8192;

constexpr std::uint64_t kHorizon = 1000;

// Makes `choices` choices of a victim each; of one way's victims so many return soon, of the other's none.
std::uint64_t choose(Trial& trial, base::Random& random, int choices, Way worse, std::uint64_t after) {
  std::uint64_t by_model = 0;
  for (int i = 0; i < choices; ++i) {
    const Way way = trial.next();
    by_model += way == Way::model ? 1 : 0;
    const std::uint64_t key = random(), now = static_cast<std::uint64_t>(i) * 10;
    trial.evicted(key, 100, way, now);
    if (way == worse && random.chance(0.3)) trial.missed(key, 1, now + after);
  }
  return by_model;
}

TEST(Trial, TheWayWhoseVictimsReturnMakesFewChoices) {
  for (const Way worse : {Way::rule, Way::model}) {
    Trial trial(kVictims);
    trial.set_reach(100, kHorizon);
    base::Random random(1);
    choose(trial, random, 1000, worse, 5);
    const std::uint64_t by_model = choose(trial, random, 1600, worse, 5);
    EXPECT_EQ(by_model, worse == Way::model ? 100u : 1500u) << "one choice in sixteen is the other way's";
  }
}

TEST(Trial, WhatReturnsAfterTheHorizonWasLostEitherWay) {
  Trial trial(kVictims);
  trial.set_reach(100, kHorizon);
  base::Random random(2);
  choose(trial, random, 2000, Way::model, kHorizon + 1);
  EXPECT_EQ(trial.cost(Way::model), 0);
  choose(trial, random, 2000, Way::model, kHorizon);
  EXPECT_GT(trial.cost(Way::model), 0);
}

TEST(Trial, ChangesItsMindWithTheTrace) {
  Trial trial(kVictims);
  trial.set_reach(100, kHorizon);
  base::Random random(3);
  choose(trial, random, 20'000, Way::rule, 5);
  EXPECT_TRUE(trial.model_is_better());
  choose(trial, random, 40'000, Way::model, 5);
  EXPECT_FALSE(trial.model_is_better());
}

TEST(Trial, WatchesFewerKeysOfALargerCache) {
  Trial trial(kVictims);
  trial.set_reach(1'000'000, kHorizon);
  base::Random random(4);
  for (int i = 0; i < 10'000; ++i) trial.evicted(random(), 100, Way::rule, 1);
  EXPECT_FALSE(trial.knows());
  std::uint64_t key = 1 << 20;
  trial.evicted(key, 100, Way::rule, 1);
  trial.missed(key, 1, 2);
  EXPECT_GT(trial.cost(Way::rule), 0) << "a key that is watched";
}

}  // namespace
}  // namespace freshet::eviction::gl_cache
