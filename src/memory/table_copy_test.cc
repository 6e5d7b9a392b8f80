// Tests of memory::Table::copy: hits without a lock. What is copied, when the lock is taken after all, and that a shard that
// changes under the reader's eyes does not fool it. The policy settles every entry at once and counts the hits that it is
// told of, which are those with the lock. memory/table_copy_concurrency_test.cc has the threads.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/slot.h"
#include "memory/mapped/block_pool.h"
#include "memory/settling_fifo.h"
#include "memory/table.h"

namespace freshet::memory {
namespace {

struct Tag final : Witness {
  explicit Tag(std::uint64_t tag) : number(tag) {}
  // Of a witness that may have ended.
  FRESHET_UNLOCKED_READ static std::uint64_t number_of(const Witness* witness) {
    return peek(static_cast<const Tag*>(witness)->number);
  }
  const std::uint64_t number;
};

class TableCopy : public testing::Test {
 protected:
  bool insert(std::string_view key, std::string_view value, std::uint64_t tag = 1, bool present = true) {
    return table_.insert({.key = key,
                          .hash = base::hash_of(key),
                          .present = present,
                          .value = value,
                          .version = tag,
                          .witness = WitnessRef(new Tag(tag))});
  }
  template <typename IsCurrent>
  std::string copy(std::string_view key, IsCurrent is_current) {
    copied_ = {};
    if (!table_.copy(key, base::hash_of(key), buffer_, copied_, is_current)) return "(none)";
    if (copied_.value_bytes > buffer_.size()) return "(too large)";
    return std::string(buffer_.data(), copied_.value_bytes);
  }
  std::string copy(std::string_view key) {
    return copy(key, [](const Witness*, std::int64_t) { return true; });
  }

  std::uint64_t locked_ = 0;
  Table table_{settling_table(4 << 20, 1, &locked_)};
  std::array<char, 5'000> buffer_;
  EntryCopy copied_;
};

// Of any size, also where the lock is taken; and a string that takes its place, of the same size in all, is seen at once.
TEST_F(TableCopy, AHashIsNotCopied) {
  for (const std::size_t bytes : {10, 300, 70'000}) {
    const std::string value(bytes, 'h');
    NewEntry entry{.key = "key", .hash = base::hash_of("key"), .value = value, .version = 1};
    entry.kind = base::ValueKind::hash;
    ASSERT_TRUE(table_.insert(entry));
    EXPECT_EQ(copy("key"), "(none)") << bytes;
    base::ValueKind kind{};
    EXPECT_TRUE(table_.inspect("key", entry.hash, [&](const Entry& found) { kind = found.kind(); }));
    EXPECT_EQ(kind, base::ValueKind::hash);
    EXPECT_EQ(table_.pin("key", entry.hash)->kind(), base::ValueKind::hash);
    ASSERT_TRUE(insert("key", std::string(13, 's')));
    EXPECT_EQ(copy("key"), std::string(13, 's'));
  }
}

TEST_F(TableCopy, CopiesEverySizeWithoutTheLock) {
  for (std::size_t bytes = 0; bytes < 200; ++bytes) {
    const std::string key(bytes % 37, 'k');
    std::string value;
    for (std::size_t i = 0; i < bytes; ++i) value += static_cast<char>('a' + i % 26);
    insert(key, value, bytes);
    EXPECT_EQ(copy(key), value);
    EXPECT_EQ(copied_.version, bytes);
    EXPECT_TRUE(copied_.present);
  }
  EXPECT_EQ(copy("nobody"), "(none)");
  EXPECT_EQ(locked_, 0u);
}

TEST_F(TableCopy, KnowsAbsentKeysAndBuffersThatAreTooSmall) {
  insert("gone", "", 7, /*present=*/false);
  EXPECT_EQ(copy("gone"), "");
  EXPECT_FALSE(copied_.present);
  insert("large", std::string(buffer_.size() + 1, 'v'));
  EXPECT_EQ(copy("large"), "(too large)");
  EXPECT_EQ(copied_.value_bytes, buffer_.size() + 1);
  EXPECT_EQ(locked_, 0u);
}

TEST_F(TableCopy, AsksTheWitnessOfTheEntry) {
  insert("key", "value", 42);
  const auto is = [](std::uint64_t wanted) {
    return [wanted](const Witness* witness, std::int64_t) {
      return Tag::number_of(witness) == wanted;
    };
  };
  EXPECT_EQ(copy("key", is(42)), "value");
  EXPECT_EQ(copy("key", is(43)), "(none)");
  EXPECT_EQ(locked_, 0u);
}

TEST_F(TableCopy, TakesTheLockForWhatStandsOutside) {
  const std::string outside(40'000, 'o');
  insert("out", outside);
  EXPECT_EQ(copy("out"), "(too large)");
  EXPECT_EQ(copied_.value_bytes, outside.size());
  EXPECT_EQ(locked_, 1u);
  std::vector<char> to(outside.size());
  ASSERT_TRUE(table_.copy("out", base::hash_of("out"), to, copied_, [](auto...) { return true; }));
  EXPECT_EQ(std::string_view(to.data(), to.size()), outside);
  EXPECT_EQ(locked_, 2u);
}

// Settles what was hit once.
class Marking final : public SiftingPolicy {
 public:
  explicit Marking(int& hits) : hits_(hits) {}
  std::size_t queue_for(std::uint64_t, std::size_t, std::uint8_t&) override { return 0; }
  std::uint8_t on_hit(std::uint8_t) override {
    ++hits_;
    return kSettled;
  }
  std::size_t queue_to_sift(std::span<const std::size_t>) override { return 0; }
  int sift(std::size_t, std::uint64_t, std::size_t, std::uint8_t&) override { return kLeaves; }
  std::size_t overhead_bytes() const override { return 0; }

 private:
  int& hits_;
};

TEST(TableCopyUnsettled, TakesTheLockUntilItIsSettled) {
  int locked = 0;
  TableOptions options;
  options.shards = 1;
  options.policy = [&](std::size_t) { return std::make_unique<Marking>(locked); };
  Table table(std::move(options));
  table.insert({.key = "key", .hash = base::hash_of("key"), .value = "value"});
  std::array<char, 8> to;
  EntryCopy copied;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(table.copy("key", base::hash_of("key"), to, copied, [](auto...) { return true; }));
    EXPECT_EQ(locked, 1);
  }
  table.insert({.key = "key", .hash = base::hash_of("key"), .value = "other"});
  EXPECT_TRUE(table.copy("key", base::hash_of("key"), to, copied, [](auto...) { return true; }));
  EXPECT_EQ(locked, 1) << "a value that changes leaves the policy's mark";
}

// `is_current` is asked in the middle of a copy, without the lock: whatever is done there happens under the reader's eyes.
TEST_F(TableCopy, DoesNotReturnAValueThatWasReplacedMeanwhile) {
  insert("key", "old value", 1);
  bool first = true;
  const std::string seen = copy("key", [&](const Witness*, std::int64_t) {
    if (std::exchange(first, false)) insert("key", "new value", 2);
    return true;
  });
  EXPECT_EQ(seen, "new value");
  EXPECT_EQ(copied_.version, 2u);
}

TEST_F(TableCopy, DoesNotReturnAValueThatWasErasedMeanwhileAndItsMemoryUsedAgain) {
  insert("key", "old value", 1);
  const std::string seen = copy("key", [&](const Witness*, std::int64_t) {
    table_.erase("key", base::hash_of("key"));
    for (int i = 0; i < 100; ++i) insert("other" + std::to_string(i), "another's", 2);
    return true;
  });
  EXPECT_EQ(seen, "(none)");
}

TEST_F(TableCopy, ReadsThroughMemoryThatWentBackToTheSystem) {
  std::string seen;
  const auto is_current = [&](const Witness* witness, std::int64_t) {
    table_.erase_if([](const Entry&) { return true; });
    return Tag::number_of(witness) != 0;  // Gone, and readable.
  };
  for (int i = 0; i < 500; ++i) insert("key" + std::to_string(i), std::string(4'000, 'v'));
  seen = copy("key250", is_current);
  EXPECT_EQ(seen, "(none)");
}

// Between the index and the entry: the witnesses move, and where they were is somebody else's.
TEST_F(TableCopy, AsksAboutNoWitnessFromMemoryThatWasGivenBack) {
  insert("key", "value");
  constexpr int kMoreThanTheFirstHaveRoom = 16;
  constexpr std::size_t kBlocks = 64;
  const std::size_t block_bytes = 8 * sizeof(const Witness*);
  std::vector<void*> reused;
  std::set<const Witness*> known;
  const auto remember = [&](const Entry& entry) { known.insert(entry.witness()); };
  const auto is_current = [&](const Witness* witness, std::int64_t) {
    EXPECT_TRUE(known.contains(witness));
    return true;
  };
  const auto judge = [&] {
    for (int i = 0; i < kMoreThanTheFirstHaveRoom && reused.empty(); ++i) insert("other" + std::to_string(i), "", 100 + i);
    while (reused.size() < kBlocks) {
      reused.push_back(BlockPool::shared().allocate(block_bytes));
      std::memset(reused.back(), 'x', block_bytes);
    }
    table_.inspect("key", base::hash_of("key"), remember);
    return is_current;
  };
  EXPECT_TRUE(table_.copy_judged("key", base::hash_of("key"), buffer_, copied_, judge));
  EXPECT_EQ(std::string_view(buffer_.data(), copied_.value_bytes), "value");
  for (void* const block : reused) BlockPool::shared().free(block, block_bytes);
}

TEST_F(TableCopy, TakesTheLockIfTheShardKeepsChanging) {
  insert("key", "value");
  int asked = 0;
  const std::string seen = copy("key", [&](const Witness*, std::int64_t) {
    // The call after so many holds the lock already.
    if (asked < Shard::kUnlockedTriesMax) insert("other", std::to_string(++asked));
    return true;
  });
  EXPECT_EQ(seen, "value");
  EXPECT_EQ(locked_, 1u);
}

}  // namespace
}  // namespace freshet::memory
