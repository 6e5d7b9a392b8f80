// GL-Cache over segments: what it says of one record after the other, and its groups in a real table, counted again from
// their records.
#include "eviction/segment_gl_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/slot.h"
#include "base/zipf.h"
#include "memory/table.h"

namespace freshet::eviction {
namespace {

using memory::Group;
using memory::Groups;
using Queue = SegmentGlCache::Queue;

gl_cache::Settings settings_of(gl_cache::Objective objective) {
  gl_cache::Settings settings;
  settings.objective = objective;
  settings.adopt_part = 0;
  settings.snapshot_requests_min = 300;
  settings.snapshot_requests_max = 500;
  settings.rows_min = 16;
  return settings;
}

std::unique_ptr<SegmentGlCache> make(const gl_cache::Settings& settings) {
  return std::make_unique<SegmentGlCache>(settings, gl_cache::make_synchronous_learner, 1);
}

// One record, as the table sees it.
struct Subject {
  Subject(SegmentGlCache& to, std::uint64_t key_hash, std::size_t size) : policy(to), hash(key_hash), bytes(size) {
    queue = policy.queue_for(hash, bytes, byte);
    policy.on_write(group, queue, bytes, byte);
  }
  void request(int times = 1) {
    for (int i = 0; i < times; ++i) byte = policy.on_request(group, hash, bytes, byte);
  }
  int sift() { return policy.sift(queue, hash, bytes, byte); }

  SegmentGlCache& policy;
  std::uint64_t hash;
  std::size_t bytes;
  std::size_t queue = 0;
  std::uint8_t byte = 0;
  Group group;
};

class Sifted : public testing::Test {
 protected:
  static constexpr std::size_t kMean = 100;

  Sifted() {
    policy->set_capacity(100 * kMean);
    for (int i = 0; i < 100; ++i) (void)Subject(*policy, fresh(), kMean);
  }
  std::uint64_t fresh() { return ++hash_; }

  std::unique_ptr<SegmentGlCache> policy = make(settings_of(gl_cache::Objective::objects));

 private:
  std::uint64_t hash_ = 1000;
};

TEST_F(Sifted, WhoIsKeptMustHaveEarnedItBySize) {
  constexpr int kLeaves = SegmentGlCache::kLeaves;
  for (const auto& [bytes, requests, kept] : {std::tuple{kMean, 2, false}, {kMean, 3, true}, {kMean / 3, 1, true},
                                             {kMean / 3, 0, false}, {kMean * 2, 5, false}, {kMean * 2, 6, true}}) {
    Subject subject(*policy, fresh(), bytes);
    subject.request(requests);
    EXPECT_EQ(subject.sift() != kLeaves, kept) << bytes << " bytes, " << requests << " requests";
  }
}

TEST_F(Sifted, WhoWasKeptNeedsLessButStartsAnew) {
  Subject subject(*policy, fresh(), kMean);
  subject.request(3);
  EXPECT_EQ(subject.sift(), Queue::kKeptSmall);
  EXPECT_EQ(subject.byte, 0);
  subject.queue = Queue::kKeptSmall;
  subject.request();
  EXPECT_EQ(subject.sift(), Queue::kKeptSmall) << "one request will do";
  EXPECT_EQ(subject.sift(), SegmentGlCache::kLeaves) << "but one there must be";
}

TEST_F(Sifted, WhoComesBackIsAmongTheKept) {
  Subject left(*policy, fresh(), 2 * kMean);
  EXPECT_EQ(left.queue, Queue::kNewLarge);
  EXPECT_EQ(left.sift(), SegmentGlCache::kLeaves);
  EXPECT_EQ(Subject(*policy, left.hash, 2 * kMean).queue, Queue::kKeptLarge);
  EXPECT_EQ(Subject(*policy, fresh(), kMean / 2).queue, Queue::kNewSmall);
}

TEST_F(Sifted, AnErasedOneIsRememberedIfItHadEarnedItsPlace) {
  Subject warm(*policy, fresh(), kMean), cold(*policy, fresh(), kMean);
  warm.request(3);
  for (Subject* each : {&warm, &cold}) policy->on_erase(each->queue, each->hash, each->byte);
  EXPECT_EQ(Subject(*policy, warm.hash, kMean).queue, Queue::kKeptSmall);
  EXPECT_EQ(Subject(*policy, cold.hash, kMean).queue, Queue::kNewSmall);
}

TEST_F(Sifted, IsSettledWhenItsCountIsFull) {
  Subject subject(*policy, fresh(), kMean);
  for (int i = 0; i < SegmentGlCache::kCountMax; ++i) {
    EXPECT_FALSE(subject.byte & SegmentGlCache::kSettled) << i;
    subject.request();
  }
  EXPECT_TRUE(subject.byte & SegmentGlCache::kSettled);
  EXPECT_EQ(subject.group.requests, SegmentGlCache::kCountMax);
  EXPECT_EQ(subject.group.active, 1u);
  EXPECT_EQ(subject.sift(), Queue::kKeptSmall);
  EXPECT_FALSE(subject.byte & SegmentGlCache::kSettled) << "it counts anew";
}

// Stands between a table and the policy, and counts the groups again whenever it sees them.
class Audited final : public memory::GroupingPolicy {
 public:
  struct Seen {
    std::uint64_t groups = 0, watched = 0, by_model = 0, by_rule = 0;
  };
  Audited(std::unique_ptr<SegmentGlCache> policy, Seen& seen) : policy_(std::move(policy)), seen_(seen) {}

  std::size_t queue_for(std::uint64_t hash, std::size_t bytes, std::uint8_t& byte) override {
    return policy_->queue_for(hash, bytes, byte);
  }
  int sift(std::size_t queue, std::uint64_t hash, std::size_t bytes, std::uint8_t& byte) override {
    return policy_->sift(queue, hash, bytes, byte);
  }
  void on_erase(std::size_t queue, std::uint64_t hash, std::uint8_t byte) override { policy_->on_erase(queue, hash, byte); }
  void set_capacity(std::size_t bytes) override { policy_->set_capacity(bytes); }
  std::size_t overhead_bytes() const override { return policy_->overhead_bytes(); }
  void forget() override { policy_->forget(); }
  void on_write(Group& group, std::size_t queue, std::size_t bytes, std::uint8_t byte) override {
    policy_->on_write(group, queue, bytes, byte);
  }
  void on_move(const Group& from, Group& to, std::size_t bytes, std::uint8_t byte) override {
    policy_->on_move(from, to, bytes, byte);
  }
  void on_leave(Group& group, std::size_t bytes, std::uint8_t byte) override { policy_->on_leave(group, bytes, byte); }
  std::uint8_t on_request(Group& group, std::uint64_t hash, std::size_t bytes, std::uint8_t byte) override {
    return policy_->on_request(group, hash, bytes, byte);
  }
  bool wants_to_look() const override { return true; }
  void look(Groups& groups) override {
    if (policy_->wants_to_look()) policy_->look(groups);
    count_again(groups);
  }
  std::size_t choose(Groups& groups) override {
    count_again(groups);
    const double rankings = fact("rankings");
    const std::size_t chosen = policy_->choose(groups);
    if (fact("untrained") > 0) {
      ++seen_.by_rule;
      EXPECT_EQ(chosen, by_rule(groups));
    } else {
      ++seen_.by_model;
      EXPECT_LT(groups.at(chosen).utility, Group::kUnranked);
      EXPECT_LE(fact("rankings"), rankings + 1);
      for (std::size_t i = 0; i < groups.size(); ++i) EXPECT_LE(groups.at(chosen).utility, groups.at(i).utility);
    }
    return chosen;
  }
  std::vector<memory::PolicyFact> describe() const override { return policy_->describe(); }

 private:
  double fact(std::string_view name) const {
    const auto facts = policy_->describe();
    const auto found = std::ranges::find(facts, name, &memory::PolicyFact::name);
    return found == facts.end() ? 0 : found->value;
  }

  void count_again(Groups& groups) {
    for (std::size_t i = 0; i < groups.size(); ++i) {
      ++seen_.groups;
      std::uint64_t objects = 0, bytes = 0, active = 0;
      groups.sample(i, 0, 1, [&](std::uint64_t, std::size_t size, std::uint8_t& byte) {
        ++objects;
        bytes += size;
        active += (byte & SegmentGlCache::kCountMax) != 0 ? 1 : 0;
        seen_.watched += (byte & SegmentGlCache::kWatched) != 0 ? 1 : 0;
      });
      ASSERT_EQ(groups.at(i).objects, objects);
      ASSERT_EQ(groups.at(i).bytes, bytes);
      ASSERT_EQ(groups.at(i).active, active);
      ASSERT_LE(active, groups.at(i).requests);
    }
  }

  static std::size_t by_rule(Groups& groups) {
    std::vector<std::size_t> fresh, kept;
    std::uint64_t fresh_bytes = 0, bytes = 0;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const bool is_kept = groups.at(i).generation > 0;
      (is_kept ? kept : fresh).push_back(i);
      bytes += groups.at(i).bytes;
      if (!is_kept) fresh_bytes += groups.at(i).bytes;
    }
    auto& from = fresh.empty() || (!kept.empty() && fresh_bytes < bytes / 10) ? kept : fresh;
    return *std::ranges::min_element(from, {}, [&](std::size_t i) { return groups.at(i).begun; });
  }

  const std::unique_ptr<SegmentGlCache> policy_;
  Seen& seen_;
};

// Requests, writes of other sizes, erasures and changes of the limit; values up to more than a segment, `large` of them too
// large for one.
void run(memory::Table& table, base::Random& random, std::size_t capacity_bytes, double large, int steps) {
  const base::Zipf zipf(1500, 0.8);
  const std::string value(2000, 'v');
  for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) {
    const std::string key = "key" + std::to_string(zipf.draw(random));
    const std::uint64_t hash = base::hash_of(key);
    const auto kind = random.below(100);
    if (kind < 85 && table.visit(key, hash, [](const memory::Entry&) {})) continue;
    if (kind >= 95) {
      table.erase(key, hash);
      continue;
    }
    const std::size_t bytes = random.chance(large) ? 400 + random.below(value.size() - 400) : random.below(200);
    table.insert({.key = key, .hash = hash, .value = std::string_view(value).substr(0, bytes)});
    if (i % 1000 == 999) table.set_capacity(capacity_bytes / (1 + random.below(3)));
    if (i % 3000 == 2999) table.erase_if([&](const memory::Entry& entry) { return entry.value().size() % 3 == 0; });
    ASSERT_LE(table.stats().bytes, table.stats().capacity_bytes);
  }
}

TEST(SegmentGlCache, ItsGroupsAreWhatTheirRecordsSay) {
  for (const auto objective : {gl_cache::Objective::objects, gl_cache::Objective::bytes}) {
    Audited::Seen seen;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      SCOPED_TRACE(testing::Message() << "seed " << seed);
      constexpr std::size_t kCapacityBytes = 192 << 10;
      auto settings = settings_of(objective);
      settings.trial = false;
      settings.snapshot_rows = settings.rows_max = 512;  // Of which a small shard has an eighth.
      memory::TableOptions options;
      options.capacity_bytes = kCapacityBytes;
      options.shards = 1;
      options.policy = [&](std::size_t) -> memory::ShardPolicy {
        return std::unique_ptr<memory::GroupingPolicy>(std::make_unique<Audited>(make(settings), seen));
      };
      memory::Table table(options);
      base::Random random(seed);
      run(table, random, kCapacityBytes, seed % 2 == 0 ? 0.05 : 0.8, 15'000);
      const auto facts = table.describe_policy();
      const auto objects = std::ranges::find(facts, "objects", &memory::PolicyFact::name);
      ASSERT_NE(objects, facts.end());
      EXPECT_EQ(objects->value, static_cast<double>(table.stats().entries));
    }
    EXPECT_GT(seen.groups, 10'000u);
    EXPECT_GT(seen.watched, 1'000u);
    EXPECT_GT(seen.by_rule, 20u);
    EXPECT_GT(seen.by_model, 100u);
  }
}

}  // namespace
}  // namespace freshet::eviction
