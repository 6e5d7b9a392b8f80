// The storage contract, part two: writes of several keys, concurrency, deadlines and the end of a storage.
// Included by storage_contract.h only.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "storage_contract.h"

namespace freshet::testing {

TEST_P(StorageContract, a_batch_applies_every_mutation_under_one_operation) {
  must(put("a", "1"));
  must(put("b", "x"));
  must(put("c", "y"));
  const auto request = guarded({increment("a", 1), append("b", "z"), erase("c"), put("d", "new")});
  const auto reply = calls().write(request);
  ASSERT_TRUE(reply) << reply.error().what;
  ASSERT_EQ(reply->size(), 4u);
  const std::array<std::string, 4> keys{"a", "b", "c", "d"};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ASSERT_TRUE(reply->at(i)) << reply->at(i).error().what;
    EXPECT_TRUE(reply->at(i)->applied);
    EXPECT_EQ(reply->at(i)->after.operation, request.operation);
    expect_same(reply->at(i)->after, state_of(keys[i]));
  }
  EXPECT_EQ(value_of("a"), "2");
  EXPECT_EQ(value_of("b"), "xz");
  EXPECT_FALSE(value_of("c"));
  EXPECT_EQ(value_of("d"), "new");
}

TEST_P(StorageContract, in_a_batch_a_failed_condition_or_error_concerns_its_key_alone) {
  must(put("held", "1"));
  must(put("text", "abc"));
  must(put("full", "9223372036854775807"));
  const auto reply = calls().write(guarded({storage::Mutation(on(storage::Condition::if_absent, put("held", "2"))),
                                            increment("text", 1), increment("full", 1), put("free", "3")}));
  ASSERT_TRUE(reply) << reply.error().what;
  ASSERT_TRUE(reply->at(0));
  EXPECT_FALSE(reply->at(0)->applied);
  EXPECT_EQ(reply->at(0)->after.value, "1");
  ASSERT_FALSE(reply->at(1));
  EXPECT_EQ(reply->at(1).error().code, ErrorCode::wrong_type);
  ASSERT_FALSE(reply->at(2));
  EXPECT_EQ(reply->at(2).error().code, ErrorCode::out_of_range);
  ASSERT_TRUE(reply->at(3));
  EXPECT_TRUE(reply->at(3)->applied);
  EXPECT_EQ(value_of("held"), "1");
  EXPECT_EQ(value_of("text"), "abc");
  EXPECT_EQ(value_of("free"), "3");
}

TEST_P(StorageContract, all_or_nothing_applies_nothing_when_one_condition_fails) {
  const auto held = must(put("held", "1"));
  auto request = guarded({on(storage::Condition::if_absent, put("free", "2")),
                          on(storage::Condition::if_absent, put("held", "2")), put("other", "2")});
  request.all_or_nothing = true;
  auto reply = calls().write(request);
  ASSERT_TRUE(reply) << reply.error().what;
  for (auto& outcome : *reply) {
    ASSERT_TRUE(outcome) << outcome.error().what;
    EXPECT_FALSE(outcome->applied);
  }
  EXPECT_FALSE(reply->at(0)->after.present);
  expect_same(reply->at(1)->after, held);
  EXPECT_FALSE(value_of("free"));
  EXPECT_FALSE(value_of("other"));
  expect_same(state_of("held"), held);
}

TEST_P(StorageContract, all_or_nothing_applies_nothing_when_one_key_has_an_error) {
  must(put("text", "abc"));
  auto request = guarded({put("free", "2"), increment("text", 1)});
  request.all_or_nothing = true;
  auto reply = calls().write(request);
  ASSERT_TRUE(reply) << reply.error().what;
  ASSERT_TRUE(reply->at(0));
  EXPECT_FALSE(reply->at(0)->applied);
  ASSERT_FALSE(reply->at(1));
  EXPECT_EQ(reply->at(1).error().code, ErrorCode::wrong_type);
  EXPECT_FALSE(value_of("free"));
}

TEST_P(StorageContract, all_or_nothing_applies_all_when_every_condition_holds) {
  auto request = guarded({on(storage::Condition::if_absent, put("a", "1")),
                          on(storage::Condition::if_absent, put("b", "2"))});
  request.all_or_nothing = true;
  auto reply = calls().write(request);
  ASSERT_TRUE(reply) << reply.error().what;
  for (auto& outcome : *reply) EXPECT_TRUE(outcome && outcome->applied);
  EXPECT_EQ(value_of("a"), "1");
  EXPECT_EQ(value_of("b"), "2");
}

TEST_P(StorageContract, the_largest_batch_works_and_a_larger_one_is_refused) {
  std::vector<storage::Mutation> mutations;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < storage::kBatchKeysMax; ++i) {
    keys.push_back("batch:" + std::to_string(i));
    mutations.push_back(put(keys.back(), std::to_string(i)));
  }
  const auto written = calls().write(guarded(mutations));
  ASSERT_TRUE(written) << written.error().what;
  const auto reply = calls().read(keys);
  ASSERT_TRUE(reply) << reply.error().what;
  for (std::size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(reply->states[i].value, std::to_string(i));
  mutations.push_back(put("one too many", "1"));
  const auto refused = calls().write(guarded(mutations));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
}

TEST_P(StorageContract, a_write_that_names_a_key_twice_is_refused) {
  const auto refused = calls().write(guarded({put("k", "1"), put("k", "2")}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(value_of("k"));
}

TEST_P(StorageContract, a_deadline_that_has_passed_applies_nothing) {
  auto request = guarded({put("k", "v")});
  request.deadline = base::now() - 1;
  const auto written = calls().write(std::move(request));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(state_of("k").version, 0u);
  const auto read = calls().read({"k"}, base::now() - 1);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::deadline_exceeded);
}

TEST_P(StorageContract, concurrent_increments_all_count_and_draw_unique_versions) {
  constexpr int kThreads = 8;
  constexpr int kIncrements = 50;
  std::vector<std::vector<storage::Version>> versions(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      storage::Version last = 0;
      for (int i = 0; i < kIncrements; ++i) {
        const auto state = must(increment("counter", 1));
        EXPECT_GT(state.version, last);
        last = state.version;
        versions[static_cast<std::size_t>(t)].push_back(last);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(value_of("counter"), std::to_string(kThreads * kIncrements));
  std::set<storage::Version> distinct;
  for (const auto& list : versions) distinct.insert(list.begin(), list.end());
  EXPECT_EQ(distinct.size(), static_cast<std::size_t>(kThreads * kIncrements));
}

// Every batch increments the same keys, each thread naming them in another order: a batch applied in part would leave the
// counters unequal, and locks taken in the order named would deadlock.
TEST_P(StorageContract, concurrent_batches_are_atomic) {
  constexpr int kThreads = 6;
  constexpr int kBatches = 25;
  const std::vector<std::string> keys{"a", "b", "c", "d", "e"};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kBatches; ++i) {
        std::vector<storage::Mutation> mutations;
        for (std::size_t k = 0; k < keys.size(); ++k) {
          mutations.push_back(increment(keys[(k + static_cast<std::size_t>(t)) % keys.size()], 1));
        }
        if (t % 2 == 1) std::reverse(mutations.begin(), mutations.end());
        const auto reply = calls().write(guarded(std::move(mutations)));
        EXPECT_TRUE(reply) << reply.error().what;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& key : keys) EXPECT_EQ(value_of(key), std::to_string(kThreads * kBatches));
}

TEST_P(StorageContract, of_concurrent_creations_one_is_applied) {
  constexpr int kThreads = 8;
  std::atomic<int> applied = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const auto outcome = apply(on(storage::Condition::if_absent, put("k", std::to_string(t))));
      EXPECT_TRUE(outcome) << outcome.error().what;
      if (outcome && outcome->applied) ++applied;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(applied, 1);
}

// Once acknowledged, a write is seen by every read that starts later.
TEST_P(StorageContract, a_read_after_a_write_sees_it) {
  constexpr int kRounds = 200;
  for (int i = 0; i < kRounds; ++i) {
    const auto written = must(put("k", std::to_string(i)));
    expect_same(written, state_of("k"));
  }
}

TEST_P(StorageContract, a_storage_that_is_destroyed_answers_every_open_call_once) {
  constexpr int kCalls = 200;
  std::array<std::atomic<int>, kCalls> answers{};
  std::atomic<bool> destroyed = false;
  std::atomic<int> late = 0;
  const auto count = [&](int i) {
    if (destroyed) ++late;
    ++answers[static_cast<std::size_t>(i)];
  };
  for (int i = 0; i < kCalls; ++i) {
    const auto key = "k" + std::to_string(i % 7);
    if (i % 4 == 0) {
      storage_->read({key}, base::kForever, [&, i](auto) { count(i); });
    } else if (i % 50 == 1) {
      storage_->set_guard(kAllSlots, storage::Token::make(), base::kForever, [&, i](auto) { count(i); });
    } else if (i % 50 == 2) {
      storage_->scan(0, 10, base::kForever, [&, i](auto) { count(i); });
    } else {
      storage_->write(guarded({put(key, "v")}), [&, i](auto) { count(i); });
    }
  }
  storage_.reset();
  destroyed = true;
  for (int i = 0; i < kCalls; ++i) EXPECT_EQ(answers[static_cast<std::size_t>(i)], 1) << "call " << i;
  EXPECT_EQ(late, 0);
}

TEST_P(StorageContract, health_names_the_database_and_its_clock_does_not_step_back) {
  const auto first = calls().health();
  ASSERT_TRUE(first) << first.error().what;
  EXPECT_TRUE(first->writable);
  EXPECT_FALSE(first->identity.system.empty());
  EXPECT_FALSE(first->identity.timeline.empty());
  EXPECT_FALSE(first->identity.started_at.empty());
  const auto read_ms = database_ms();
  EXPECT_GE(read_ms, first->database_ms);
  const auto second = calls().health();
  ASSERT_TRUE(second) << second.error().what;
  EXPECT_EQ(second->identity, first->identity);
  EXPECT_GE(second->database_ms, read_ms);
  reopen();
  const auto third = calls().health();
  ASSERT_TRUE(third) << third.error().what;
  EXPECT_EQ(third->identity.system, first->identity.system);
}

}  // namespace freshet::testing
