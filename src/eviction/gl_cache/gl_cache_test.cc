// GL-Cache as a whole: untrained beside an obviously right model, trained over random operations, and what learning brings.
#include "eviction/gl_cache/gl_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>

#include "eviction/exact/slots.h"

namespace freshet::eviction::gl_cache {
namespace {

using exact::Access;

// Never learns: the cache stays untrained.
class NoLearner final : public Learner {
 public:
  bool teach(Lesson) override { return false; }
  std::optional<Result<Training>> take() override { return std::nullopt; }
  std::optional<Result<Training>> wait() override { return std::nullopt; }
};

// Counts its lessons, and learns them if it is to.
class CountingLearner final : public Learner {
 public:
  CountingLearner(int& lessons, bool fails) : lessons_(lessons), fails_(fails) {}
  bool teach(Lesson lesson) override {
    ++lessons_;
    outcome_ = fails_ ? Result<Training>(Error::of(ErrorCode::internal, "no more memory")) : train(lesson);
    return true;
  }
  std::optional<Result<Training>> take() override { return std::exchange(outcome_, std::nullopt); }
  std::optional<Result<Training>> wait() override { return take(); }

 private:
  int& lessons_;
  const bool fails_;
  std::optional<Result<Training>> outcome_;
};

// FIFO with merging, in lists: what an untrained GlCache with Keeping::neighbours must do.
class FifoMergeModel {
 public:
  explicit FifoMergeModel(const Settings& settings) : settings_(settings) {}

  void request() { ++now_; }
  void on_insert(Slot slot, std::uint32_t size) { write({slot, size, tick_of(now_), 0}); }
  void on_hit(Slot slot) {
    at(slot).requested = tick_of(now_);
    ++at(slot).requests;
  }
  void on_resize(Slot slot, std::uint32_t size) { at(slot).size = size; }
  void on_erase(Slot slot) {
    const auto drop = [&](std::vector<Thing>& things) {
      std::erase_if(things, [&](const Thing& thing) { return thing.slot == slot; });
    };
    drop(leaving_);
    drop(open_);
    for (auto& group : closed_) drop(group);
    std::erase_if(closed_, [](const auto& group) { return group.empty(); });
  }
  Slot take_victim() {
    while (count() > 0) {
      if (leaving_.empty()) {
        merge();
        continue;
      }
      Thing thing = leaving_.front();
      leaving_.erase(leaving_.begin());
      if (thing.requests == 0) return thing.slot;
      thing.requests = 0;
      write(thing);
    }
    return kNoSlot;
  }

 private:
  struct Thing {
    Slot slot;
    std::uint32_t size;
    std::uint32_t requested;
    std::uint32_t requests;
  };

  std::size_t count() const {
    std::size_t sum = open_.size() + leaving_.size();
    for (const auto& group : closed_) sum += group.size();
    return sum;
  }
  Thing& at(Slot slot) {
    for (auto* things : all()) {
      for (Thing& thing : *things) {
        if (thing.slot == slot) return thing;
      }
    }
    std::abort();
  }
  std::vector<std::vector<Thing>*> all() {
    std::vector<std::vector<Thing>*> lists{&open_, &leaving_};
    for (auto& group : closed_) lists.push_back(&group);
    return lists;
  }
  void write(Thing thing) {
    open_.push_back(thing);
    ++written_;
    const auto most = std::clamp<std::size_t>(count() / settings_.groups_min, std::min(4U, settings_.group_objects),
                                              settings_.group_objects);
    if (written_ >= most) close();
  }
  void close() {
    closed_.push_back(std::exchange(open_, {}));
    written_ = 0;
  }
  void merge() {
    if (closed_.empty()) close();
    std::vector<Thing> things;
    for (std::uint32_t i = 0; i < settings_.merge_groups && !closed_.empty(); ++i) {
      things.insert(things.end(), closed_.front().begin(), closed_.front().end());
      closed_.pop_front();
    }
    auto best = things;
    std::stable_sort(best.begin(), best.end(), [&](const Thing& a, const Thing& b) { return badness(a) < badness(b); });
    best.resize(things.size() / settings_.merge_groups);
    std::vector<Thing> kept;
    for (Thing thing : things) {
      thing.requests = 0;
      const bool stays = std::any_of(best.begin(), best.end(), [&](const Thing& b) { return b.slot == thing.slot; });
      (stays ? kept : leaving_).push_back(thing);
    }
    if (!kept.empty()) closed_.push_back(kept);
  }
  float badness(const Thing& thing) const {
    return static_cast<float>(tick_of(now_) - thing.requested + 1) * static_cast<float>(thing.size);
  }

  const Settings settings_;
  std::uint64_t now_ = 0;
  std::deque<std::vector<Thing>> closed_;
  std::vector<Thing> open_;
  std::vector<Thing> leaving_;
  std::size_t written_ = 0;  // In the open group; what was erased since counts.
};

// Has no time, until it is told.
class BusyLearner final : public Learner {
 public:
  BusyLearner(int& lessons, const bool& free) : lessons_(lessons), free_(free) {}
  bool ready() const override { return free_; }
  bool teach(Lesson) override {
    ++lessons_;
    return true;
  }
  std::optional<Result<Training>> take() override { return std::nullopt; }
  std::optional<Result<Training>> wait() override { return std::nullopt; }

 private:
  int& lessons_;
  const bool& free_;
};

// Drives a policy, and a model beside it if there is one: it knows the keys and counts the bytes.
class Host {
 public:
  Host(GlCache& cache, FifoMergeModel* model, std::uint64_t seed, std::uint64_t keys)
      : cache_(cache), model_(model), random_(seed), keys_(keys) {
    set_capacity();
  }

  void step() {
    const auto dice = random_.below(1000);
    if (dice < 950) return request(std::min(random_.below(keys_), random_.below(keys_)));
    if (dice > 996) return set_capacity();
    if (slot_of_.empty()) return;
    const Slot slot = std::next(slot_of_.begin(), static_cast<std::ptrdiff_t>(random_.below(slot_of_.size())))->second;
    if (dice < 970) {
      cache_.on_erase(slot);
      if (model_ != nullptr) model_->on_erase(slot);
      release(slot);
    } else {
      const auto size = static_cast<std::uint32_t>(1 + random_.below(100));
      used_ += size - std::uint64_t{cached_[slot].size};
      cached_[slot].size = size;
      cache_.on_resize(slot, size);
      if (model_ != nullptr) model_->on_resize(slot, size);
      make_room(0);
    }
  }
  void request(std::uint64_t number) {
    const std::uint64_t key = base::Random(number)();
    const auto size = static_cast<std::uint32_t>(1 + key % 100);
    const Access access{key, size, static_cast<std::uint32_t>(++requests_ / 10), exact::kNever};
    if (model_ != nullptr) model_->request();
    if (const auto at = slot_of_.find(key); at != slot_of_.end()) {
      cache_.on_hit(at->second, access);
      if (model_ != nullptr) model_->on_hit(at->second);
      return;
    }
    ++misses_;
    ASSERT_TRUE(cache_.on_miss(access));
    if (size > capacity_) return;
    make_room(size);
    if (testing::Test::HasFailure()) return;
    const Slot slot = cached_.take({key, size});
    slot_of_[key] = slot;
    used_ += size;
    cache_.on_insert(slot, access);
    if (model_ != nullptr) model_->on_insert(slot, size);
  }
  void drain() {
    while (!slot_of_.empty() && !testing::Test::HasFailure()) evict();
    EXPECT_EQ(cache_.take_victim(), kNoSlot);
    EXPECT_EQ(used_, 0u);
  }
  void set_capacity(std::uint64_t bytes) {
    capacity_ = bytes;
    cache_.set_capacity(bytes);
    make_room(0);
  }
  std::uint64_t misses() const { return misses_; }
  const std::vector<std::uint64_t>& victims() const { return victims_; }

 private:
  struct Cached {
    std::uint64_t key;
    std::uint32_t size;
  };

  void set_capacity() { set_capacity(random_.chance(0.1) ? 0 : 500 + random_.below(8'000)); }
  void make_room(std::uint32_t size) {
    while (used_ + size > capacity_ && !testing::Test::HasFailure()) evict();
  }
  void evict() {
    const Slot victim = cache_.take_victim();
    ASSERT_LT(victim, cached_.end());
    ASSERT_TRUE(slot_of_.contains(cached_[victim].key)) << "a victim was not a member";
    if (model_ != nullptr) {
      ASSERT_EQ(victim, model_->take_victim()) << "after " << victims_.size() << " victims";
    }
    victims_.push_back(cached_[victim].key);
    release(victim);
  }
  void release(Slot slot) {
    used_ -= cached_[slot].size;
    slot_of_.erase(cached_[slot].key);
    cached_.release(slot);
  }

  GlCache& cache_;
  FifoMergeModel* const model_;
  base::Random random_;
  const std::uint64_t keys_;
  std::uint64_t capacity_ = 0;
  std::uint64_t used_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t misses_ = 0;
  std::vector<std::uint64_t> victims_;  // Their keys.
  std::map<std::uint64_t, Slot> slot_of_;
  exact::Slots<Cached> cached_;
};

// Nothing: it does not say.
std::optional<double> value_of(const GlCache& cache, std::string_view name) {
  for (const auto& fact : cache.describe()) {
    if (fact.name == name) return fact.value;
  }
  return std::nullopt;
}

// Snapshots of a few hundred requests.
Settings hasty(Settings settings) {
  settings.group_objects = 8;
  settings.groups_min = 8;
  settings.snapshot_requests_min = 300;
  settings.snapshot_requests_max = 500;
  settings.snapshot_rows = 64;
  settings.rows_max = 256;
  settings.rows_min = 16;
  return settings;
}

TEST(GlCacheUntrained, IsFifoWithMerging) {
  for (std::uint64_t seed = 1; seed <= 40 && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Settings settings = efficient();
    settings.group_objects = static_cast<std::uint32_t>(1 + seed % 9);
    settings.groups_min = 8;
    settings.merge_groups = static_cast<std::uint32_t>(2 + seed % 3);
    GlCache cache(settings, std::make_unique<NoLearner>(), seed);
    FifoMergeModel model(settings);
    Host host(cache, &model, seed, 300);
    for (int i = 0; i < 2000 && !HasFailure(); ++i) host.step();
    host.drain();
    EXPECT_GT(host.victims().size(), 200u);
    EXPECT_FALSE(cache.trained());
  }
}

// What is new leaves in the order in which it came, if nothing of it was requested again.
TEST(GlCacheUntrained, SiftedIsFifoForWhatIsRequestedOnce) {
  Settings settings;
  settings.size_classes = 1;
  GlCache cache(settings, std::make_unique<NoLearner>(), 1);
  Host host(cache, nullptr, 1, 1);
  host.set_capacity(5000);
  for (std::uint64_t number = 0; number < 2000; ++number) host.request(number);
  const auto& victims = host.victims();
  ASSERT_GT(victims.size(), 1000u);
  for (std::size_t i = 0; i < victims.size(); ++i) ASSERT_EQ(victims[i], base::Random(i)());
}

TEST(GlCacheUntrained, SaysSo) {
  GlCache cache(Settings{}, std::make_unique<NoLearner>(), 1);
  EXPECT_EQ(value_of(cache, "untrained"), 1);
  EXPECT_EQ(value_of(cache, "untrained_nothing_evicted"), 1);
  Host host(cache, nullptr, 1, 300);
  host.set_capacity(1000);
  for (int i = 0; i < 1000; ++i) host.step();
  EXPECT_EQ(value_of(cache, "untrained"), 1);
  EXPECT_EQ(value_of(cache, "untrained_nothing_evicted"), 0);
  EXPECT_EQ(value_of(cache, "untrained_collecting_rows"), 1);
  EXPECT_GT(value_of(cache, "untrained_requests"), 1);
}

struct Subject {
  const char* name;
  Settings settings;
};

class GlCacheProperty : public testing::TestWithParam<Subject> {};

TEST_P(GlCacheProperty, KnowsItsMembersThroughManyTrainings) {
  std::uint64_t victims = 0, watched = 0;
  int lessons = 0;
  for (std::uint64_t seed = 1; seed <= 8 && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    GlCache cache(hasty(GetParam().settings), std::make_unique<CountingLearner>(lessons, false), seed);
    Host host(cache, nullptr, seed, 400);
    for (int i = 0; i < 12'000 && !HasFailure(); ++i) {
      const int before = lessons;
      const std::size_t watched_before = cache.watched();
      host.step();
      if (lessons == before) continue;
      watched += watched_before;
      EXPECT_EQ(cache.watched(), 0u) << "watches outlive a training";
    }
    EXPECT_TRUE(cache.trained());
    host.drain();
    victims += host.victims().size();
  }
  EXPECT_GT(lessons, 8 * 16);
  EXPECT_GT(watched, 0u);
  EXPECT_GT(victims, 8000u);
}

INSTANTIATE_TEST_SUITE_P(Settings, GlCacheProperty,
                         testing::Values(Subject{"Objects", for_objects()}, Subject{"Bytes", for_bytes()},
                                         Subject{"Efficient", efficient()}, Subject{"Throughput", throughput()}),
                         [](const auto& test) { return test.param.name; });

TEST(GlCache, RunsRepeatExactlyOnAnyLearner) {
  std::vector<std::vector<std::uint64_t>> victims;
  for (const bool background : {false, true, true}) {
    GlCache cache(hasty(Settings{}), background ? make_background_learner(1) : make_synchronous_learner(), 3);
    Host host(cache, nullptr, 3, 400);
    for (int i = 0; i < 8000 && !HasFailure(); ++i) host.step();
    EXPECT_TRUE(cache.trained());
    victims.push_back(host.victims());
  }
  EXPECT_EQ(victims[0], victims[1]);
  EXPECT_EQ(victims[1], victims[2]);
}

TEST(GlCache, GroupsOfBytesAreOneSegmentEach) {
  Settings settings = hasty(efficient());
  settings.group_objects = kGroupObjectsMax;
  settings.group_bytes = 400;
  settings.groups_min = 1;
  int lessons = 0;
  GlCache cache(settings, std::make_unique<CountingLearner>(lessons, false), 5);
  Host host(cache, nullptr, 5, 400);
  for (int i = 0; i < 12'000 && !HasFailure(); ++i) host.step();
  EXPECT_GT(lessons, 3);
  host.drain();
}

TEST(GlCache, ATrainingThatFailsIsReportedAndTheCacheGoesOn) {
  int lessons = 0;
  GlCache cache(hasty(Settings{}), std::make_unique<CountingLearner>(lessons, true), 5);
  Host host(cache, nullptr, 5, 400);
  for (int i = 0; i < 8000 && !HasFailure(); ++i) host.step();
  EXPECT_GT(lessons, 1);
  EXPECT_FALSE(cache.trained());
  EXPECT_GT(value_of(cache, "training_failures"), 1);
  EXPECT_EQ(value_of(cache, "untrained_trainings_failed"), 1);
  host.drain();
}

TEST(GlCache, KeepsItsLessonWhileTheLearnerIsBusy) {
  int lessons = 0;
  bool free = false;
  GlCache cache(hasty(Settings{}), std::make_unique<BusyLearner>(lessons, free), 5);
  Host host(cache, nullptr, 5, 1);
  host.set_capacity(2000);
  for (std::uint64_t number = 0; number < 5000; ++number) host.request(number);
  EXPECT_EQ(lessons, 0);
  EXPECT_EQ(value_of(cache, "untrained_collecting_rows"), 1);
  EXPECT_GE(value_of(cache, "snapshot_rows"), 16);
  free = true;
  host.request(5000);
  EXPECT_EQ(lessons, 1) << "at the next miss, without another period";
  EXPECT_EQ(value_of(cache, "untrained_waiting_for_learner"), 1);
}

TEST(GlCache, ItsModelCanBeInspected) {
  GlCache cache(hasty(Settings{}), make_synchronous_learner(), 5);
  Host host(cache, nullptr, 5, 400);
  for (int i = 0; i < 8000 && !HasFailure(); ++i) host.step();
  EXPECT_EQ(value_of(cache, "untrained"), 0);
  double whole = 0;
  for (const auto name : kGainNames) whole += value_of(cache, name).value_or(0);
  EXPECT_NEAR(whole, 1, 0.01);
  EXPECT_GT(value_of(cache, "trainings"), 1);
  EXPECT_GT(value_of(cache, "training_us"), 0);
  EXPECT_GT(value_of(cache, "rows"), 16);
  EXPECT_GT(value_of(cache, "overhead_bytes"), 0);
}

// As many objects as a small shard of a server has, and all that learning takes beside them.
TEST(GlCache, LearnsWithinItsPartOfAShard) {
  constexpr std::uint64_t kShardBytes = 4 << 20;
  constexpr std::uint64_t kObjects = 8000;
  GlCache cache(for_shard(Settings{}, kShardBytes), make_synchronous_learner(), 1);
  Host host(cache, nullptr, 1, 1);
  host.set_capacity(kObjects * 50);  // The mean size of the host's objects.
  base::Random random(9);
  double most = 0;
  for (int i = 0; i < 300'000; ++i) {
    host.request(std::min(random.below(40'000), random.below(40'000)));
    if (i % 1000 == 0) most = std::max(most, value_of(cache, "learning_bytes").value_or(0));
  }
  EXPECT_TRUE(cache.trained());
  EXPECT_GT(value_of(cache, "trainings"), 2);
  EXPECT_LE(value_of(cache, "rows"), 512);
  EXPECT_LT(most, kShardBytes / 14);
}

TEST(GlCacheSettings, FollowTheShard) {
  const Settings whole = within_limits(for_shard(Settings{}, kFullLearningBytes));
  EXPECT_EQ(whole.rows_max, Settings{}.rows_max);
  EXPECT_EQ(whole.trial_victims, Settings{}.trial_victims);
  EXPECT_EQ(whole.adopt_part, 0) << "nobody may wait under a shard's lock";
  EXPECT_EQ(for_shard(Settings{}, 64 * kFullLearningBytes).rows_max, whole.rows_max);
  const Settings half = within_limits(for_shard(Settings{}, kFullLearningBytes / 2));
  EXPECT_EQ(half.rows_max, whole.rows_max / 2);
  EXPECT_EQ(half.watches_max, whole.watches_max / 2);
  for (const std::uint64_t bytes : {std::uint64_t{0}, kFullLearningBytes / 8}) {
    const Settings least = within_limits(for_shard(Settings{}, bytes));
    EXPECT_EQ(least.rows_max, whole.rows_max / 8);
    EXPECT_EQ(least.trial_victims, whole.trial_victims / 8);
    EXPECT_GE(least.snapshot_rows, 2 * least.rows_min) << "enough to train at all";
  }
}

// Objects of two kinds come in turns of a hundred: one kind is asked for again and again, the other never. Only a cache that
// has learned tells their groups apart while both are as young.
TEST(GlCache, LearningPays) {
  std::uint64_t misses[2] = {0, 0};
  for (const bool learns : {false, true}) {
    Settings settings = hasty(efficient());
    settings.snapshot_requests_max = 4000;
    std::unique_ptr<Learner> learner = std::make_unique<NoLearner>();
    if (learns) learner = make_synchronous_learner();
    GlCache cache(settings, std::move(learner), 1);
    Host host(cache, nullptr, 1, 1);
    host.set_capacity(20'000);
    base::Random random(9);
    std::uint64_t never_again = 1'000'000;
    for (int i = 0; i < 120'000; ++i) host.request((i / 100) % 2 == 0 ? random.below(500) : ++never_again);
    EXPECT_EQ(cache.trained(), learns);
    misses[learns] = host.misses();
  }
  EXPECT_LT(static_cast<double>(misses[true] - 60'000), static_cast<double>(misses[false] - 60'000) * 0.8);
}

}  // namespace
}  // namespace freshet::eviction::gl_cache
