// Labels beside an obviously right model, and the rules that the public implementation breaks.
#include "eviction/gl_cache/snapshot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/random.h"

namespace freshet::eviction::gl_cache {
namespace {

Features with_age(float age) {
  Features features{};
  features[kAge] = age;
  return features;
}

TEST(Snapshot, ALaterRequestCountsOnceByDistanceAndSize) {
  Snapshot snapshot(Objective::objects);
  snapshot.add_row(with_age(1), 100);
  snapshot.watch(7);
  snapshot.add_row(with_age(2), 100);
  snapshot.watch(8);
  snapshot.requested(7, 10, 104);  // 1 / (4 x 10)
  snapshot.requested(8, 10, 102);  // 1 / (2 x 10)
  const Lesson lesson = snapshot.take_lesson(1, 100);
  ASSERT_EQ(lesson.labels.size(), 2u);
  EXPECT_FLOAT_EQ(lesson.labels[0], std::sqrt(0.5F));
  EXPECT_FLOAT_EQ(lesson.labels[1], 1) << "scaled by the greatest, and rooted";
  EXPECT_EQ(lesson.rows[1][kAge], 2);
}

TEST(Snapshot, ObjectsAreWatchedUntilTheyAreRequestedOrTheTrainingComes) {
  Snapshot snapshot(Objective::objects);
  snapshot.add_row(with_age(1), 0);
  snapshot.watch(0xabc);
  snapshot.watch(0xdef);
  EXPECT_EQ(snapshot.watched(), 2u);
  snapshot.requested(0xabc, 10, 5);
  EXPECT_EQ(snapshot.watched(), 1u) << "an object counts once";
  snapshot.requested(0xabc, 10, 6);
  const Lesson lesson = snapshot.take_lesson(1, 100);
  EXPECT_EQ(lesson.labels, std::vector<float>{1});
  EXPECT_EQ(snapshot.watched(), 0u) << "watches die with the training";
  snapshot.requested(0xdef, 10, 7);
}

TEST(Snapshot, TheByteObjectiveLeavesTheSizeOut) {
  for (const auto objective : {Objective::objects, Objective::bytes}) {
    Snapshot snapshot(objective);
    for (const std::uint32_t size : {1U, 4U}) {
      snapshot.add_row(with_age(0), 0);
      snapshot.watch(size);
      snapshot.requested(size, size, 8);
    }
    EXPECT_FLOAT_EQ(snapshot.take_lesson(1, 10).labels[1], objective == Objective::objects ? 0.5 : 1);
  }
}

TEST(Snapshot, KeepsTheRowsOfEarlierLessonsUpToItsLimit) {
  Snapshot snapshot(Objective::objects);
  for (int lesson = 0; lesson < 5; ++lesson) {
    for (int i = 0; i < 4; ++i) {
      snapshot.add_row(with_age(static_cast<float>(lesson)), 0);
      snapshot.watch(static_cast<std::uint64_t>(i));
    }
    const Lesson taken = snapshot.take_lesson(1, 10);
    EXPECT_EQ(taken.rows.size(), std::min(4U * static_cast<unsigned>(lesson + 1), 10U));
    EXPECT_EQ(taken.rows.back()[kAge], static_cast<float>(lesson)) << "the latest are kept";
    EXPECT_EQ(snapshot.rows(), 0u);
  }
}

// Every object remembers the rows that wait for it; its next request answers all of them.
TEST(Snapshot, LabelsAreThoseOfTheModel) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    constexpr double kPatience = 3;
    constexpr std::uint64_t kKeys = 30;
    base::Random random(seed);
    Snapshot snapshot(Objective::objects);
    snapshot.set_patience(kPatience);
    std::map<std::uint64_t, std::vector<std::size_t>> waiting;  // Rows by key.
    std::vector<double> labels, times, objects;
    const auto count = [&](const std::vector<std::size_t>& rows, std::uint32_t size, std::uint64_t now) {
      for (const std::size_t row : rows) {
        labels[row] += 1 / ((std::max(1.0, static_cast<double>(now) - times[row]) + kPatience) * size);
      }
    };
    for (std::uint64_t now = 0; now < 1000; ++now) {
      const std::uint64_t key = random.below(kKeys);
      const auto size = static_cast<std::uint32_t>(1 + random.below(9));
      if (now % 10 == 0) {
        snapshot.add_row(with_age(static_cast<float>(now)), now);
        labels.push_back(0);
        times.push_back(static_cast<double>(now));
        objects.push_back(0);
        for (std::uint64_t watched = 0; watched < kKeys; ++watched) {
          if (random.chance(0.7)) continue;
          snapshot.watch(watched);
          waiting[watched].push_back(labels.size() - 1);
          objects.back() += 1;
        }
      } else {
        snapshot.requested(key, size, now);
        count(waiting[key], size, now);
        waiting.erase(key);
      }
      ASSERT_EQ(snapshot.watched(), waiting.size());
    }
    double greatest = 0;
    std::vector<double> expected;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (objects[i] == 0) continue;
      expected.push_back(labels[i] / objects[i]);
      greatest = std::max(greatest, expected.back());
    }
    const Lesson lesson = snapshot.take_lesson(1, 1000);
    ASSERT_EQ(lesson.labels.size(), expected.size());
    ASSERT_GT(greatest, 0);
    for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(lesson.labels[i], std::sqrt(expected[i] / greatest), 1e-6);
  }
}

}  // namespace
}  // namespace freshet::eviction::gl_cache
