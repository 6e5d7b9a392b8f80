// GuardTable against an array with one token a slot.
#include "storage/embedded/guard_table.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

namespace freshet::storage::embedded {
namespace {

using base::Slot;
using base::SlotRange;

TEST(GuardTable, no_slot_is_guarded_at_first_and_nil_never_matches) {
  const GuardTable table;
  for (const Slot slot : {0, 1, 8191, base::kSlots - 1}) {
    EXPECT_TRUE(table.token_of(slot).is_nil());
    EXPECT_FALSE(table.allows(slot, {}));
    EXPECT_FALSE(table.allows(slot, base::UniqueId::make()));
  }
}

TEST(GuardTable, a_range_in_the_middle_splits_the_run_around_it) {
  GuardTable table;
  const auto outer = base::UniqueId::make();
  const auto inner = base::UniqueId::make();
  table.set({0, base::kSlots - 1}, outer);
  table.set({100, 199}, inner);
  EXPECT_TRUE(table.allows(99, outer));
  EXPECT_TRUE(table.allows(100, inner));
  EXPECT_TRUE(table.allows(199, inner));
  EXPECT_TRUE(table.allows(200, outer));
  EXPECT_FALSE(table.allows(150, outer));
  EXPECT_EQ(table.runs(), 3u);
}

TEST(GuardTable, neighbours_with_one_token_become_one_run) {
  GuardTable table;
  const auto token = base::UniqueId::make();
  table.set({0, 99}, token);
  table.set({200, base::kSlots - 1}, token);
  EXPECT_EQ(table.runs(), 3u);
  table.set({100, 199}, token);
  EXPECT_EQ(table.runs(), 1u);
}

TEST(GuardTable, the_last_slot_alone) {
  GuardTable table;
  const auto token = base::UniqueId::make();
  table.set({base::kSlots - 1, base::kSlots - 1}, token);
  EXPECT_TRUE(table.allows(base::kSlots - 1, token));
  EXPECT_FALSE(table.allows(base::kSlots - 2, token));
}

// A slot, with the edges and a small neighbourhood more often than chance would have them, so that ranges touch.
rc::Gen<Slot> any_slot() {
  return rc::gen::oneOf(rc::gen::inRange<Slot>(0, base::kSlots), rc::gen::inRange<Slot>(0, 12),
                        rc::gen::inRange<Slot>(base::kSlots - 12, base::kSlots));
}

RC_GTEST_PROP(GuardTable, agrees_with_one_token_a_slot, ()) {
  GuardTable table;
  std::vector<base::UniqueId> model(base::kSlots);
  const auto changes = *rc::gen::container<std::vector<std::pair<Slot, Slot>>>(rc::gen::pair(any_slot(), any_slot()));
  const auto tokens = *rc::gen::container<std::vector<int>>(changes.size(), rc::gen::inRange(0, 4));
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto [first, last] = std::minmax(changes[i].first, changes[i].second);
    const base::UniqueId token{0, static_cast<std::uint64_t>(tokens[i])};
    table.set({first, last}, token);
    std::fill(model.begin() + first, model.begin() + last + 1, token);
  }
  std::size_t runs = 1;
  for (int slot = 0; slot < base::kSlots; ++slot) {
    RC_ASSERT(table.token_of(static_cast<Slot>(slot)) == model[static_cast<std::size_t>(slot)]);
    if (slot > 0 && model[static_cast<std::size_t>(slot)] != model[static_cast<std::size_t>(slot - 1)]) ++runs;
  }
  RC_ASSERT(table.runs() == runs);
}

}  // namespace
}  // namespace freshet::storage::embedded
