// Tests of memory/index.h against a map, with hashes chosen so that buckets overflow and homes wrap around.
#include "memory/index.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"

namespace freshet::memory {
namespace {

Entry& make(std::uint64_t number, std::uint64_t hash) {
  return *Entry::make({.key = std::to_string(number), .hash = hash, .version = number});
}
void drop(const Entry& entry) { intrusive_ptr_release(&entry); }

// An index and a map from the keys' numbers to the same entries.
class Pair {
 public:
  ~Pair() {
    for (auto& [number, entry] : model_) drop(*entry);
  }

  void insert(std::uint64_t number, std::uint64_t hash) {
    Entry& entry = make(number, hash);
    if (auto found = model_.find(number); found != model_.end()) {
      index_.replace(*found->second, entry);
      drop(*found->second);
      found->second = &entry;
    } else {
      const std::size_t bytes = index_.bytes_after_insert();
      index_.insert(entry);
      RC_ASSERT(index_.bytes() == bytes);
      model_[number] = &entry;
    }
  }
  void erase(std::uint64_t number) {
    auto found = model_.find(number);
    if (found == model_.end()) return;
    index_.erase(*found->second);
    drop(*found->second);
    model_.erase(found);
  }
  void erase_if(std::uint64_t modulus, std::uint64_t rest) {
    std::multiset<std::uint64_t> asked;
    std::vector<Entry*> left;
    index_.erase_if([&](Entry& entry) {
      asked.insert(entry.version());
      const bool leaves = entry.version() % modulus == rest;
      if (leaves) left.push_back(&entry);
      return leaves;
    });
    std::multiset<std::uint64_t> expected;
    for (auto& [number, entry] : model_) expected.insert(number);
    RC_ASSERT(asked == expected);
    for (Entry* entry : left) {
      model_.erase(entry->version());
      drop(*entry);
    }
  }
  void shrink() { index_.shrink_if_sparse(); }

  void check(std::uint64_t numbers, const std::vector<std::uint64_t>& hashes) const {
    RC_ASSERT(index_.size() == model_.size());
    for (std::uint64_t number = 0; number < numbers; ++number) {
      auto found = model_.find(number);
      Entry* expected = found == model_.end() ? nullptr : found->second;
      RC_ASSERT(index_.find(std::to_string(number), hashes[number]) == expected);
    }
  }

 private:
  Index index_;
  std::map<std::uint64_t, Entry*> model_;
};

void against_a_map(std::uint64_t numbers, std::uint64_t hash_mask) {
  base::Random random(*rc::gen::arbitrary<std::uint64_t>());
  std::vector<std::uint64_t> hashes;
  // All bits set among those kept makes the last bucket the home of many: runs wrap around to the first.
  for (std::uint64_t i = 0; i < numbers; ++i) hashes.push_back(random.chance(0.3) ? ~0ull : random() & hash_mask);
  Pair pair;
  const std::uint64_t inserts = 1 + random.below(9);  // Of ten operations.
  for (int step = 0; step < 300; ++step) {
    const std::uint64_t number = random.below(numbers);
    if (random.chance(0.01)) {
      pair.erase_if(1 + random.below(3), 0);
    } else if (random.below(10) < inserts) {
      pair.insert(number, hashes[number]);
    } else {
      pair.erase(number);
    }
    if (random.chance(0.1)) pair.shrink();
    pair.check(numbers, hashes);
  }
}

TEST(Index, AgreesWithAMapWhenHashesAreGood) {
  EXPECT_TRUE(rc::check("random hashes", [] { against_a_map(100, ~0ull); }));
}

TEST(Index, AgreesWithAMapWhenHomesCollide) {
  EXPECT_TRUE(rc::check("few homes", [] { against_a_map(100, 0x3); }));
}

TEST(Index, AgreesWithAMapWhenEveryHashIsTheSame) {
  EXPECT_TRUE(rc::check("tag 0", [] { against_a_map(60, 0); }));
}

TEST(Index, EmptyTakesNoMemoryAndFindsNothing) {
  Index index;
  EXPECT_EQ(index.bytes(), 0u);
  EXPECT_EQ(index.find("a", 0), nullptr);
  index.prefetch(0);
  index.prefetch_entry(0, [] { return true; });
  Entry& entry = make(1, 0);
  index.insert(entry);
  EXPECT_EQ(index.find("1", 0), &entry);
  EXPECT_EQ(index.find("2", 0), nullptr);
  index.erase(entry);
  index.shrink_if_sparse();
  EXPECT_EQ(index.bytes(), 0u);
  drop(entry);
}

TEST(Index, GrowsAndShrinksInProportion) {
  Index index;
  base::Random random(1);
  std::vector<Entry*> entries;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    entries.push_back(&make(i, random()));
    index.insert(*entries.back());
    if (i > 100) {
      EXPECT_LE(index.bytes(), index.size() * 22);  // 8 bytes a slot, from three eighths full.
    }
  }
  while (entries.size() > 16) {
    index.erase(*entries.back());
    drop(*entries.back());
    entries.pop_back();
    index.shrink_if_sparse();
    EXPECT_LE(index.bytes(), index.size() * 65 + 256);  // Eight slots an entry, and the pool's part.
  }
  for (Entry* entry : entries) {
    EXPECT_EQ(index.find(entry->key(), entry->hash()), entry);
    drop(*entry);
  }
}

}  // namespace
}  // namespace freshet::memory
