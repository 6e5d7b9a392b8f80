// Transactions: what they have read still holds when what they write is applied, whoever else writes.
#include "cache/transaction.h"

#include <gtest/gtest.h>

#include <atomic>
#include <charconv>
#include <thread>

#include <fmt/format.h>

#include "test_engine.h"

namespace freshet::cache {
namespace {

using freshet::testing::future_of;
using freshet::testing::HeldEngine;
using freshet::testing::HeldStorage;
using freshet::testing::put_of;
using freshet::testing::take;
using freshet::testing::TestEngine;

constexpr int kThreads = 4;

int number_in(const Reading& reading) {
  int number = 0;
  std::from_chars(reading.value.data(), reading.value.data() + reading.value.size(), number);
  return number;
}

Result<std::shared_ptr<Transaction>> begin(ComposedEngine& engine, std::vector<std::string> keys,
                                           base::Nanoseconds deadline = base::kForever) {
  auto future = future_of<std::shared_ptr<Transaction>>(
      [&](auto done) { engine.begin(std::move(keys), deadline, std::move(done)); });
  return take(future);
}

Result<storage::WriteReply> commit(Transaction& transaction, std::vector<Mutation> mutations) {
  auto future = future_of<storage::WriteReply>(
      [&](auto done) { transaction.commit(std::move(mutations), base::kForever, std::move(done)); });
  return take(future);
}

// Locks end just after the answer to what was written under them.
bool becomes_idle(TestEngine& engine) {
  const auto end = base::now() + 10 * base::kSecond;
  while (engine->stats().operations_in_flight > 0) {
    if (base::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(Transaction, WritesTogetherWhatItsReadingsSay) {
  TestEngine engine;
  engine.put("a", "1");
  auto transaction = begin(*engine, {"b", "a", "b"});
  ASSERT_TRUE(transaction) << transaction.error().what;
  EXPECT_EQ((*transaction)->readings().at("a").value, "1");
  EXPECT_FALSE((*transaction)->readings().at("b").present);
  const auto reply = commit(**transaction, {put_of("a", "2"), put_of("b", "3")});
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(engine.get("a")->value, "2");
  EXPECT_EQ(engine.stored("b").value, "3");
  EXPECT_TRUE(engine.is_hit("a")) << "what it wrote is cached";
}

TEST(Transaction, OthersWritesWaitForItsEndAndReadsDoNot) {
  TestEngine engine;
  engine.put("a", "1");
  auto transaction = begin(*engine, {"a"});
  ASSERT_TRUE(transaction);
  auto write = engine.start_write(put_of("a", "other"));
  EXPECT_EQ(engine.get("a")->value, "1");
  ASSERT_TRUE(commit(**transaction, {put_of("a", "2")}));
  ASSERT_TRUE(take(write));
  EXPECT_EQ(engine.get("a")->value, "other");
}

TEST(Transaction, AbandonedItLetsTheKeysGo) {
  TestEngine engine;
  auto transaction = begin(*engine, {"a", "b"});
  ASSERT_TRUE(transaction);
  auto second = future_of<std::shared_ptr<Transaction>>(
      [&](auto done) { engine->begin({"b", "c"}, base::kForever, std::move(done)); });
  auto write = engine.start_write(put_of("a", "1"));
  transaction->reset();
  EXPECT_TRUE(take(write));
  EXPECT_TRUE(take(second));
  EXPECT_TRUE(becomes_idle(engine)) << "nothing is left of them";
}

TEST(Transaction, GivesUpAtItsDeadlineAndLeavesNothingLocked) {
  TestEngine engine;
  engine.wait_until_guarded();
  auto holder = begin(*engine, {"b"});
  ASSERT_TRUE(holder);
  const auto late = begin(*engine, {"a", "b", "c"}, base::now() + 20 * base::kMillisecond);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::deadline_exceeded);
  holder->reset();
  EXPECT_TRUE(engine.write(put_of("a", "1")));
  EXPECT_TRUE(begin(*engine, {"a", "b", "c"}));
}

// A plain write has its turn among transactions that come one after the other.
TEST(Transaction, DoesNotStarveOthersWrites) {
  TestEngine engine;
  engine.put("n", "0");
  std::atomic<bool> done = false;
  std::vector<std::thread> loops;
  for (int i = 0; i < kThreads; ++i) {
    loops.emplace_back([&] {
      while (!done) {
        auto transaction = begin(*engine, {"n"});
        ASSERT_TRUE(transaction);
        ASSERT_TRUE(commit(**transaction, {put_of("n", std::to_string(number_in((*transaction)->readings().at("n")) + 1))}));
      }
    });
  }
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(engine.write(put_of("n", "0"), base::now() + base::kSecond));
  done = true;
  for (auto& loop : loops) loop.join();
  EXPECT_TRUE(becomes_idle(engine));
}

// The owner removes it before it says "absent", and does not wait for its own lock.
TEST(Transaction, RemovesAKeyWhoseDeadlineHasPassed) {
  TestEngine engine;
  engine.put("k", "v", 1);
  while (engine->try_get("k", base::now(), [](const HitView&) {}) == Engine::Lookup::hit) std::this_thread::yield();
  const auto transaction = begin(*engine, {"k"}, base::now() + base::kSecond);
  ASSERT_TRUE(transaction) << transaction.error().what;
  EXPECT_FALSE((*transaction)->readings().at("k").present);
  EXPECT_FALSE(engine.stored("k").present);
}

TEST(Transaction, WaitsForTheWriteInFlight) {
  HeldEngine engine;
  engine.wait_until_guarded();
  engine.held->hold(HeldStorage::Kind::write, true);
  auto write = engine.start_write(put_of("a", "1"));
  const auto call = engine.held->next(HeldStorage::Kind::write);
  auto transaction = future_of<std::shared_ptr<Transaction>>(
      [&](auto done) { engine->begin({"a"}, base::kForever, std::move(done)); });
  EXPECT_EQ(transaction.wait_for(std::chrono::milliseconds(0)), std::future_status::timeout);
  engine.held->hold(HeldStorage::Kind::write, false);
  call->execute();
  call->reply();
  EXPECT_TRUE(take(write));
  const auto begun = take(transaction);
  ASSERT_TRUE(begun);
  EXPECT_EQ((*begun)->readings().at("a").value, "1");
}

// Write skew: each of two keys may be taken from as long as their sum allows it. And lost updates, by plain writers.
int sum_after(bool locks) {
  consistency::Protections protections;
  protections.key_locks = locks;
  int lowest = 0;
  for (int round = 0; round < 60; ++round) {
    TestEngine engine({}, nullptr, nullptr, protections);
    engine.put("x", "1");
    engine.put("y", "1");
    std::vector<std::thread> takers;
    for (int i = 0; i < kThreads; ++i) {
      takers.emplace_back([&engine, from = i % 2 ? "x" : "y"] {
        for (int tries = 0; tries < 4; ++tries) {
          auto transaction = begin(*engine, {"x", "y"});
          ASSERT_TRUE(transaction);
          const auto& readings = (*transaction)->readings();
          if (number_in(readings.at("x")) + number_in(readings.at("y")) < 1) return;
          const auto left = number_in(readings.at(from)) - 1;
          ASSERT_TRUE(commit(**transaction, {put_of(from, std::to_string(left))}));
        }
      });
    }
    for (auto& taker : takers) taker.join();
    lowest = std::min(lowest, number_in(*engine.get("x")) + number_in(*engine.get("y")));
    if (lowest < 0 && !locks) break;
  }
  return lowest;
}

TEST(Transaction, IsIsolatedFromOthers) { EXPECT_EQ(sum_after(true), 0); }

#if FRESHET_PROTECTION_SWITCHES
TEST(Transaction, WithoutLocksTakesWhatIsNotThere) { EXPECT_LT(sum_after(false), 0); }
#endif

}  // namespace
}  // namespace freshet::cache
