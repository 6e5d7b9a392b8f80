// What the candidates' policies keep beside each object is what a full table says.
#include "eviction/adaptive/candidates.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "base/slot.h"
#include "memory/table.h"

namespace freshet::eviction::adaptive {
namespace {

TEST(Candidates, PolicysBytesAreAsAFullTableCountsThem) {
  for (const Candidate& candidate : candidates()) {
    memory::TableOptions options;
    options.capacity_bytes = 16 << 20;
    options.shards = 4;
    options.policy = candidate.policy->make;
    memory::Table table(std::move(options));
    base::Random random(20261129);
    for (int i = 0; i < 500'000; ++i) {
      const std::string key = "key" + std::to_string(random.below(300'000));
      const auto hash = base::hash_of(key);
      if (!table.pin(key, hash)) table.insert({.key = key, .hash = hash, .value = std::string(random.below(200), 'v')});
    }
    const auto stats = table.stats();
    ASSERT_GT(stats.evicted, 50'000u) << candidate.policy->name;
    const double beside = static_cast<double>(stats.bytes - stats.entry_bytes - stats.index_bytes) /
                          static_cast<double>(stats.entries);
    // Ghosts grow by doubling, arrays by an eighth: how full they are is chance.
    EXPECT_NEAR(beside, candidate.shadow.beside_bytes, 8 + 0.25 * beside) << candidate.policy->name;
  }
}

TEST(Candidates, AreAmongTheTablesPolicies) {
  EXPECT_EQ(candidates().front().policy, table_policy(kDefaultPolicy));
  for (const Candidate& candidate : candidates()) EXPECT_TRUE(is_candidate(*candidate.policy));
  EXPECT_FALSE(is_candidate(*table_policy("fifo")));
}

}  // namespace
}  // namespace freshet::eviction::adaptive
