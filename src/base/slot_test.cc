// Slots: Redis Cluster's checksum and hashtag rule, and how cells divide the slots.
#include "base/slot.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace freshet::base {
namespace {

TEST(Crc16, MatchesTheSpecification) {
  EXPECT_EQ(crc16("123456789"), 0x31c3);  // The check value that the cluster specification gives.
  EXPECT_EQ(crc16(""), 0);
}

// As `CLUSTER KEYSLOT` of Redis 7 answers.
TEST(SlotOf, MatchesRedis) {
  EXPECT_EQ(slot_of("foo"), 12182);
  EXPECT_EQ(slot_of("bar"), 5061);
  EXPECT_EQ(slot_of("{user1000}.following"), slot_of("{user1000}.followers"));
  EXPECT_EQ(slot_of("{user1000}.following"), slot_of("user1000"));
}

TEST(Hashtag, IsTheFirstNonEmptyOne) {
  EXPECT_EQ(hashtag_of("a{b}c"), "b");
  EXPECT_EQ(hashtag_of("foo{}{bar}"), "foo{}{bar}");
  EXPECT_EQ(hashtag_of("foo{{bar}}zap"), "{bar");
  EXPECT_EQ(hashtag_of("foo{bar}{zap}"), "bar");
  EXPECT_EQ(hashtag_of("{open"), "{open");
  EXPECT_EQ(hashtag_of("}{"), "}{");
}

RC_GTEST_PROP(SlotOf, StaysInRange, (const std::string& key)) { RC_ASSERT(slot_of(key) < kSlots); }

TEST(Cells, DivideTheSlots) {
  int covered = 0;
  for (int cell = 0; cell < kCells; ++cell) {
    const auto range = range_of_cell(cell);
    EXPECT_EQ(range.first, covered);
    EXPECT_EQ(range.size(), kSlotsPerCell);
    EXPECT_EQ(cell_of(range.first), cell);
    EXPECT_EQ(cell_of(range.last), cell);
    covered += range.size();
  }
  EXPECT_EQ(covered, kSlots);
}

RC_GTEST_PROP(SlotRange, OverlapsWhereItContains, ()) {
  const auto slot = rc::gen::map(rc::gen::inRange(0, 40), [](int n) { return static_cast<Slot>(n); });
  const auto range = [&] {
    const Slot a = *slot, b = *slot;
    return SlotRange{std::min(a, b), std::max(a, b)};
  };
  const SlotRange one = range(), other = range();
  bool shared = false;
  for (Slot s = 0; s < 40; ++s) shared = shared || (one.contains(s) && other.contains(s));
  RC_ASSERT(one.overlaps(other) == shared);
}

}  // namespace
}  // namespace freshet::base
