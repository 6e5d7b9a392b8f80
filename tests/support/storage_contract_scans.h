// The storage contract, part four: scans, counts, split points and forgotten tombstones.
// Included by storage_contract.h only.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "storage_contract.h"

namespace freshet::testing {

// `count` keys with this prefix, written in batches. The suite's writes all carry `token`.
inline void fill_keys(BlockingStorage calls, const std::string& prefix, int count, storage::Token token) {
  constexpr int kBatch = 500;
  for (int from = 0; from < count; from += kBatch) {
    std::vector<storage::Mutation> mutations;
    for (int i = from; i < std::min(from + kBatch, count); ++i) {
      mutations.push_back(put(prefix + std::to_string(i), "v", token));
    }
    const auto reply = calls.write(request_of(std::move(mutations)));
    ASSERT_TRUE(reply) << reply.error().what;
  }
}

// Every key that a whole scan with this limit returns, in its order. Fails if a reply is far above its limit or the scan
// does not advance.
inline std::vector<std::string> scan_all(BlockingStorage calls, std::size_t limit) {
  std::vector<std::string> keys;
  std::uint64_t position = 0;
  while (position != storage::kPositionEnd) {
    const auto reply = calls.scan(position, limit);
    EXPECT_TRUE(reply) << reply.error().what;
    if (!reply) return keys;
    EXPECT_LE(reply->keys.size(), limit + 2) << "only keys of one position may exceed the limit";
    EXPECT_GT(reply->next, position) << "a scan must advance";
    if (reply->next <= position) return keys;
    for (const auto& key : reply->keys) {
      EXPECT_GE(storage::position_of(key.key), position);
      EXPECT_LT(storage::position_of(key.key), reply->next);
      keys.push_back(key.key);
    }
    position = reply->next;
  }
  return keys;
}

TEST_P(StorageContract, a_scan_of_nothing_is_empty_and_at_its_end) {
  const auto reply = calls().scan(0, 10);
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_TRUE(reply->keys.empty());
  EXPECT_EQ(reply->next, storage::kPositionEnd);
}

TEST_P(StorageContract, a_scan_returns_each_present_key_once_in_the_order_of_positions) {
  fill_keys(calls(), "k", 300, token_);
  must(erase("k7"));
  must(put("{same}a", "v"));
  must(put("{same}b", "v"));
  std::set<std::string> expected{"{same}a", "{same}b"};
  for (int i = 0; i < 300; ++i) {
    if (i != 7) expected.insert("k" + std::to_string(i));
  }
  for (const std::size_t limit : {1u, 7u, 100u, 1000u}) {
    SCOPED_TRACE("limit " + std::to_string(limit));
    const auto keys = scan_all(calls(), limit);
    EXPECT_EQ(keys.size(), expected.size());
    EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()), expected);
    EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end(), [](const auto& left, const auto& right) {
      return storage::position_of(left) < storage::position_of(right);
    }));
  }
}

TEST_P(StorageContract, a_scan_begins_at_its_position_and_says_when_keys_expire) {
  const auto state = must(expiring(put("k", "v"), storage::Expiry::Mode::after, 3'600'000));
  const auto position = storage::position_of("k");
  auto reply = calls().scan(position, 10);
  ASSERT_TRUE(reply) << reply.error().what;
  ASSERT_EQ(reply->keys.size(), 1u);
  EXPECT_EQ(reply->keys[0].key, "k");
  EXPECT_EQ(reply->keys[0].expires_at_ms, state.expires_at_ms);
  EXPECT_GT(reply->database_ms, 0);
  reply = calls().scan(position + 1, 10);
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_TRUE(reply->keys.empty());
}

TEST_P(StorageContract, a_scan_passes_many_tombstones) {
  fill_keys(calls(), "k", 2000, token_);
  for (int from = 0; from < 2000; from += 1000) {
    std::vector<storage::Mutation> mutations;
    for (int i = from; i < from + 1000; ++i) mutations.push_back(erase("k" + std::to_string(i)));
    ASSERT_TRUE(calls().write(guarded(std::move(mutations))));
  }
  must(put("last", "v"));
  EXPECT_EQ(scan_all(calls(), 10), std::vector<std::string>{"last"});
}

TEST_P(StorageContract, a_scan_returns_every_key_present_throughout_while_others_come_and_go) {
  constexpr int kStable = 400;
  fill_keys(calls(), "stable", kStable, token_);
  std::atomic<bool> stop = false;
  std::atomic<int> changes = 0;
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) {
      const auto key = "flux" + std::to_string(i % 50);
      must(i % 2 == 0 ? put(key, "v") : erase(key));
      must(put("stable" + std::to_string(i % kStable), std::to_string(i)));
      ++changes;
    }
  });
  for (int round = 0; round < 5; ++round) {
    const int changes_before = changes;
    const auto keys = scan_all(calls(), 13);
    std::map<std::string, int> seen;
    for (const auto& key : keys) ++seen[key];
    for (int i = 0; i < kStable; ++i) EXPECT_EQ(seen["stable" + std::to_string(i)], 1) << i;
    while (changes == changes_before) std::this_thread::yield();
  }
  stop = true;
  writer.join();
  EXPECT_GT(changes, 0);
}

TEST_P(StorageContract, count_is_exact_while_keys_are_few) {
  auto count = calls().count();
  ASSERT_TRUE(count) << count.error().what;
  EXPECT_EQ(count->keys, 0u);
  EXPECT_TRUE(count->exact);
  fill_keys(calls(), "k", 250, token_);
  must(erase("k1"));
  must(erase("never"));
  count = calls().count();
  ASSERT_TRUE(count) << count.error().what;
  EXPECT_EQ(count->keys, 249u);
  EXPECT_TRUE(count->exact);
}

TEST_P(StorageContract, split_points_divide_the_keys_about_evenly) {
  constexpr int kKeys = 2000;
  fill_keys(calls(), "k", kKeys, token_);
  const base::SlotRange range{1000, 12000};
  std::vector<base::Slot> slots;
  for (int i = 0; i < kKeys; ++i) {
    const auto slot = base::slot_of("k" + std::to_string(i));
    if (range.contains(slot)) slots.push_back(slot);
  }
  for (const int parts : {2, 5, 8}) {
    SCOPED_TRACE("parts " + std::to_string(parts));
    const auto points = calls().split_points(range, parts);
    ASSERT_TRUE(points) << points.error().what;
    ASSERT_EQ(points->size(), static_cast<std::size_t>(parts - 1));
    EXPECT_TRUE(std::is_sorted(points->begin(), points->end()));
    EXPECT_EQ(std::set<base::Slot>(points->begin(), points->end()).size(), points->size());
    std::vector<base::Slot> bounds{range.first};
    bounds.insert(bounds.end(), points->begin(), points->end());
    bounds.push_back(range.last + 1);
    const double fair = static_cast<double>(slots.size()) / parts;
    for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
      EXPECT_LT(bounds[i], bounds[i + 1]);
      const auto held = std::count_if(slots.begin(), slots.end(),
                                      [&](auto slot) { return bounds[i] <= slot && slot < bounds[i + 1]; });
      EXPECT_GT(static_cast<double>(held), fair * 0.5);
      EXPECT_LT(static_cast<double>(held), fair * 1.6);
    }
  }
}

TEST_P(StorageContract, split_points_stay_inside_their_range_even_without_keys) {
  const std::vector<base::SlotRange> ranges{kAllSlots, {7, 7}, {7, 8}, {100, 163}};
  for (const auto range : ranges) {
    const auto points = calls().split_points(range, 4);
    ASSERT_TRUE(points) << points.error().what;
    EXPECT_LE(points->size(), 3u);
    for (const auto point : *points) EXPECT_TRUE(range.first < point && point <= range.last) << point;
  }
  fill_keys(calls(), "{one}", 100, token_);
  const auto points = calls().split_points(kAllSlots, 4);
  ASSERT_TRUE(points) << points.error().what;
  EXPECT_LE(points->size(), 3u);
  EXPECT_EQ(std::set<base::Slot>(points->begin(), points->end()).size(), points->size());
}

TEST_P(StorageContract, forget_drops_a_tombstone_only_at_its_version_and_versions_still_grow) {
  const auto written = must(put("k", "v"));
  const auto gone = must(erase("k"));
  must(put("alive", "v"));
  const auto alive = state_of("alive");
  must(erase("newer"));
  const auto old = state_of("newer");
  const auto newer = must(erase("newer"));
  storage_->forget({{"alive", alive.version}, {"newer", old.version}, {"never", 1}, {"k", gone.version}});
  // Best effort, and later: wait for the one that must go.
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (state_of("k").version != 0 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  EXPECT_EQ(state_of("k").version, 0u);
  EXPECT_TRUE(state_of("k").operation.is_nil());
  expect_same(state_of("alive"), alive);
  expect_same(state_of("newer"), newer);
  EXPECT_GT(must(put("k", "again")).version, gone.version);
  EXPECT_GT(gone.version, written.version);
}

}  // namespace freshet::testing
