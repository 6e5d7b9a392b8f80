// The storage contract, part three: write guards. Included by storage_contract.h only.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "storage_contract.h"

namespace freshet::testing {

// A key in the given slot: numbers are tried in turn.
inline std::string key_in(base::SlotRange range, int number = 0) {
  for (int i = 0;; ++i) {
    const auto key = "g" + std::to_string(i);
    if (range.contains(base::slot_of(key)) && number-- == 0) return key;
  }
}

TEST_P(StorageContract, a_slot_that_was_never_guarded_refuses_every_write) {
  storage_.reset();
  database_.reset();
  database_ = GetParam().make();
  storage_ = database_->open();
  for (const auto token : {storage::Token{}, storage::Token::make()}) {
    const auto reply = calls().write(request_of({put("k", "v", token)}));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, ErrorCode::guard_mismatch);
  }
  EXPECT_EQ(state_of("k").version, 0u);
}

TEST_P(StorageContract, a_token_that_was_replaced_is_refused) {
  const auto old = token_;
  guard(kAllSlots);
  const auto reply = calls().write(request_of({put("k", "v", old)}));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::guard_mismatch);
  EXPECT_EQ(reply.error().retry, Retry::safe);
  EXPECT_EQ(state_of("k").version, 0u);
  must(put("k", "v"));
}

TEST_P(StorageContract, a_batch_with_one_stale_token_applies_nothing) {
  const auto old = token_;
  const base::SlotRange upper{8192, base::kSlots - 1};
  const auto low = key_in({0, 8191});
  const auto high = key_in(upper);
  guard(upper);
  const auto reply = calls().write(request_of({put(low, "v", old), put(high, "v", old)}));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::guard_mismatch);
  EXPECT_FALSE(value_of(low));
  EXPECT_FALSE(value_of(high));
  const auto both = calls().write(request_of({put(low, "v", old), put(high, "v", token_)}));
  EXPECT_TRUE(both) << both.error().what;
}

TEST_P(StorageContract, a_key_that_is_only_checked_needs_its_token_too) {
  auto request = request_of({put("k", "v", token_), put("l", "w", token_)});
  request.also.push_back({"read", token_});
  ASSERT_TRUE(calls().write(request));
  request.mutations[0].value = "newer";
  request.also.front().token = storage::Token::make();
  const auto reply = calls().write(request);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::guard_mismatch);
  EXPECT_EQ(value_of("k"), "v");
}

// A range that cuts through others, down to a single slot in the middle of a cell, replaces exactly its own slots.
TEST_P(StorageContract, set_guard_replaces_exactly_its_range) {
  const auto outer = token_;
  const auto key = key_in({100, base::kSlots - 101});
  const auto slot = base::slot_of(key);
  const auto inner = storage::Token::make();
  ASSERT_TRUE(calls().set_guard({slot, slot}, inner));
  const auto below = key_in({0, static_cast<base::Slot>(slot - 1)});
  const auto above = key_in({static_cast<base::Slot>(slot + 1), base::kSlots - 1});
  EXPECT_TRUE(calls().write(request_of({put(key, "v", inner), put(below, "v", outer), put(above, "v", outer)})));
  EXPECT_FALSE(calls().write(request_of({put(key, "w", outer)})));
  EXPECT_FALSE(calls().write(request_of({put(below, "w", inner)})));
  EXPECT_FALSE(calls().write(request_of({put(above, "w", inner)})));
  const auto around = storage::Token::make();
  ASSERT_TRUE(calls().set_guard({static_cast<base::Slot>(slot - 50), static_cast<base::Slot>(slot + 50)}, around));
  EXPECT_FALSE(calls().write(request_of({put(key, "w", inner)})));
  EXPECT_TRUE(calls().write(request_of({put(key, "w", around)})));
  EXPECT_EQ(value_of(key), "w");
}

TEST_P(StorageContract, a_mismatch_concerns_only_the_write_that_carries_it) {
  const auto old = token_;
  guard(kAllSlots);
  std::atomic<int> applied = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const auto token = t % 2 == 0 ? old : token_;
        const auto reply = calls().write(request_of({increment("k", 1, token)}));
        if (reply) {
          ++applied;
        } else {
          EXPECT_EQ(reply.error().code, ErrorCode::guard_mismatch);
          ++refused;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(applied, 40);
  EXPECT_EQ(refused, 40);
  EXPECT_EQ(value_of("k"), "40");
}

// The heart of the matter: once set_guard has succeeded, nothing issued under an older token may change the state.
TEST_P(StorageContract, set_guard_fences_the_writes_in_flight) {
  constexpr int kRounds = 20;
  constexpr int kWritesInFlight = 40;
  int applied_sum = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto old = token_;
    std::atomic<int> open = kWritesInFlight;
    std::atomic<int> applied = 0;
    std::promise<void> all_answered;
    for (int i = 0; i < kWritesInFlight; ++i) {
      storage_->write(request_of({increment("k", 1, old)}), [&](Result<storage::WriteReply> reply) {
        if (reply) {
          ++applied;
        } else {
          EXPECT_EQ(reply.error().code, ErrorCode::guard_mismatch) << reply.error().what;
        }
        if (--open == 0) all_answered.set_value();
      });
    }
    guard(kAllSlots);
    const auto fenced = state_of("k");
    all_answered.get_future().wait();
    expect_same(fenced, state_of("k"));
    applied_sum += applied;
    EXPECT_EQ(fenced.present ? std::stoi(fenced.value) : 0, applied_sum);
  }
}

TEST_P(StorageContract, guards_of_different_ranges_set_at_once_all_stand) {
  constexpr int kParts = 8;
  std::vector<storage::Token> tokens(kParts);
  std::vector<std::thread> threads;
  constexpr int kSlotsPerPart = base::kSlots / kParts;
  for (int part = 0; part < kParts; ++part) {
    threads.emplace_back([&, part] {
      const auto token = storage::Token::make();
      const auto first = static_cast<base::Slot>(part * kSlotsPerPart);
      const auto result = calls().set_guard({first, static_cast<base::Slot>(first + kSlotsPerPart - 1)}, token);
      EXPECT_TRUE(result) << result.error().what;
      tokens[static_cast<std::size_t>(part)] = token;
    });
  }
  for (auto& thread : threads) thread.join();
  for (int i = 0; i < 100; ++i) {
    const auto key = "k" + std::to_string(i);
    const auto part = static_cast<std::size_t>(base::slot_of(key) / kSlotsPerPart);
    EXPECT_TRUE(calls().write(request_of({put(key, "v", tokens[part])})));
    EXPECT_FALSE(calls().write(request_of({put(key, "w", tokens[(part + 1) % kParts])})));
  }
}

TEST_P(StorageContract, set_guard_refuses_a_nil_token_and_a_range_that_is_none) {
  auto result = calls().set_guard(kAllSlots, storage::Token{});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
  result = calls().set_guard({5, 4}, storage::Token::make());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
  result = calls().set_guard({0, base::kSlots}, storage::Token::make());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
  must(put("k", "v"));
}

}  // namespace freshet::testing
