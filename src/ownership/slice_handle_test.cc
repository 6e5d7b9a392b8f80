// Slice handles: a period that has ended never comes back.
#include "ownership/slice_handle.h"

#include <gtest/gtest.h>

namespace freshet::ownership {
namespace {

constexpr base::SlotRange kAll{0, base::kSlots - 1};

TEST(SliceHandle, IsAssignedUntilItsDeadline) {
  SliceRef handle = new SliceHandle(kAll, 1, 100);
  EXPECT_TRUE(handle->is_still_assigned(99));
  EXPECT_FALSE(handle->is_still_assigned(100));
}

TEST(SliceHandle, ExtensionMovesTheDeadlineForwardOnly) {
  SliceRef handle = new SliceHandle(kAll, 1, 100);
  EXPECT_TRUE(handle->extend(200, 50));
  EXPECT_TRUE(handle->is_still_assigned(199));
  EXPECT_TRUE(handle->extend(150, 60)) << "an older renewal, answered late, takes nothing away";
  EXPECT_TRUE(handle->is_still_assigned(199));
}

TEST(SliceHandle, LateExtensionDoesNotReviveIt) {
  SliceRef handle = new SliceHandle(kAll, 1, 100);
  EXPECT_FALSE(handle->extend(200, 100));
  EXPECT_FALSE(handle->is_still_assigned(100));
}

TEST(SliceHandle, RevocationIsForGood) {
  SliceRef handle = new SliceHandle(kAll, 1, base::kForever);
  handle->revoke();
  EXPECT_FALSE(handle->is_still_assigned(0));
  EXPECT_FALSE(handle->extend(base::kForever, 0));
}

}  // namespace
}  // namespace freshet::ownership
