// GL-Cache in a real table: it trains beside the requests and says so, and nothing that is done to the table waits for it.
#include "eviction/learning.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "base/slot.h"
#include "base/zipf.h"
#include "eviction/gl_cache/features.h"
#include "eviction/gl_cache/held_training.h"
#include "eviction/policies.h"
#include "memory/table.h"

namespace freshet::eviction {
namespace {

using gl_cache::HeldTraining;
using gl_cache::LearningThread;

constexpr std::uint64_t kSeed = 20261129;
constexpr unsigned kShards = 2;
constexpr base::Nanoseconds kPatience = 60 * base::kSecond;

// Trained after some hundred requests.
gl_cache::Settings hasty() {
  gl_cache::Settings settings;
  settings.group_objects = 8;
  settings.snapshot_requests_min = 300;
  settings.snapshot_requests_max = 500;
  settings.rows_min = 16;
  return settings;
}

memory::PolicyFactory taught_by(std::shared_ptr<LearningThread> thread) {
  return [thread = std::move(thread)](std::size_t) { return make_gl_cache(hasty(), thread); };
}

memory::TableOptions options_of(memory::PolicyFactory policy, std::size_t shard_bytes) {
  memory::TableOptions options;
  options.capacity_bytes = kShards * shard_bytes;
  options.shards = kShards;
  options.policy = std::move(policy);
  return options;
}

// Requests of keys by Zipf's law, and the other things that happen to a table.
class Client {
 public:
  Client(memory::Table& table, std::uint64_t seed, std::uint64_t keys) : table_(table), random_(seed), keys_(keys, 0.8) {}

  void request() {
    const std::string key = draw();
    if (!table_.visit(key, base::hash_of(key), [](const memory::Entry&) {})) insert(key);
  }
  void requests(int count) {
    for (int i = 0; i < count; ++i) request();
  }
  void insert() { insert(draw()); }
  void erase() {
    const std::string key = draw();
    table_.erase(key, base::hash_of(key));
  }
  void erase_some() {
    const auto part = random_.below(16);
    table_.erase_if([&](const memory::Entry& entry) { return base::hash_of(entry.key()) % 16 == part; });
  }
  // Requests, erasures and replacements.
  void anything() {
    const auto kind = random_.below(100);
    if (kind < 80) return request();
    if (kind < 89) return insert();
    if (kind < 99) return erase();
    erase_some();
  }
  std::uint64_t below(std::uint64_t end) { return random_.below(end); }

 private:
  std::string draw() { return "key" + std::to_string(keys_.draw(random_)); }
  void insert(const std::string& key) {
    const std::string value(20 + random_.below(600), 'v');
    table_.insert({.key = key, .hash = base::hash_of(key), .value = value});
  }

  memory::Table& table_;
  base::Random random_;
  base::Zipf keys_;
};

// Nothing: no policy tells it.
std::optional<double> fact(const memory::Table& table, std::string_view name) {
  const auto facts = table.describe_policy();
  const auto found = std::ranges::find(facts, name, &memory::PolicyFact::name);
  return found == facts.end() ? std::nullopt : std::optional(found->value);
}

class LearningPolicy : public testing::TestWithParam<const char*> {};

// The policy as servers have it.
TEST_P(LearningPolicy, TrainsAndSaysSo) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  constexpr std::size_t kShardBytes = 4 << 20;
  memory::Table table(options_of(table_policy(GetParam())->make, kShardBytes));
  Client client(table, kSeed, 100'000);
  client.requests(1000);
  EXPECT_EQ(fact(table, "policies"), kShards);
  EXPECT_EQ(fact(table, "untrained"), kShards);
  EXPECT_EQ(fact(table, "untrained_nothing_evicted"), kShards);
  EXPECT_FALSE(fact(table, "rows"));
  const auto give_up = base::now() + kPatience;
  while (fact(table, "untrained") != 0 && base::now() < give_up) client.requests(1000);
  ASSERT_EQ(fact(table, "untrained"), 0);
  EXPECT_EQ(fact(table, "untrained_nothing_evicted"), 0);
  EXPECT_FALSE(fact(table, "untrained_requests"));
  EXPECT_GE(fact(table, "trainings"), kShards);
  EXPECT_GT(fact(table, "training_us"), 0);
  EXPECT_GE(fact(table, "rows"), 64);
  EXPECT_LE(fact(table, "chooses_by_model"), kShards);
  double whole = 0;
  for (const auto name : gl_cache::kGainNames) whole += fact(table, name).value_or(0);
  EXPECT_NEAR(whole, 1, 0.01) << "the mean of the shards'";
  client.requests(20'000);
  const memory::TableStats stats = table.stats();
  EXPECT_LE(stats.bytes, stats.capacity_bytes);
  EXPECT_GT(fact(table, "overhead_bytes"), 0);
}

INSTANTIATE_TEST_SUITE_P(Policies, LearningPolicy, testing::Values("glcache", "glcachebytes"),
                         [](const auto& test) { return std::string(test.param); });

TEST(LearningTable, NothingWaitsForATraining) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  constexpr std::size_t kShardBytes = 1 << 20;
  HeldTraining held;
  const auto thread = std::make_shared<LearningThread>(1, held.train());
  memory::Table table(options_of(taught_by(thread), kShardBytes));
  Client client(table, kSeed, 10'000);
  const auto give_up = base::now() + kPatience;
  while (held.begun().empty() && base::now() < give_up) client.requests(100);
  ASSERT_EQ(held.begun().size(), 1u);
  for (int round = 0; round < 40; ++round) {  // All of it with one training at work, and others that wait.
    for (int i = 0; i < 500; ++i) client.anything();
    table.set_capacity(kShards * kShardBytes / (1 + client.below(3)));
    if (round % 10 == 9) table.set_policy(round % 20 == 9 ? table_policy("lru")->make : taught_by(thread));
    const memory::TableStats stats = table.stats();
    ASSERT_LE(stats.bytes, stats.capacity_bytes);
    ASSERT_GT(stats.entries, 0u);
  }
  EXPECT_EQ(held.begun().size(), 1u) << "the first one must be under way all the time";
  EXPECT_FALSE(held.gave_up());
  table.set_capacity(kShards * kShardBytes);
  held.let(1'000'000);
  while (fact(table, "trainings").value_or(0) < 1 && base::now() < give_up) client.requests(100);
  EXPECT_GE(fact(table, "trainings"), 1) << "it learns on";
}

// The thread ends with the last policy that it taught, and waits for the training in hand: not under a shard's lock.
TEST(LearningTable, RequestsDoNotWaitForTheThreadToEnd) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  HeldTraining held;
  memory::Table table(options_of(taught_by(std::make_shared<LearningThread>(1, held.train())), 256 << 10));
  Client client(table, kSeed, 2000);
  const auto give_up = base::now() + kPatience;
  while (held.begun().empty() && base::now() < give_up) client.requests(100);
  ASSERT_EQ(held.begun().size(), 1u);
  const std::jthread change([&] { table.set_policy(table_policy("lru")->make); });
  while (!table.describe_policy().empty() && base::now() < give_up) client.requests(10);
  client.requests(10'000);  // On every shard.
  EXPECT_FALSE(held.gave_up());
  held.let(1'000'000);
}

// For the thread sanitizer.
TEST(LearningTable, ManyThreadsChangeAllOfItWhileItLearns) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  constexpr int kThreads = 4;
  constexpr int kSteps = 20'000;
  constexpr std::size_t kCapacityBytes = kShards * (std::size_t{256} << 10);
  std::atomic<int> trainings{0};
  const auto thread = std::make_shared<LearningThread>(1, [&](const gl_cache::Lesson& lesson) {
    ++trainings;
    return gl_cache::train(lesson);
  });
  memory::Table table(options_of(taught_by(thread), kCapacityBytes / kShards));
  {
    std::vector<std::jthread> threads;
    for (int id = 0; id < kThreads; ++id) {
      threads.emplace_back([&, id] {
        Client client(table, kSeed + static_cast<std::uint64_t>(id), 2000);
        for (int i = 0; i < kSteps; ++i) {
          client.anything();
          if (i % 1000 == 500) table.describe_policy();
          if (i % 1000 == 999) table.set_capacity(kCapacityBytes / (1 + client.below(2)));
          if (i % 5000 == 2000 + id) table.set_policy(client.below(2) == 0 ? table_policy("lru")->make : taught_by(thread));
        }
      });
    }
  }
  const memory::TableStats stats = table.stats();
  EXPECT_LE(stats.bytes, stats.capacity_bytes);
  EXPECT_GT(trainings, 0);
}

// Tells of itself what it was made with.
class TellingPolicy final : public memory::PickingPolicy {
 public:
  explicit TellingPolicy(double number) : number_(number) {}
  bool admit(std::uint64_t, std::size_t) override { return false; }
  Slot on_insert(std::uint64_t, std::size_t) override { return 0; }
  void on_hit(Slot, std::uint64_t, std::size_t) override {}
  void on_resize(Slot, std::size_t) override {}
  void on_erase(Slot) override {}
  Slot take_victim() override { return kNoSlot; }
  void set_capacity(std::size_t) override {}
  std::size_t overhead_bytes() const override { return 0; }
  std::vector<memory::PolicyFact> describe() const override {
    using Together = memory::PolicyFact::Together;
    std::vector<memory::PolicyFact> facts{{"sum", number_}, {"greatest", number_, Together::greatest}};
    if (number_ > 1) facts.push_back({"mean", number_, Together::mean});
    return facts;
  }

 private:
  const double number_;
};

TEST(TableFacts, ArePutTogether) {
  double number = 4;
  memory::TableOptions options = options_of([&](std::size_t) { return std::make_unique<TellingPolicy>(number--); }, 1 << 20);
  options.shards = 4;
  const memory::Table table(options);
  EXPECT_EQ(fact(table, "sum"), 4 + 3 + 2 + 1);
  EXPECT_EQ(fact(table, "greatest"), 4);
  EXPECT_EQ(fact(table, "mean"), 3) << "of those that tell it";
}

}  // namespace
}  // namespace freshet::eviction
