// What the process grows by is what the table may hold, whatever the sizes: at most a twentieth more, and a constant.
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/resident.h"
#include "base/slot.h"
#include "memory/settling_fifo.h"
#include "memory/table.h"

namespace freshet::memory {
namespace {

constexpr std::uint64_t kSeed = 20261130;
constexpr std::size_t kCapacityBytes = std::size_t{128} << 20;
constexpr unsigned kShards = 32;
// Partly used huge pages of segments, blocks and the addresses' ledger, and what one shard's index takes while it grows.
constexpr std::size_t kConstantBytes = std::size_t{12} << 20;
constexpr std::size_t kTimesFilled = 3;

// Every value of that size; or, with 0, of sizes from a byte to a hundred thousand, and one in five of the keys is erased.
void fill(Table& table, std::size_t value_bytes) {
  base::Random random(kSeed);
  const std::string text(100'000, 'v');
  std::size_t written = 0;
  for (std::uint64_t i = 0; written < kTimesFilled * kCapacityBytes; ++i) {
    const std::string key = "key:" + std::to_string(i);
    const std::size_t bytes = value_bytes != 0 ? value_bytes : 1 + random.below(std::uint64_t{10} << random.below(14));
    const std::string_view value = std::string_view(text).substr(0, bytes);
    table.insert({.key = key, .hash = base::hash_of(key), .value = value});
    written += Table::bytes_of(key.size(), value.size());
    if (value_bytes != 0 || !random.chance(0.2)) continue;
    const std::string gone = "key:" + std::to_string(random.below(i + 1));
    table.erase(gone, base::hash_of(gone));
  }
}

TEST(TableMemory, TheProcessGrowsByWhatTheTableMayHold) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer keeps memory of its own";
#endif
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  for (const std::size_t value_bytes : {10, 300, 3'000, 9'000, 100'000, 0}) {
    SCOPED_TRACE(testing::Message() << "values of " << value_bytes << " bytes");
    const std::size_t before = base::resident_bytes();
    Table table(settling_table(kCapacityBytes, kShards));
    fill(table, value_bytes);
    const std::size_t grown = base::resident_bytes() - before;
    const TableStats stats = table.stats();
    EXPECT_LE(stats.bytes, kCapacityBytes);
    EXPECT_LE(stats.entry_bytes + stats.index_bytes + stats.policy_bytes, stats.bytes);
    EXPECT_GT(stats.evicted, 0u);
    EXPECT_LE(grown, kCapacityBytes + kCapacityBytes / 20 + kConstantBytes) << grown;
    EXPECT_GT(stats.entry_bytes, kCapacityBytes / 100 * 75) << "most of it is entries";
  }
}

}  // namespace
}  // namespace freshet::memory
