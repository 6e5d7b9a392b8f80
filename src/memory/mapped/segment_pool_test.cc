// Tests of memory/mapped/segment_pool.h.
#include "memory/mapped/segment_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include "base/random.h"

namespace freshet::memory {
namespace {

TEST(SegmentPool, GivesDistinctAlignedPiecesAndTakesHugePagesBack) {
  for (const std::size_t bytes : {SegmentPool::kSegmentBytesMin, SegmentPool::kSegmentBytesMax}) {
    SegmentPool pool(bytes);
    const std::size_t many = 3 * kRegionBytes / bytes;
    std::set<char*> taken;
    for (std::size_t i = 0; i < many; ++i) {
      char* const segment = pool.take();
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(segment) % bytes, 0u);
      EXPECT_TRUE(taken.insert(segment).second);
      std::memset(segment, 'x', bytes);
    }
    EXPECT_EQ(pool.bytes(), 3 * kRegionBytes);
    for (char* const segment : taken) pool.give_back(segment);
    EXPECT_EQ(pool.bytes(), kRegionBytes) << "one is kept";
  }
}

TEST(SegmentPool, ReusesBeforeItAsks) {
  SegmentPool pool(64 << 10);
  base::Random random(5);
  std::vector<char*> taken;
  std::size_t most = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (taken.size() < 40 || (random.chance(0.5) && taken.size() < 200)) {
      taken.push_back(pool.take());
    } else {
      std::swap(taken[random.below(taken.size())], taken.back());
      pool.give_back(taken.back());
      taken.pop_back();
    }
    most = std::max(most, taken.size());
    ASSERT_LE(pool.bytes(), (most * (64 << 10) / kRegionBytes + 2) * kRegionBytes);
  }
  for (char* const segment : taken) pool.give_back(segment);
}

}  // namespace
}  // namespace freshet::memory
