// Operations in flight: what overlaps, what a group of writes leaves to cache, and a property test over random
// interleavings.
#include "consistency/operations.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace freshet::consistency {
namespace {

ownership::SliceRef slice(std::uint64_t period = 1) {
  return new ownership::SliceHandle({0, base::kSlots - 1}, period, base::kForever);
}

GuardRef guard_of(const ownership::SliceRef& slice) {
  return GuardRef(new GuardHandle({0, base::kSlots - 1}, storage::Token::make(), slice));
}

storage::KeyState state_at(storage::Version version) {
  storage::KeyState state;
  state.present = true;
  state.version = version;
  return state;
}

TEST(Operations, WriteOverlapsTheReadsInFlight) {
  KeyOperations key;
  auto fill = std::make_shared<Fill>();
  begin_fill(key, fill);
  EXPECT_FALSE(fill->overlapped);
  WritePart write{"k", 0, 0, guard_of(slice()), false};
  begin_write(key, write);
  EXPECT_TRUE(fill->overlapped);
  EXPECT_FALSE(write.overlapped);
}

TEST(Operations, ReadThatBeginsDuringAWriteIsOverlapped) {
  KeyOperations key;
  WritePart write{"k", 0, 0, guard_of(slice()), false};
  begin_write(key, write);
  auto fill = std::make_shared<Fill>();
  begin_fill(key, fill);
  EXPECT_TRUE(fill->overlapped);
}

TEST(Operations, FillMayBeJoinedOnlyUnderAGoodGuardAndUnoverlapped) {
  const auto owned = slice();
  Fill fill;
  EXPECT_FALSE(fill.may_be_joined(base::now())) << "no guard";
  fill.guard = guard_of(owned);
  EXPECT_TRUE(fill.may_be_joined(base::now()));
  fill.overlapped = true;
  EXPECT_FALSE(fill.may_be_joined(base::now()));
  fill.overlapped = false;
  owned->revoke();
  EXPECT_FALSE(fill.may_be_joined(base::now()));
}

TEST(Operations, LoneWriteLeavesItsStateToCache) {
  KeyOperations key;
  const auto owned = slice();
  WritePart write{"k", 0, 0, guard_of(owned), false};
  begin_write(key, write);
  const auto state = state_at(7);
  const auto settled = end_write(key, write, &state, true);
  ASSERT_TRUE(settled.cache);
  EXPECT_EQ(settled.cache->version, 7u);
  EXPECT_EQ(settled.slice, owned);
  EXPECT_TRUE(key.idle());
}

TEST(Operations, GroupAcrossOwnershipPeriodsLeavesNothing) {
  KeyOperations key;
  WritePart first{"k", 0, 0, guard_of(slice(1)), false};
  WritePart second{"k", 0, 0, guard_of(slice(2)), false};
  begin_write(key, first);
  begin_write(key, second);
  const auto one = state_at(1), two = state_at(2);
  EXPECT_FALSE(end_write(key, first, &one, true).cache);
  EXPECT_FALSE(end_write(key, second, &two, true).cache);
}

TEST(Operations, GroupWithAnUnknownOutcomeLeavesNothingAndTheNextBeginsAfresh) {
  KeyOperations key;
  const auto owned = slice();
  WritePart lost{"k", 0, 0, guard_of(owned), false};
  WritePart known{"k", 0, 0, guard_of(owned), false};
  begin_write(key, lost);
  begin_write(key, known);
  const auto state = state_at(3);
  EXPECT_FALSE(end_write(key, known, &state, true).cache);
  EXPECT_FALSE(end_write(key, lost, nullptr, false).cache);
  WritePart next{"k", 0, 0, guard_of(owned), false};
  begin_write(key, next);
  EXPECT_TRUE(end_write(key, next, &state, true).cache);
}

// Random writes of one key begin and end in any order, storage applying each at some moment in between: whatever is left to
// cache is what storage holds at that moment.
RC_GTEST_PROP(OperationsProperty, WhatAGroupLeavesIsWhatStorageHolds, ()) {
  const auto owned = slice();
  KeyOperations key;
  struct Running {
    WritePart part;
    storage::Version applied = 0;
  };
  std::vector<std::unique_ptr<Running>> running;
  storage::Version stored = 0;
  const auto steps = *rc::gen::container<std::vector<std::pair<int, unsigned>>>(
      rc::gen::pair(rc::gen::inRange(0, 3), rc::gen::arbitrary<unsigned>()));
  for (const auto& [action, which] : steps) {
    if (action == 0 || running.empty()) {
      running.push_back(std::make_unique<Running>(Running{{"k", 0, 0, guard_of(owned), false}, 0}));
      begin_write(key, running.back()->part);
      continue;
    }
    const auto place = running.begin() + static_cast<std::ptrdiff_t>(which % running.size());
    if ((*place)->applied == 0) (*place)->applied = ++stored;
    if (action == 1) continue;
    const auto state = state_at((*place)->applied);
    const auto settled = end_write(key, (*place)->part, &state, true);
    running.erase(place);
    RC_ASSERT(settled.cache.has_value() == running.empty());
    if (settled.cache) RC_ASSERT(settled.cache->version == stored);
  }
}

}  // namespace
}  // namespace freshet::consistency
