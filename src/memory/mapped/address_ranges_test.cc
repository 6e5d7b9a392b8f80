// Tests of memory/mapped/address_ranges.h: what was mapped stays so, and is used again.
#include "memory/mapped/address_ranges.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "memory/mapped/block_classes.h"

namespace freshet::memory {
namespace {

TEST(AddressRanges, WhatWentBackIsReadableAndEmpty) {
  AddressRanges ranges;
  auto* const memory = static_cast<volatile unsigned char*>(ranges.take(kRegionBytes));
  memory[0] = 1;
  memory[kRegionBytes - 1] = 1;
  ranges.give_back(const_cast<unsigned char*>(memory), kRegionBytes);
  EXPECT_EQ(memory[0], 0);
  EXPECT_EQ(memory[kRegionBytes - 1], 0);
}

TEST(AddressRanges, AreUsedAgainWholeAndInParts) {
  AddressRanges ranges;
  auto* const four = static_cast<std::byte*>(ranges.take(4 * kRegionBytes));
  ASSERT_EQ(reinterpret_cast<std::uintptr_t>(four) % kRegionBytes, 0u);
  ranges.give_back(four, 4 * kRegionBytes);
  std::vector<std::byte*> ones;
  for (int i = 0; i < 4; ++i) {
    ones.push_back(static_cast<std::byte*>(ranges.take(kRegionBytes)));
    EXPECT_EQ(ones.back(), four + static_cast<std::size_t>(i) * kRegionBytes);
    std::memset(ones.back(), i, kRegionBytes);
  }
  for (const int i : {2, 0, 3, 1}) ranges.give_back(ones[static_cast<std::size_t>(i)], kRegionBytes);
  EXPECT_EQ(ranges.take(4 * kRegionBytes), four) << "neighbours are joined, whatever their order";
  ranges.give_back(four, 4 * kRegionBytes);
}

}  // namespace
}  // namespace freshet::memory
