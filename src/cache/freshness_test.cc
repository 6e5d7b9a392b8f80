// Levels below linearizable once the lease has run out, and keys whose deadline has passed.
#include <gtest/gtest.h>

#include <thread>

#include <fmt/format.h>

#include "fleet.h"
#include "test_engine.h"

namespace freshet::cache {
namespace {

using freshet::testing::Fleet;
using freshet::testing::future_of;
using freshet::testing::HeldEngine;
using freshet::testing::HeldStorage;
using freshet::testing::put_of;
using freshet::testing::take;
using freshet::testing::TestEngine;
using Held = HeldStorage::Kind;

constexpr auto kLease = 500 * base::kMillisecond;
constexpr auto kPoll = std::chrono::milliseconds(2);

// Waits for a condition that is bound to come; fails the test after long.
void wait_for(const std::function<bool()>& condition) {
  const auto end = base::now() + 20 * base::kSecond;
  while (!condition()) {
    ASSERT_LT(base::now(), end) << "it never came";
    std::this_thread::sleep_for(kPoll);
  }
}

class Lapsed : public ::testing::Test {
 protected:
  Lapsed() {
    engine_.wait_until_guarded();
    // A period that ends by itself on a busy machine takes what was cached along: write until it is a hit.
    wait_for([this] { return engine_.put("k", "value") != 0 && engine_.is_hit("k"); });
  }

  Fleet fleet_{1, 1, kLease};
  TestEngine engine_{{}, fleet_.member(0)};
};

TEST_F(Lapsed, LinearizableReadsGoToStorageUncached) {
  fleet_.let_lapse(0);
  EXPECT_FALSE(engine_.is_hit("k"));
  EXPECT_EQ(engine_->try_pin("k", base::now()), nullptr);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(engine_.get("k")->source, Source::storage);
}

TEST_F(Lapsed, AnyTakesWhatIsThereWithItsAge) {
  EXPECT_EQ(engine_.get("k", {.level = Level::any})->age, 0) << "proven current";
  fleet_.let_lapse(0);
  std::this_thread::sleep_for(kPoll);
  const auto reading = engine_.get("k", {.level = Level::any});
  EXPECT_EQ(reading->value, "value");
  EXPECT_EQ(reading->source, Source::memory);
  EXPECT_GE(reading->age, std::chrono::nanoseconds(kPoll).count());
  EXPECT_EQ(engine_.get("not there", {.level = Level::any})->source, Source::storage);
}

TEST_F(Lapsed, BoundedTakesNothingOlderThanItsBound) {
  fleet_.let_lapse(0);
  std::this_thread::sleep_for(kPoll);
  const auto wide = engine_.get("k", {.level = Level::bounded, .bound = 3600 * base::kSecond});
  EXPECT_EQ(wide->source, Source::memory);
  EXPECT_GT(wide->age, 0);
  const auto narrow =
      engine_.get("k", {.level = Level::bounded, .bound = std::chrono::nanoseconds(kPoll).count()});
  EXPECT_EQ(narrow->source, Source::storage);
  EXPECT_EQ(narrow->age, 0);
}

TEST_F(Lapsed, WhatWasLostLeavesTheTableOnceTheNodeIsTold) {
  fleet_.let_lapse(0);
  fleet_.tell_losses(0);
  wait_for([this] { return engine_->stats().table.entries == 0; });
  EXPECT_EQ(engine_.get("k", {.level = Level::any})->source, Source::storage);
}

TEST_F(Lapsed, WritesAreRefusedAndTheKeyIsCachedAgainInTheNextPeriod) {
  fleet_.let_lapse(0);
  const auto refused = engine_.write(put_of("k", "lost"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_owner);
  EXPECT_EQ(refused.error().retry, Retry::safe);
  EXPECT_EQ(engine_.stored("k").value, "value");
  fleet_.give(0, 0);
  engine_.wait_until_guarded();
  wait_for([this] { return engine_.get("k")->source == Source::memory; });
}

// A deadline far enough that what is written is surely a hit first.
constexpr std::int64_t kExpiryMs = 150;

TEST(Expiry, TheKeyIsRemovedInStorageBeforeItIsAbsent) {
  HeldEngine engine;
  engine.wait_until_guarded();
  engine.put("k", "value", kExpiryMs);
  wait_for([&] { return !engine.is_hit("k"); });
  EXPECT_TRUE(engine.stored("k").present) << "nobody removed it yet";
  engine.held->hold(Held::write, true);
  auto reader = engine.start_get("k", {.deadline = base::now() + 20 * base::kSecond});
  auto removal = engine.held->next(Held::write);
  EXPECT_NE(reader.wait_for(std::chrono::milliseconds(20)), std::future_status::ready) << "absent before it was removed";
  engine.held->hold(Held::write, false);
  removal->execute();
  EXPECT_FALSE(engine.stored("k").present);
  removal->reply();
  const auto reading = take(reader);
  ASSERT_TRUE(reading) << reading.error().what;
  EXPECT_FALSE(reading->present);
  EXPECT_EQ(engine.storage->expirations, 1u);
  EXPECT_TRUE(engine.is_hit("k")) << "absence is cached";
}

TEST(Expiry, AReadThatComesTooEarlyForTheRemovalSeesTheNewDeadline) {
  HeldEngine engine;
  engine.wait_until_guarded();
  engine.put("k", "old", kExpiryMs);
  wait_for([&] { return !engine.is_hit("k"); });
  engine.held->hold(Held::write, true);
  auto reader = engine.start_get("k", {.deadline = base::now() + 20 * base::kSecond});
  auto removal = engine.held->next(Held::write);
  engine.held->hold(Held::write, false);
  // Another writer gives the key a new life before the removal arrives: it must not be removed.
  engine.put("k", "new");
  removal->execute();
  removal->reply();
  EXPECT_EQ(take(reader)->value, "new");
  EXPECT_EQ(engine.stored("k").value, "new");
}

TEST(Expiry, AnUpdateSeesADueKeyAsAbsent) {
  TestEngine engine;
  engine.wait_until_guarded();
  engine.put("k", "old", kExpiryMs);
  wait_for([&] { return !engine.is_hit("k"); });
  bool present = true;
  const auto outcome = engine.update("k", [&](const KeyState& current, std::int64_t) {
    present = current.present;
    return std::optional(put_of("k", "new"));
  });
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(present);
  EXPECT_EQ(engine.get("k")->value, "new");
}

TEST(Expiry, AScanRemovesWhatIsDueAndLeavesItOut) {
  TestEngine engine;
  engine.wait_until_guarded();
  for (int i = 0; i < 20; ++i) engine.put(fmt::format("k{}", i), "v", i % 2 == 0 ? kExpiryMs : 0);
  engine.put("later", "v", 3'600'000);
  wait_for([&] {
    for (int i = 0; i < 20; i += 2) {
      if (engine.is_hit(fmt::format("k{}", i))) return false;
    }
    return true;
  });
  std::vector<std::string> found;
  std::uint64_t cursor = 0;
  while (cursor != storage::kPositionEnd) {
    auto future =
        future_of<storage::ScanReply>([&](auto done) { engine->scan(cursor, 3, base::kForever, std::move(done)); });
    auto reply = take(future);
    ASSERT_TRUE(reply) << reply.error().what;
    for (auto& key : reply->keys) found.push_back(key.key);
    cursor = reply->next;
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> expected{"later"};
  for (int i = 1; i < 20; i += 2) expected.push_back(fmt::format("k{}", i));
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(found, expected);
  EXPECT_EQ(engine.storage->expirations, 10u);
  EXPECT_FALSE(engine.stored("k0").present);
}

}  // namespace
}  // namespace freshet::cache
