// Tests of eviction/ghost_queue.h against a plain queue.
#include "eviction/ghost_queue.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <deque>

#include "base/random.h"

namespace freshet::eviction {
namespace {

TEST(GhostQueue, FirstInFirstOut) {
  GhostQueue ghosts;
  EXPECT_FALSE(ghosts.take(1));
  for (std::uint32_t i = 1; i <= 5; ++i) ghosts.push(i, 3);
  EXPECT_EQ(ghosts.size(), 3u);
  EXPECT_FALSE(ghosts.take(2));
  EXPECT_TRUE(ghosts.take(3));
  EXPECT_FALSE(ghosts.take(3)) << "whoever comes back is taken out";
  EXPECT_EQ(ghosts.size(), 2u);
}

TEST(GhostQueue, MemoryFollowsTheLimit) {
  GhostQueue ghosts;
  for (std::uint32_t i = 0; i < 100'000; ++i) ghosts.push(i * 2654435761u, 10'000);
  EXPECT_LE(ghosts.bytes(), 16'384u * 12);
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    ghosts.push(i, 1'000);
    ghosts.take(i);  // Leaves a hole every time.
  }
  EXPECT_LE(ghosts.bytes(), 8 * 1'000u * 12);
  ghosts.trim(0);
  EXPECT_EQ(ghosts.bytes(), 0u);
}

// What the queue should be: fingerprints in order.
class Model {
 public:
  void push(std::uint32_t fingerprint, std::size_t limit) {
    take(fingerprint);
    queue_.push_back(fingerprint);
    trim(limit);
  }
  bool take(std::uint32_t fingerprint) { return std::erase(queue_, fingerprint) > 0; }
  void trim(std::size_t limit) {
    while (queue_.size() > limit) queue_.pop_front();
  }
  std::size_t size() const { return queue_.size(); }

 private:
  std::deque<std::uint32_t> queue_;
};

// `stride` spreads the fingerprints: with a large power of two they all have the same home.
void against_the_model(std::uint32_t stride) {
  base::Random random(*rc::gen::arbitrary<std::uint64_t>());
  GhostQueue ghosts;
  Model model;
  std::size_t limit = random.below(200);
  for (int step = 0; step < 2'000; ++step) {
    const auto fingerprint = static_cast<std::uint32_t>(random.below(300)) * stride;
    if (random.chance(0.6)) {
      ghosts.push(fingerprint, limit);
      model.push(fingerprint, limit);
    } else {
      RC_ASSERT(ghosts.take(fingerprint) == model.take(fingerprint));
    }
    if (random.chance(0.005)) {
      limit = random.below(200);
      ghosts.trim(limit);
      model.trim(limit);
    }
    RC_ASSERT(ghosts.size() == model.size());
  }
}

TEST(GhostQueue, AgreesWithAPlainQueue) {
  EXPECT_TRUE(rc::check("spread", [] { against_the_model(2654435761u); }));
  EXPECT_TRUE(rc::check("colliding", [] { against_the_model(1u << 20); }));
}

}  // namespace
}  // namespace freshet::eviction
