// Tests of memory/entry.h and memory/entry_list.h: the bytes, the references, the queue.
#include "memory/entry.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "memory/block_pool.h"
#include "memory/entry_list.h"

namespace freshet::memory {
namespace {

struct CountedWitness final : Witness {
  explicit CountedWitness(int& alive_count) : alive(alive_count) { ++alive; }
  ~CountedWitness() override { --alive; }
  int& alive;
};

TEST(Entry, KeepsWhatItWasMadeFrom) {
  int alive = 0;
  {
    WitnessRef witness(new CountedWitness(alive));
    const std::string value("v\0lue", 5);
    EntryRef entry(Entry::make({"key", 7, true, value, 42, 99, witness}), /*add_ref=*/false);
    EXPECT_EQ(entry->key(), "key");
    EXPECT_EQ(entry->value(), std::string_view("v\0lue", 5));
    EXPECT_EQ(entry->hash(), 7u);
    EXPECT_EQ(entry->version(), 42u);
    EXPECT_EQ(entry->expires_at_ms(), 99);
    EXPECT_TRUE(entry->present());
    EXPECT_EQ(entry->witness(), witness.get());
    EXPECT_TRUE(entry->is("key", 7));
    EXPECT_FALSE(entry->is("kez", 7));
    EXPECT_FALSE(entry->is("ke", 7));
    EXPECT_FALSE(entry->is("key", 8));
    witness.reset();
    EXPECT_EQ(alive, 1) << "the entry keeps its witness";
  }
  EXPECT_EQ(alive, 0);
}

TEST(Entry, EmptyKeyAndAbsentValue) {
  EntryRef entry(Entry::make({.hash = 1, .present = false}), false);
  EXPECT_EQ(entry->key(), "");
  EXPECT_EQ(entry->value(), "");
  EXPECT_FALSE(entry->present());
  EXPECT_TRUE(entry->is("", 1));
}

TEST(Entry, FootprintIsWhatThePoolTakesForIt) {
  // A header of 64 bytes; blocks stand 16 bytes apart, and each bears a little of the region's header.
  EXPECT_EQ(Entry::footprint_of(0, 0), 65u);
  EXPECT_EQ(Entry::footprint_of(8, 8), Entry::footprint_of(1, 0));
  EXPECT_EQ(Entry::footprint_of(20, 100), 193u);
  // Outlined: a block that says where the payload is, and the payload's own.
  constexpr std::size_t kPayloadBytes = 9'600;
  EXPECT_FALSE(BlockPool::stays_mapped(64 + kPayloadBytes));
  EXPECT_EQ(Entry::footprint_of(100, kPayloadBytes - 100),
            BlockPool::footprint_of(64 + 8) + BlockPool::footprint_of(kPayloadBytes));
}

class EntryListTest : public testing::Test {
 protected:
  Entry& make(std::size_t value_bytes = 0) {
    refs_.emplace_back(Entry::make({.value = std::string(value_bytes, 'v')}), false);
    return const_cast<Entry&>(*refs_.back());
  }
  std::vector<EntryRef> refs_;
};

TEST_F(EntryListTest, IsAQueueFromWhichAnyoneMayLeave) {
  EntryList list;
  Entry& a = make();
  Entry& b = make();
  Entry& c = make(100);
  for (Entry* entry : {&a, &b, &c}) list.push_front(*entry);
  EXPECT_EQ(list.size(), 3u);
  EXPECT_EQ(list.bytes(), a.footprint() + b.footprint() + c.footprint());
  list.remove(b);
  EXPECT_EQ(list.pop_back(), &a);
  EXPECT_EQ(list.bytes(), c.footprint());
  EXPECT_EQ(list.pop_back(), &c);
  EXPECT_EQ(list.pop_back(), nullptr);
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.bytes(), 0u);
}

TEST_F(EntryListTest, ReplaceKeepsThePlace) {
  for (int replaced = 0; replaced < 3; ++replaced) {
    EntryList list;
    Entry* entries[] = {&make(), &make(), &make()};
    for (Entry* entry : entries) list.push_front(*entry);
    Entry& other = make(500);
    list.replace(*entries[replaced], other);
    entries[replaced] = &other;
    EXPECT_EQ(list.bytes(), entries[0]->footprint() + entries[1]->footprint() + entries[2]->footprint());
    for (Entry* entry : entries) EXPECT_EQ(list.pop_back(), entry);
    EXPECT_TRUE(list.empty());
  }
}

}  // namespace
}  // namespace freshet::memory
