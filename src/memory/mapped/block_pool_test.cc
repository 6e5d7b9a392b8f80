// Tests of memory/mapped/block_pool.h by one thread: alignment, bytes that stay as written, memory that comes back, and how
// much is mapped beyond what is counted. block_pool_concurrency_test.cc has the threads.
#include "memory/mapped/block_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)
#include <malloc.h>
#define FRESHET_GLIBC_MALLOC 1
#endif

#include "base/random.h"

namespace freshet::memory {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

// Blocks in the order in which they came, each filled with a byte of its own, and the sum of their footprints.
class Held {
 public:
  explicit Held(BlockPool& pool) : pool_(pool) {}
  ~Held() {
    while (!empty()) free(0);
  }

  void allocate(std::size_t bytes) {
    auto* const block = static_cast<unsigned char*>(pool_.allocate(bytes));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % kBlockUnitBytes, 0u) << bytes;
    blocks_.push_back({block, bytes, ++mark_});
    std::memset(block, mark_, bytes);
    footprint_ += BlockPool::footprint_of(bytes);
  }
  void free(std::size_t place) {
    std::swap(blocks_[place], blocks_.front());
    const Block block = blocks_.front();
    blocks_.pop_front();
    for (const std::size_t at : {std::size_t{0}, block.bytes / 2, block.bytes - 1}) ASSERT_EQ(block.begin[at], block.mark);
    pool_.free(block.begin, block.bytes);
    footprint_ -= BlockPool::footprint_of(block.bytes);
  }
  void free_oldest() { free(0); }
  bool empty() const { return blocks_.empty(); }
  std::size_t size() const { return blocks_.size(); }
  std::size_t footprint() const { return footprint_; }

 private:
  struct Block {
    unsigned char* begin;
    std::size_t bytes;
    unsigned char mark;
  };
  BlockPool& pool_;
  std::deque<Block> blocks_;
  std::size_t footprint_ = 0;
  unsigned char mark_ = 0;
};

TEST(BlockClasses, AreCloseTogetherAndFitTheirRequests) {
  std::size_t earlier = kBlockBytesMin;
  for (std::size_t i = 0; i < kBlockClasses.count; ++i) {
    const BlockClass& one = kBlockClasses.all[i];
    EXPECT_EQ(one.bytes % kBlockUnitBytes, 0u);
    EXPECT_LE(std::size_t{one.bytes} * one.blocks_a_page, kPageBytes);
    EXPECT_LE(std::size_t{one.bytes} * one.blocks_first_page, kPageBytes - kRegionHeaderBytes);
    EXPECT_LE(one.blocks_a_page, kBlocksAPageMax);
    EXPECT_GE(one.footprint, one.bytes);
    // Apart by sixteen bytes, by an eighth, or by one block less to a page.
    const std::size_t fewer = earlier * (one.blocks_a_page + std::size_t{1}) / one.blocks_a_page;
    EXPECT_LE(one.bytes, std::max(fewer, earlier + earlier / 8) + kBlockUnitBytes);
    earlier = one.bytes;
  }
  for (std::size_t bytes = 0; bytes <= kBlockBytesMax; ++bytes) {
    const std::uint8_t chosen = block_class_of(bytes);
    if (chosen == BlockClasses::kNone) {
      EXPECT_GT(bytes, kThriftyBytesMin);
    } else {
      EXPECT_GE(kBlockClasses.all[chosen].bytes, bytes);
    }
    if (std::has_single_bit(bytes) && bytes >= kBlockBytesMin) {
      EXPECT_EQ(kBlockClasses.all[chosen].bytes, bytes);
    }
  }
}

TEST(BlockPool, EverySizeHoldsItsBytesAndGoesBack) {
  BlockPool pool;
  {
    Held held(pool);
    for (std::size_t bytes = 1; bytes < 40'000; bytes += 37) held.allocate(bytes);
    for (std::size_t pages = 1; pages <= kPagesARegion; ++pages) {
      held.allocate(pages * kPageBytes);
      held.allocate(pages * kPageBytes + 1);
    }
    for (std::size_t regions = 1; regions < 4; ++regions) held.allocate(regions * kRegionBytes - 1);
    EXPECT_GT(pool.mapped_bytes(), 10 * kMiB);
  }
  EXPECT_EQ(pool.mapped_bytes(), kRegionBytes) << "one region is kept";
}

TEST(BlockPool, PowersOfTwoAreAlignedForTheIndex) {
  BlockPool pool;
  for (std::size_t bytes = 64; bytes <= 4 * kMiB; bytes *= 2) {
    std::vector<void*> blocks;
    for (int i = 0; i < 3; ++i) blocks.push_back(pool.allocate(bytes));
    for (void* block : blocks) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 64, 0u) << bytes;
      pool.free(block, bytes);
    }
  }
}

TEST(BlockPool, FootprintIsWhatFullRegionsCost) {
  for (const std::size_t bytes : {64u, 184u, 1'000u, 5'000u, 16'384u, 32'768u, 65'536u}) {
    BlockPool pool;
    Held held(pool);
    while (pool.mapped_bytes() <= 4 * kRegionBytes) held.allocate(bytes);
    EXPECT_LE(4 * kRegionBytes, held.footprint() + 3 * kPageBytes) << bytes << ": counts less than it costs";
    EXPECT_LE(held.footprint(), 4 * kRegionBytes + 5 * kPageBytes) << bytes << ": counts more than it costs";
  }
}

#if defined(FRESHET_GLIBC_MALLOC)
TEST(BlockPool, FootprintOfWhatTheSystemGivesAgreesWithIt) {
  int seen = 0;
  for (std::size_t bytes = 8'192; bytes < 120'000; bytes += 77) {
    BlockPool pool;
    void* const block = pool.allocate(bytes);
    if (pool.mapped_bytes() == 0) {
      const std::size_t chunk = malloc_usable_size(block) + sizeof(std::size_t);
      // The allocator may give a remainder too small to stand alone along with the block.
      EXPECT_GE(chunk, BlockPool::footprint_of(bytes)) << bytes;
      EXPECT_LE(chunk, BlockPool::footprint_of(bytes) + 16) << bytes;
      ++seen;
    }
    pool.free(block, bytes);
  }
  EXPECT_GT(seen, 0);
}
#endif

TEST(BlockPool, LittleUseMapsLittle) {
  BlockPool pool;
  Held held(pool);
  held.allocate(100);
  EXPECT_EQ(pool.mapped_bytes(), kRegionBytes);
  base::Random random(1);
  while (held.footprint() < kMiB) held.allocate(64 + random.below(1'000));
  // The megabyte, and at most a page for each of the classes.
  EXPECT_LE(pool.mapped_bytes(), 2 * kRegionBytes);
}

TEST(BlockPool, GrowthMapsAtMostAPageAClassAndARegionMore) {
  BlockPool pool;
  Held held(pool);
  base::Random random(2);
  for (int i = 0; i < 200'000; ++i) {
    held.allocate(64 + random.below(2'000));
    if (i % 1'000 == 0) {
      EXPECT_LE(pool.mapped_bytes(), held.footprint() + kBlockClasses.count * kPageBytes + kRegionBytes);
    }
  }
}

TEST(BlockPool, FreeMemoryServesOtherSizes) {
  BlockPool pool;
  Held held(pool);
  for (const std::size_t bytes : {100u, 3'000u, 64u, 20'000u, 700u, 65'536u, 300u}) {
    while (held.footprint() < 16 * kMiB) held.allocate(bytes);
    EXPECT_LE(pool.mapped_bytes(), 18 * kMiB + kRegionBytes) << bytes;
    while (!held.empty()) held.free_oldest();
    EXPECT_EQ(pool.mapped_bytes(), kRegionBytes) << bytes;
  }
}

// A cache of fixed capacity whose objects' sizes change: what leaves is the oldest, or whoever.
std::size_t mapped_at_most(double chance_of_oldest, std::size_t capacity_bytes, int steps) {
  BlockPool pool;
  Held held(pool);
  base::Random random(3);
  std::size_t most = 0;
  for (int i = 0; i < steps; ++i) {
    const std::size_t scale = std::size_t{100} << (i / (steps / 12)) % 4;  // From one size to the next and back again.
    const std::size_t bytes = scale + random.below(scale);
    while (held.footprint() + BlockPool::footprint_of(bytes) > capacity_bytes) {
      held.free(random.chance(chance_of_oldest) ? 0 : random.below(held.size()));
    }
    held.allocate(bytes);
    most = std::max(most, pool.mapped_bytes());
  }
  return most;
}

TEST(BlockPool, ChangingSizesDoNotMakeMemoryDecay) {
  constexpr std::size_t kCapacity = 16 * kMiB;
  constexpr int kSteps = 1'200'000;
  const std::size_t in_order = mapped_at_most(1, kCapacity, kSteps);
  const std::size_t mixed = mapped_at_most(0.9, kCapacity, kSteps);
  const std::size_t at_random = mapped_at_most(0, kCapacity, kSteps);
  RecordProperty("mapped_mib_in_order", static_cast<int>(in_order / kMiB));
  RecordProperty("mapped_mib_mixed", static_cast<int>(mixed / kMiB));
  RecordProperty("mapped_mib_at_random", static_cast<int>(at_random / kMiB));
  // A page for every class and two regions, whatever the capacity; and a factor, which is what blocks that stay hold up.
  const std::size_t any = kBlockClasses.count * kPageBytes + 2 * kRegionBytes;
  EXPECT_LE(in_order, kCapacity * 5 / 4 + any);
  EXPECT_LE(mixed, kCapacity * 9 / 4 + any);
  EXPECT_LE(at_random, kCapacity * 3 + any);
}

#if defined(__SANITIZE_ADDRESS__)
TEST(BlockPoolDeathTest, UseAfterFreeAndOverflowAreFound) {
  BlockPool pool;
  auto* const block = static_cast<volatile char*>(pool.allocate(100));
  EXPECT_DEATH(block[100] = 1, "use-after-poison");
  void* const other = pool.allocate(100);  // Keeps the page.
  pool.free(const_cast<char*>(block), 100);
  EXPECT_DEATH(block[0] = 1, "use-after-poison");
  pool.free(other, 100);
}
#endif

}  // namespace
}  // namespace freshet::memory
