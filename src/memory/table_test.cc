// Tests of memory/table.h: what it promises about entries, bytes and pins, with the simplest policy. The eviction room tests
// it further, with its own policies, against a model and from many threads.
#include "memory/table.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "base/slot.h"
#include "memory/settling_fifo.h"

namespace freshet::memory {
namespace {

constexpr std::size_t kMiB = 1 << 20;

bool insert(Table& table, std::string_view key, std::string_view value, std::uint64_t version = 1) {
  return table.insert({.key = key, .hash = base::hash_of(key), .value = value, .version = version});
}
std::string get(Table& table, std::string_view key) {
  std::string value = "(none)";
  table.visit(key, base::hash_of(key), [&](const Entry& entry) { value = entry.value(); });
  return value;
}

TEST(Table, FindsWhatWasInserted) {
  for (const unsigned shards : {1u, 2u, 256u}) {
    Table table(settling_table(64 * kMiB, shards));
    for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(insert(table, "key" + std::to_string(i), "value" + std::to_string(i)));
    for (int i = 0; i < 1'000; ++i) EXPECT_EQ(get(table, "key" + std::to_string(i)), "value" + std::to_string(i));
    EXPECT_EQ(get(table, "key1000"), "(none)");
    EXPECT_EQ(table.stats().entries, 1'000u);
    EXPECT_EQ(table.stats().inserted, 1'000u);
  }
}

TEST(Table, InsertReplaces) {
  Table table(settling_table(kMiB, 1));
  insert(table, "a", "one");
  const auto before = table.stats().entry_bytes;
  insert(table, "a", std::string(200, 'x'));
  EXPECT_EQ(get(table, "a"), std::string(200, 'x'));
  EXPECT_EQ(table.stats().entries, 1u);
  EXPECT_EQ(table.stats().entry_bytes - before, 197u);
}

TEST(Table, EraseAndEraseIf) {
  Table table(settling_table(16 * kMiB, 16));
  for (int i = 0; i < 100; ++i) insert(table, std::to_string(i), "v", static_cast<std::uint64_t>(i));
  EXPECT_TRUE(table.erase("7", base::hash_of("7")));
  EXPECT_FALSE(table.erase("7", base::hash_of("7")));
  EXPECT_EQ(table.erase_if([](const Entry& entry) { return entry.version() % 2 == 1; }), 49u);
  EXPECT_EQ(table.stats().entries, 50u);
  EXPECT_EQ(table.stats().erased, 50u);
  EXPECT_EQ(get(table, "8"), "v");
  EXPECT_EQ(get(table, "9"), "(none)");
  EXPECT_EQ(table.erase_if([](const Entry&) { return true; }), 50u);
  EXPECT_EQ(table.stats().bytes, 0u) << "an empty table costs nothing";
}

TEST(Table, AbsentKeysAreEntriesToo) {
  Table table(settling_table(kMiB, 1));
  table.insert({.key = "gone", .hash = base::hash_of("gone"), .present = false, .version = 5});
  bool present = true;
  EXPECT_TRUE(table.visit("gone", base::hash_of("gone"), [&](const Entry& entry) { present = entry.present(); }));
  EXPECT_FALSE(present);
}

TEST(Table, ATooLargeValueIsNotTakenAndTheEarlierOneLeaves) {
  auto options = settling_table(kMiB, 1);
  options.value_bytes_max = 1'000;
  Table table(std::move(options));
  insert(table, "a", "old");
  EXPECT_TRUE(insert(table, "b", std::string(1'000, 'x')));
  EXPECT_FALSE(insert(table, "a", std::string(1'001, 'x')));
  EXPECT_EQ(get(table, "a"), "(none)");
  EXPECT_EQ(table.stats().too_large, 1u);
  EXPECT_EQ(table.stats().entries, 1u);
}

TEST(Table, AnEntryLargerThanAFairPartOfItsShardIsNotTaken) {
  Table table(settling_table(2 * 64 * 1024, 2));
  insert(table, "a", "old");
  EXPECT_FALSE(insert(table, "a", std::string(32 * 1024, 'x')));
  EXPECT_EQ(get(table, "a"), "(none)");
  EXPECT_TRUE(insert(table, "a", std::string(30 * 1024, 'x')));
}

// Keeps what it is told, as text.
class Listener final : public AccessListener {
 public:
  void on_access(const KeyAccess& access) override {
    static constexpr const char* kKinds[] = {"read", "written", "erased"};
    told.push_back(std::string(kKinds[static_cast<int>(access.kind)]) + " " + std::to_string(access.bytes));
    EXPECT_EQ(access.hash, base::hash_of("a"));
  }
  std::vector<std::string> told;
};

TEST(Table, TellsOfEveryAccessToASampledKey) {
  Table table(settling_table(kMiB, 1));
  Listener listener;
  // Of two keys one is sampled.
  const auto product = [](std::string_view key) { return base::hash_of(key) * 0xd6e8feb86659fd93; };
  std::string other = "b";
  while (product(other) < product("a")) other += "b";
  base::KeySample sample(1);
  while (sample.takes(base::hash_of(other))) sample.halve();
  ASSERT_TRUE(sample.takes(base::hash_of("a"))) << "choose another key";
  table.listen(&listener, sample);
  std::array<char, 32> to;
  EntryCopy copied;
  for (const std::string& key : {std::string("a"), other}) {
    const auto hash = base::hash_of(key);
    EXPECT_FALSE(table.pin(key, hash));
    insert(table, key, "value");
    table.insert({.key = key, .hash = hash, .value = "other", .written = true});
    EXPECT_EQ(get(table, key), "other");
    EXPECT_FALSE(table.visit(key, hash, [](const Entry&) { return false; }));
    EXPECT_TRUE(table.copy(key, hash, to, copied, [](auto...) { return true; }));
    EXPECT_FALSE(table.copy(key, hash, to, copied, [](auto...) { return false; }));
    table.inspect(key, hash, [](const Entry&) {});
    EXPECT_TRUE(table.pin(key, hash));
    EXPECT_TRUE(table.erase(key, hash));
    EXPECT_FALSE(table.erase(key, hash));
  }
  const auto bytes = " " + std::to_string(Table::bytes_of(1, 5));
  EXPECT_EQ(listener.told, (std::vector<std::string>{"read" + bytes, "written" + bytes, "read" + bytes, "read" + bytes,
                                                     "read" + bytes, "erased 0"}));
  table.listen(nullptr, sample);
  insert(table, "a", "value");
  EXPECT_EQ(listener.told.size(), 6u);
}

TEST(Table, EvictsForRoomInThePolicysOrder) {
  constexpr std::size_t kCapacity = 16 * 1024;
  Table table(settling_table(kCapacity, 1));
  int inserted = 0;
  for (; table.stats().evicted == 0; ++inserted) {
    ASSERT_TRUE(insert(table, std::to_string(inserted), std::string(100, 'v')));
    ASSERT_LE(table.stats().bytes, kCapacity);
  }
  const auto evicted = static_cast<int>(table.stats().evicted);
  for (int i = 0; i < inserted; ++i) EXPECT_EQ(get(table, std::to_string(i)) == "(none)", i < evicted) << i;
  // Every byte counts: no more was evicted than one segment, and one is spare.
  EXPECT_GT(table.stats().bytes + 2 * SegmentPool::kSegmentBytesMin, kCapacity);
}

TEST(Table, CapacityChangesWhileItLives) {
  Table table(settling_table(kMiB, 4));
  for (int i = 0; i < 2'000; ++i) insert(table, std::to_string(i), std::string(100, 'v'));
  const auto full = table.stats();
  table.set_capacity(kMiB / 8);
  EXPECT_LE(table.stats().bytes, kMiB / 8);
  EXPECT_EQ(table.stats().capacity_bytes, kMiB / 8);
  EXPECT_GT(table.stats().entries, 0u);
  EXPECT_EQ(table.stats().entries + table.stats().evicted - full.evicted, full.entries);
  table.set_capacity(0);
  EXPECT_EQ(table.stats().bytes, 0u);
  EXPECT_FALSE(insert(table, "a", "v"));
  table.set_capacity(kMiB);
  EXPECT_TRUE(insert(table, "a", "v"));
}

TEST(Table, APinnedEntryOutlivesItsPlace) {
  EntryRef pinned;
  {
    Table table(settling_table(kMiB, 1));
    insert(table, "a", "first");
    pinned = table.pin("a", base::hash_of("a"));
    ASSERT_TRUE(pinned);
    EXPECT_FALSE(table.pin("b", base::hash_of("b")));
    insert(table, "a", "second");
    EXPECT_EQ(pinned->value(), "first");
    EXPECT_EQ(get(table, "a"), "second");
    EXPECT_TRUE(table.erase("a", base::hash_of("a")));
    EXPECT_EQ(table.stats().bytes, 0u) << "what is pinned no longer counts";
  }
  EXPECT_EQ(pinned->value(), "first");
}

// Shared, not copied: a megabyte is not copied under a lock.
TEST(Table, APinnedLargeValueOutlivesItsPlace) {
  const std::string large(kMiB, 'v');
  EntryRef pinned, again;
  {
    Table table(settling_table(16 * kMiB, 1));
    ASSERT_TRUE(insert(table, "a", large));
    pinned = table.pin("a", base::hash_of("a"));
    again = table.pin("a", base::hash_of("a"));
    ASSERT_TRUE(pinned);
    EXPECT_EQ(pinned->value().data(), again->value().data());
    EXPECT_TRUE(table.erase("a", base::hash_of("a")));
    EXPECT_EQ(table.stats().bytes, 0u) << "what is pinned no longer counts";
    again = nullptr;
  }
  EXPECT_EQ(pinned->key(), "a");
  EXPECT_EQ(pinned->value(), large);
}

// A shard of a thousand times as many bytes wants other segments, and so does one of a thousandth.
TEST(Table, TheLimitMayChangeAThousandfold) {
  Table table(settling_table(kMiB, 4));
  const auto fill = [&](int entries) {
    for (int i = 0; i < entries; ++i) insert(table, std::to_string(i), std::string(100, 'v'));
  };
  fill(2'000);
  table.set_capacity(1'000 * kMiB);
  EXPECT_EQ(table.stats().evicted, 0u);
  EXPECT_EQ(table.stats().entries, 2'000u);
  fill(200'000);
  EXPECT_EQ(table.stats().entries, 200'000u);
  table.set_capacity(kMiB);
  EXPECT_LE(table.stats().bytes, kMiB);
  EXPECT_GT(table.stats().entries, 6'000u) << "of some seven thousand that fit";
  EXPECT_EQ(get(table, "199999"), std::string(100, 'v'));
}

// Values that stand outside leave one after the other, not by segments, of which they fill only a part.
TEST(Table, LargeValuesLeaveOneByOne) {
  constexpr std::size_t kValue = 100'000;
  Table table(settling_table(16 * kMiB, 1));
  for (int i = 0; i < 5'000; ++i) {
    ASSERT_TRUE(insert(table, std::to_string(i), std::string(kValue, 'v')));
    const TableStats stats = table.stats();
    ASSERT_LE(stats.bytes, stats.capacity_bytes);
    if (i > 200) {
      ASSERT_GT(stats.entries * kValue, 14 * kMiB) << "at the " << i << "th";
    }
  }
}

// Keys that no segment holds, and times beyond the year 10000, are not cached; whoever asks is told so.
TEST(Table, WhatNoRecordHoldsIsNotTaken) {
  Table table(settling_table(64 * kMiB, 1));
  EXPECT_FALSE(insert(table, std::string(70'000, 'k'), "v"));
  EXPECT_TRUE(insert(table, std::string(60'000, 'k'), "v"));
  EXPECT_FALSE(table.insert({.key = "k", .hash = base::hash_of("k"), .expires_at_ms = std::int64_t{1} << 48}));
  EXPECT_FALSE(table.insert({.key = "k", .hash = base::hash_of("k"), .expires_at_ms = -1}));
  EXPECT_EQ(table.stats().too_large, 3u);
  EXPECT_EQ(table.stats().entries, 1u);
}

TEST(Table, PrefetchChangesNothing) {
  Table table(settling_table(kMiB, 2));
  insert(table, "a", "v");
  for (std::string_view key : {"a", "b"}) {
    table.prefetch(base::hash_of(key));
    table.prefetch_entry(base::hash_of(key));
  }
  EXPECT_EQ(get(table, "a"), "v");
  EXPECT_EQ(table.stats().entries, 1u);
}

}  // namespace
}  // namespace freshet::memory
