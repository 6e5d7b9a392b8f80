// SoloOwnership: everything is owned at once, and given up once.
#include "ownership/solo.h"

#include <gtest/gtest.h>

namespace freshet::ownership {
namespace {

TEST(SoloOwnership, owns_every_slot_until_it_is_released) {
  SoloOwnership solo;
  std::vector<AssignmentChange> changes;
  solo.listen([&](const AssignmentChange& change) { changes.push_back(change); });
  ASSERT_EQ(changes.size(), 1u);
  ASSERT_EQ(changes[0].added.size(), 1u);
  const auto handle = changes[0].added[0];
  EXPECT_EQ(handle->range(), (base::SlotRange{0, base::kSlots - 1}));
  EXPECT_TRUE(handle->is_still_assigned(base::now()));
  EXPECT_EQ(solo.status().period, handle->period());
  solo.release();
  EXPECT_FALSE(handle->is_still_assigned(base::now()));
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[1].removed, std::vector<SliceRef>{handle});
  EXPECT_EQ(solo.status().period, 0u);
  solo.release();
  EXPECT_EQ(changes.size(), 2u);
}

TEST(SoloOwnership, without_a_listener_nothing_is_called) {
  SoloOwnership solo;
  int calls = 0;
  solo.listen([&](const AssignmentChange&) { ++calls; });
  solo.listen({});
  solo.release();
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace freshet::ownership
