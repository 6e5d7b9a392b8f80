// memory/mapped/block_pool.h from several threads: blocks are made by one and given back by another, and no byte is anyone
// else's.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/spin_lock.h"
#include "memory/mapped/block_pool.h"

namespace freshet::memory {
namespace {

constexpr std::uint64_t kSeed = 20240811;
constexpr int kThreads = 4;
constexpr int kSteps = 60'000;
constexpr std::size_t kPlaces = 512;

struct Block {
  unsigned char* begin = nullptr;
  std::size_t bytes = 0;
  unsigned char mark = 0;
};

// Where threads exchange blocks: each puts its own in and takes out whosever was there.
struct Exchange {
  base::SpinLock lock;
  std::array<Block, kPlaces> places;

  Block swap(std::size_t place, Block block) {
    std::lock_guard hold(lock);
    return std::exchange(places[place], block);
  }
};

std::size_t draw_size(base::Random& random) {
  switch (random.below(100)) {
    case 0: return kPageBytes * (1 + random.below(4));
    case 1: return 1 + random.below(40'000);
    default: return 64 + random.below(400);  // Few classes, so that threads meet, and few blocks, so that pages come and go.
  }
}

bool is_whole(const Block& block) {
  for (std::size_t i = 0; i < block.bytes; ++i) {
    if (block.begin[i] != block.mark) return false;
  }
  return true;
}

int run(BlockPool& pool, Exchange& exchange, std::uint64_t seed) {
  base::Random random(seed);
  int faults = 0;
  for (int i = 0; i < kSteps; ++i) {
    Block fresh;
    if (random.below(8) < static_cast<std::uint64_t>(i) / 1'000 % 8) {  // In waves, from all to few.
      fresh.bytes = draw_size(random);
      fresh.begin = static_cast<unsigned char*>(pool.allocate(fresh.bytes));
      fresh.mark = static_cast<unsigned char>(random());
      std::memset(fresh.begin, fresh.mark, fresh.bytes);
    }
    const Block taken = exchange.swap(random.below(kPlaces), fresh);
    if (!taken.begin) continue;
    faults += !is_whole(taken);
    pool.free(taken.begin, taken.bytes);
  }
  return faults;
}

TEST(BlockPoolConcurrency, BlocksBelongToOneAtATime) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  BlockPool pool;
  Exchange exchange;
  std::atomic<int> faults{0};
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t id = 0; id < kThreads; ++id) {
      threads.emplace_back([&, id] { faults += run(pool, exchange, kSeed + id); });
    }
  }
  EXPECT_EQ(faults, 0);
  for (const Block& block : exchange.places) {
    if (block.begin) pool.free(block.begin, block.bytes);
  }
  EXPECT_EQ(pool.mapped_bytes(), kRegionBytes) << "everything came back, and one region is kept";
}

}  // namespace
}  // namespace freshet::memory
