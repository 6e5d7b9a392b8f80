// Tests of memory/segments/index.h against a map: random operations, hashes that meet, and the bytes a record.
#include "memory/segments/index.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/random.h"

namespace freshet::memory::segments {
namespace {

// A record is its hash, here.
class Model {
 public:
  explicit Model(std::uint64_t seed) : random_(seed) {}

  // `few`: hashes that have the same home or the same tag, often.
  std::uint64_t draw(bool few) {
    if (!few) return random_();
    return random_.below(4) << 30 | random_.below(3) << 32 | random_.below(1'000) << 44;
  }
  void insert(std::uint64_t hash) {
    records_.push_back(std::make_unique<std::uint64_t>(hash));
    char* const record = reinterpret_cast<char*>(records_.back().get());
    index_.insert(hash, record, kHashOf);
    there_.emplace(hash, record);
  }
  void erase() {
    if (there_.empty()) return;
    const auto at = any();
    index_.erase(at->first, at->second);
    there_.erase(at);
    index_.shrink_if_sparse(kHashOf);
  }
  void replace() {
    if (there_.empty()) return;
    const auto at = any();
    records_.push_back(std::make_unique<std::uint64_t>(at->first));
    char* const record = reinterpret_cast<char*>(records_.back().get());
    index_.replace(at->first, at->second, record);
    at->second = record;
  }
  void check() {
    RC_ASSERT(index_.size() == there_.size());
    std::multiset<char*> seen;
    index_.for_each([&](char* record) { seen.insert(record); });
    RC_ASSERT(seen.size() == there_.size());
    for (const auto& [hash, record] : there_) {
      RC_ASSERT(seen.contains(record));
      const char* const wanted = record;
      RC_ASSERT(index_.find(hash, [&](const char* found) { return found == wanted; }) == record);
      const auto still = [] { return true; };
      RC_ASSERT(index_.find_unlocked(hash, still, [&](const char* found) {
        return found == wanted ? Sight::found : Sight::absent;
      }) == Sight::found);
    }
    for (int i = 0; i < 10; ++i) {
      const std::uint64_t hash = random_();
      if (there_.contains(hash)) continue;
      RC_ASSERT(index_.find(hash, [&](const char* found) { return hash_of(found) == hash; }) == nullptr);
    }
  }
  base::Random& random() { return random_; }
  const Index& index() const { return index_; }

 private:
  static std::uint64_t hash_of(const char* record) { return *reinterpret_cast<const std::uint64_t*>(record); }
  static constexpr auto kHashOf = [](const char* record) { return hash_of(record); };
  std::multimap<std::uint64_t, char*>::iterator any() {
    const auto at = there_.lower_bound(random_());
    return at == there_.end() ? there_.begin() : at;
  }

  base::Random random_;
  Index index_;
  std::multimap<std::uint64_t, char*> there_;
  std::vector<std::unique_ptr<std::uint64_t>> records_;
};

void agrees(bool few) {
  EXPECT_TRUE(rc::check(few ? "few hashes" : "any hashes", [few](std::uint64_t seed) {
    Model model(seed);
    const std::uint64_t inserts = model.random().below(100);  // In how many of a hundred operations, at first.
    for (int i = 0; i < 600; ++i) {
      const std::uint64_t kind = model.random().below(100);
      if (kind < (i < 300 ? inserts : 100 - inserts)) {
        model.insert(model.draw(few));
      } else if (kind % 3 == 0) {
        model.replace();
      } else {
        model.erase();
      }
      if (i % 50 == 0) model.check();
    }
    model.check();
  }));
}

TEST(Index, AgreesWithAMap) { agrees(false); }
TEST(Index, AgreesWithAMapWhereHashesMeet) { agrees(true); }

// From a page of buckets on, and while steps are pages.
// Work counted, not time: a record is hashed anew as often as the index really shrinks.
TEST(Index, ShrinkingPaysForItself) {
  constexpr std::size_t kRecords = 20'000;
  base::Random random(20261130);
  std::vector<std::uint64_t> hashes(kRecords);
  for (std::uint64_t& hash : hashes) hash = random();
  const auto record_of = [](std::uint64_t& hash) { return reinterpret_cast<char*>(&hash); };
  std::size_t hashed = 0;
  const auto hash_of = [&](const char* record) {
    ++hashed;
    return *reinterpret_cast<const std::uint64_t*>(record);
  };
  Index index;
  for (std::uint64_t& hash : hashes) index.insert(hash, record_of(hash), hash_of);
  hashed = 0;
  for (std::uint64_t& hash : hashes) {
    const std::size_t before = index.bytes(), hashed_before = hashed;
    index.erase(hash, record_of(hash));
    index.shrink_if_sparse(hash_of);
    if (hashed != hashed_before) {
      EXPECT_LT(index.bytes(), before) << "with " << index.size();
    }
  }
  EXPECT_EQ(index.bytes(), 0u);
  EXPECT_LT(hashed, kRecords);
}

TEST(Index, TakesSevenToTenBytesARecord) {
  Model model(20261129);
  double sum = 0;
  int looks = 0;
  for (int i = 0; i < 130'000; ++i) {
    model.insert(model.draw(false));
    if (i < 20'000 || i % 1'000 != 0) continue;
    const double bytes = static_cast<double>(model.index().bytes()) / static_cast<double>(model.index().size());
    EXPECT_GT(bytes, 7);
    EXPECT_LT(bytes, 12) << i;
    sum += bytes;
    ++looks;
  }
  EXPECT_LT(sum / looks, 9.5);
}

}  // namespace
}  // namespace freshet::memory::segments
