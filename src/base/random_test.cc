// The generator repeats from its seed; ids never repeat and survive their text and byte forms.
#include "base/random.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

namespace freshet::base {
namespace {

TEST(Random, MatchesTheReference) {
  Random random(1234567);  // The reference implementation's first outputs for this seed.
  EXPECT_EQ(random(), 6457827717110365317u);
  EXPECT_EQ(random(), 3203168211198807973u);
}

TEST(Random, StaysBelowItsBound) {
  Random random(7);
  std::vector<int> seen(10);
  for (int i = 0; i < 10'000; ++i) ++seen[random.below(10)];
  for (const int times : seen) EXPECT_NEAR(times, 1000, 200);
}

TEST(Random, ChanceIsItsProbability) {
  Random random(7);
  int hits = 0;
  for (int i = 0; i < 10'000; ++i) hits += random.chance(0.3);
  EXPECT_NEAR(hits, 3000, 200);
  EXPECT_FALSE(random.chance(0));
  EXPECT_TRUE(random.chance(1));
}

TEST(UniqueId, NeverRepeatsAmongThreads) {
  constexpr int kThreads = 4;
  constexpr int kIds = 5'000;
  std::vector<std::vector<UniqueId>> made(kThreads);
  std::vector<std::thread> threads;
  for (auto& mine : made) {
    threads.emplace_back([&mine] {
      for (int i = 0; i < kIds; ++i) mine.push_back(UniqueId::make());
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<UniqueId> all;
  for (const auto& mine : made) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), std::size_t{kThreads} * kIds);
  EXPECT_FALSE(all.contains(UniqueId{}));
}

TEST(UniqueId, SurvivesItsForms) {
  const UniqueId id{0x0123456789abcdef, 0xfedcba9876543210};
  EXPECT_EQ(id.to_text(), "01234567-89ab-cdef-fedc-ba9876543210");
  EXPECT_EQ(UniqueId::from_bytes(id.to_bytes().data()), id);
  EXPECT_EQ(id.to_bytes()[0], 0x01);
  EXPECT_TRUE(UniqueId{}.is_nil());
  EXPECT_FALSE(id.is_nil());
}

}  // namespace
}  // namespace freshet::base
