// Hashes changed by Engine::update_locked: by many at once, on a bad network, and cached as what they are.
#include "cache/hash_update.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <charconv>
#include <functional>
#include <thread>

#include <fmt/format.h>

#include "cache/transaction.h"
#include "delayed_storage.h"
#include "test_engine.h"

namespace freshet::cache {
namespace {

using freshet::testing::DelayedStorage;
using freshet::testing::future_of;
using freshet::testing::HeldEngine;
using freshet::testing::HeldStorage;
using freshet::testing::put_of;
using freshet::testing::take;
using freshet::testing::TestEngine;

constexpr int kThreads = 4;

std::future<Result<UpdateOutcome>> start_update(ComposedEngine& engine, const std::string& key, ChangeFields change) {
  return future_of<UpdateOutcome>([&](auto done) {
    engine.update_locked(key, deciding_on_fields(std::move(change)), base::kForever, std::move(done));
  });
}

Result<UpdateOutcome> update(TestEngine& engine, const std::string& key, ChangeFields change) {
  auto future = start_update(*engine, key, std::move(change));
  return take(future);
}

Result<bool> set_field(storage::HashFields& fields) {
  fields.set("f", "v");
  return true;
}

std::int64_t number_in(const std::string& hash, std::string_view field) {
  const auto text = storage::find_in_hash(hash, field);
  std::int64_t number = 0;
  if (text && *text) std::from_chars((*text)->data(), (*text)->data() + (*text)->size(), number);
  return number;
}

// Adds 1 to the field "n". The text lives as long as the change.
ChangeFields plus_one() {
  return [text = std::make_shared<std::string>()](storage::HashFields& fields) -> Result<bool> {
    std::int64_t number = 0;
    if (const auto found = fields.find("n")) std::from_chars(found->data(), found->data() + found->size(), number);
    *text = std::to_string(number + 1);
    fields.set("n", *text);
    return true;
  };
}

TEST(HashUpdate, WhatItWritesIsCachedAsAHash) {
  TestEngine engine;
  engine.wait_until_guarded();
  const auto outcome = update(engine, "h", set_field);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_TRUE(outcome->written);
  EXPECT_FALSE(outcome->before.present);
  EXPECT_EQ(outcome->after.kind, ValueKind::hash);
  EXPECT_EQ(engine.stored("h").kind, ValueKind::hash);
  for (const bool evicted : {false, true}) {
    if (evicted) engine->evict("h");
    const auto reading = engine.get("h");
    ASSERT_TRUE(reading);
    EXPECT_EQ(reading->kind, ValueKind::hash);
    EXPECT_EQ(*storage::find_in_hash(reading->value, "f"), "v");
    ValueKind seen = ValueKind::string;
    EXPECT_EQ(engine->try_get("h", Engine::kReadClock, [&](const HitView& view) { seen = view.kind; }),
              Engine::Lookup::hit);
    EXPECT_EQ(seen, ValueKind::hash);
  }
}

// The ways that hand out bytes alone.
TEST(HashUpdate, AHashIsNeverHandedOutAsAString) {
  TestEngine engine;
  engine.wait_until_guarded();
  ASSERT_TRUE(update(engine, "h", set_field));
  engine.put("s", "string");
  for (int i = 0; i < 5; ++i) engine->try_get("h", Engine::kReadClock, [](const HitView&) {});  // Settled: no lock is taken.
  std::array<char, 100> buffer;
  memory::EntryCopy copied;
  EXPECT_EQ(engine->try_copy("h", buffer, copied), Engine::Lookup::miss);
  EXPECT_EQ(engine->try_pin("h", Engine::kReadClock), nullptr);
  std::array<Engine::CopyRequest, 2> requests{{{"h", buffer}, {"s", buffer}}};
  EXPECT_EQ(engine->try_copy_many(requests), 1u);
  EXPECT_FALSE(requests[0].hit);
  EXPECT_TRUE(requests[1].hit);
  engine.put("h", "string");
  EXPECT_EQ(engine->try_copy("h", buffer, copied), Engine::Lookup::hit);
}

TEST(HashUpdate, AStringIsRefusedAndStays) {
  TestEngine engine;
  engine.put("s", "string");
  const auto refused = update(engine, "s", set_field);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(storage::is_wrong_kind(refused.error()));
  EXPECT_EQ(engine.stored("s").value, "string");
}

// Nobody tries again: each waits for its turn, and finds in memory what the one before it has left.
TEST(HashUpdate, ManyAtOnceLoseNothingAndReadNothingAgain) {
  TestEngine engine;
  engine.wait_until_guarded();
  ASSERT_TRUE(update(engine, "h", plus_one()));
  const auto misses = engine->stats().misses;
  constexpr int kUpdates = 200;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kUpdates; ++j) {
        const auto outcome = update(engine, "h", plus_one());
        ASSERT_TRUE(outcome) << outcome.error().what;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(number_in(engine.stored("h").value, "n"), kThreads * kUpdates + 1);
  EXPECT_EQ(engine->stats().misses, misses);
}

TEST(HashUpdate, StringWritesBetweenUpdatesAreNotOverwritten) {
  TestEngine engine;
  engine.wait_until_guarded();
  std::atomic<int> refused{0};
  std::thread other([&] {
    for (int i = 0; i < 200; ++i) {
      if (!update(engine, "k", plus_one())) ++refused;
    }
  });
  for (int i = 0; i < 200; ++i) {
    const auto written = engine.write(put_of("k", "string"));
    ASSERT_TRUE(written);
    const auto now = engine.get("k");
    ASSERT_TRUE(now);
    EXPECT_EQ(now->value, "string") << "no update had begun on an absent key, or a hash";
  }
  other.join();
  EXPECT_EQ(engine.stored("k").value, "string");
}

TEST(HashUpdate, ALostAnswerOfAWriteThatLandedIsFoundOut) {
  HeldEngine engine;
  engine.wait_until_guarded();
  engine.held->hold(HeldStorage::Kind::write, true);
  auto future = start_update(*engine, "h", plus_one());
  const auto call = engine.held->next(HeldStorage::Kind::write);
  engine.held->hold(HeldStorage::Kind::write, false);
  call->execute();
  call->answer(Error::of(ErrorCode::unknown_outcome, "the connection broke"));
  const auto outcome = take(future);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_EQ(number_in(outcome->after.value, "n"), 1);
  EXPECT_EQ(number_in(engine.stored("h").value, "n"), 1);
}

TEST(HashUpdate, ALostWriteThatNeverLandedIsMadeOnce) {
  HeldEngine engine;
  engine.wait_until_guarded();
  ASSERT_TRUE(update(engine, "h", plus_one()));
  engine.held->hold(HeldStorage::Kind::write, true);
  auto future = start_update(*engine, "h", plus_one());
  const auto call = engine.held->next(HeldStorage::Kind::write);
  engine.held->hold(HeldStorage::Kind::write, false);
  call->answer(Error::of(ErrorCode::unknown_outcome, "the connection broke"));
  const auto outcome = take(future);
  ASSERT_TRUE(outcome) << outcome.error().what;
  call->execute();  // Late, under a guard that has been replaced.
  EXPECT_EQ(number_in(engine.stored("h").value, "n"), 2);
  EXPECT_EQ(number_in(engine.get("h")->value, "n"), 2);
}

// The lock keeps writers out, not time.
TEST(HashUpdate, FieldsThatExpireBeforeTheWriteArrivesAreNotBroughtBack) {
  HeldEngine engine;
  engine.wait_until_guarded();
  ASSERT_TRUE(update(engine, "h", set_field));
  Mutation touch;
  touch.kind = storage::MutationKind::touch;
  touch.key = "h";
  touch.expiry = {storage::Expiry::Mode::after, 500};
  const auto touched = engine.write(touch);
  ASSERT_TRUE(touched);
  engine.held->hold(HeldStorage::Kind::write, true);
  auto future = start_update(*engine, "h", [](storage::HashFields& fields) -> Result<bool> { return fields.set("g", "w"); });
  const auto call = engine.held->next(HeldStorage::Kind::write);
  engine.held->hold(HeldStorage::Kind::write, false);
  while (base::wall_ms() <= touched->after.expires_at_ms) std::this_thread::yield();
  call->execute();
  call->reply();
  const auto outcome = take(future);
  ASSERT_TRUE(outcome) << outcome.error().what;
  const auto stored = engine.stored("h");
  EXPECT_EQ(*storage::hash_size(stored.value), 1u);
  EXPECT_EQ(*storage::find_in_hash(stored.value, "g"), "w");
  EXPECT_EQ(stored.expires_at_ms, 0);
}

TEST(HashUpdate, OnABadNetworkEveryAcknowledgedUpdateCountsOnce) {
  freshet::testing::Delays delays;
  delays.write_late_max = 50 * base::kMillisecond;
  delays.guard_late_max = 20 * base::kMillisecond;
  TestEngine engine({}, nullptr, [&](std::shared_ptr<storage::Storage> inner) {
    return std::make_unique<DelayedStorage>(std::move(inner), delays);
  });
  engine.wait_until_guarded();
  constexpr int kUpdates = 100;
  std::atomic<int> acknowledged{0};
  std::atomic<int> unknown{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kUpdates; ++j) {
        const auto outcome = update(engine, "h", plus_one());
        if (outcome) ++acknowledged;
        else if (outcome.error().code == ErrorCode::unknown_outcome) ++unknown;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const auto sum = number_in(engine.get("h")->value, "n");
  EXPECT_GE(sum, acknowledged);
  EXPECT_LE(sum, acknowledged + unknown);
  EXPECT_GT(acknowledged, kUpdates) << "else nothing was tried";
}

// Runs a task on a thread with so small a stack that thousands of calls do not go on top of one another.
void run_on_small_stack(std::function<void()> task) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 512 * 1024), 0);
  pthread_t thread;
  const auto main = [](void* given) -> void* {
    (*static_cast<std::function<void()>*>(given))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, main, &task), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

// Each ends as soon as it has its turn, and gives way to the next.
TEST(HashUpdate, ThousandsThatFindNothingToDoTakeTurns) {
  TestEngine engine;
  engine.wait_until_guarded();
  ASSERT_TRUE(update(engine, "h", set_field));
  auto held = future_of<std::shared_ptr<Transaction>>(
      [&](auto done) { engine->begin({"h"}, base::kForever, std::move(done)); });
  auto transaction = take(held);
  ASSERT_TRUE(transaction);
  std::vector<std::future<Result<UpdateOutcome>>> waiting;
  for (int i = 0; i < 8000; ++i) {
    waiting.push_back(start_update(*engine, "h", [](storage::HashFields& fields) { return fields.erase("none"); }));
  }
  run_on_small_stack([&] { transaction->reset(); });
  for (auto& each : waiting) {
    const auto outcome = take(each);
    ASSERT_TRUE(outcome) << outcome.error().what;
    EXPECT_FALSE(outcome->written);
  }
}

}  // namespace
}  // namespace freshet::cache
