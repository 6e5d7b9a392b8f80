// Engine::update: reads, decides, writes; and what happens when others write in between.
#include <gtest/gtest.h>

#include <charconv>
#include <thread>

#include <fmt/format.h>

#include "test_engine.h"

namespace freshet::cache {
namespace {

using freshet::testing::put_of;
using freshet::testing::TestEngine;

int number_in(const KeyState& state) {
  int number = 0;
  std::from_chars(state.value.data(), state.value.data() + state.value.size(), number);
  return number;
}

Result<std::optional<Mutation>> plus_one(const KeyState& current, std::int64_t) {
  return std::optional(put_of("", fmt::format("{}", number_in(current) + 1)));
}

TEST(Update, StartsFromAbsentAndTellsBothStates) {
  TestEngine engine;
  engine.wait_until_guarded();
  const auto first = engine.update("n", plus_one);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->written);
  EXPECT_FALSE(first->before.present);
  EXPECT_EQ(first->after.value, "1");
  const auto second = engine.update("n", plus_one);
  EXPECT_EQ(second->before.value, "1");
  EXPECT_EQ(second->before.version, first->after.version);
  EXPECT_EQ(second->after.value, "2");
}

TEST(Update, LeavesTheKeyAsItIsIfSoDecided) {
  TestEngine engine;
  engine.wait_until_guarded();
  const auto version = engine.put("k", "v");
  const auto kept = engine.update("k", [](const KeyState&, std::int64_t) { return std::optional<Mutation>(); });
  ASSERT_TRUE(kept);
  EXPECT_FALSE(kept->written);
  EXPECT_EQ(kept->after.value, "v");
  EXPECT_EQ(engine.stored("k").version, version);
}

TEST(Update, PassesTheDecisionsErrorOn) {
  TestEngine engine;
  engine.wait_until_guarded();
  const auto refused = engine.update("k", [](const KeyState&, std::int64_t) -> Result<std::optional<Mutation>> {
    return Error::of(ErrorCode::wrong_type, "not today");
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().what, "not today");
}

TEST(Update, DecidesAgainWhenAnotherWriterCameFirst) {
  TestEngine engine;
  engine.wait_until_guarded();
  engine.put("n", "10");
  int decisions = 0;
  const auto outcome = engine.update("n", [&](const KeyState& current, std::int64_t now) {
    if (++decisions == 1) engine->write({put_of("n", "20")}, false, base::kForever, [](Result<storage::WriteReply>) {});
    return plus_one(current, now);
  });
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->after.value, "21");
  EXPECT_EQ(decisions, 2);
}

TEST(Update, GivesUpWhenOthersAreAlwaysFaster) {
  TestEngine engine;
  engine.wait_until_guarded();
  int writes = 0;
  const auto outcome = engine.update("n", [&](const KeyState& current, std::int64_t now) {
    engine->write({put_of("n", fmt::format("{}", ++writes))}, false, base::kForever, [](Result<storage::WriteReply>) {});
    return plus_one(current, now);
  });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::busy);
  EXPECT_EQ(outcome.error().retry, Retry::safe);
  EXPECT_EQ(engine.get("n")->value, fmt::format("{}", writes)) << "the update wrote nothing";
}

TEST(Update, TwoWritersLoseNobodysUpdate) {
  TestEngine engine;
  engine.wait_until_guarded();
  constexpr int kUpdates = 300;
  std::atomic<int> made{0};
  const auto work = [&] {
    for (int i = 0; i < kUpdates; ++i) {
      const auto outcome = engine.update("n", plus_one);
      // Losing every time is an answer too, and counts for nothing.
      if (outcome) ++made;
      else EXPECT_EQ(outcome.error().code, ErrorCode::busy);
    }
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_GE(made, kUpdates);
  EXPECT_EQ(engine.get("n")->value, fmt::format("{}", made.load()));
  EXPECT_EQ(engine.stored("n").value, fmt::format("{}", made.load()));
}

}  // namespace
}  // namespace freshet::cache
