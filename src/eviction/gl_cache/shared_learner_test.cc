// Many learners on one thread: turns in order, a bounded queue, one budget, and ends at any time.
#include "eviction/gl_cache/shared_learner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/random.h"
#include "eviction/gl_cache/held_training.h"

namespace freshet::eviction::gl_cache {
namespace {

constexpr std::uint64_t kSeed = 11;
using Learners = std::vector<std::unique_ptr<Learner>>;
using Seeds = std::vector<std::uint64_t>;

Lesson lesson_of(std::uint64_t seed, std::size_t rows = 0) {
  base::Random random(kSeed);
  Lesson lesson;
  lesson.seed = seed;
  for (std::size_t i = 0; i < rows; ++i) {
    Features features{};
    features[kAge] = static_cast<float>(random.below(1000));
    lesson.rows.push_back(features);
    lesson.labels.push_back(features[kAge] < 500 ? 1.0F : 0.0F);
  }
  return lesson;
}

Learners learners_of(const std::shared_ptr<LearningThread>& thread, std::size_t count) {
  Learners learners;
  for (std::size_t i = 0; i < count; ++i) learners.push_back(LearningThread::make_learner(thread));
  return learners;
}

TEST(SharedLearner, HasTheSameOutcomeOnce) {
  const auto learner = LearningThread::make_learner(std::make_shared<LearningThread>(1));
  EXPECT_FALSE(learner->wait()) << "nothing to wait for";
  EXPECT_TRUE(learner->ready());
  ASSERT_TRUE(learner->teach(lesson_of(1, 500)));
  EXPECT_FALSE(learner->ready());
  const auto outcome = learner->wait();
  ASSERT_TRUE(outcome && *outcome);
  const auto same = train(lesson_of(1, 500));
  for (const float age : {10.0F, 900.0F}) {
    Features features{};
    features[kAge] = age;
    EXPECT_EQ((*outcome)->trees.predict(features), same->trees.predict(features));
  }
  EXPECT_FALSE(learner->take());
  EXPECT_TRUE(learner->ready());
}

TEST(SharedLearner, TellsOfATrainingThatFailed) {
  const auto learner = LearningThread::make_learner(std::make_shared<LearningThread>(1));
  ASSERT_TRUE(learner->teach(lesson_of(1, 1)));
  const auto outcome = learner->wait();
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(*outcome) << "a row is too few";
}

TEST(SharedLearner, WhoHadATurnStandsAtTheEndAgain) {
  HeldTraining held;
  const auto thread = std::make_shared<LearningThread>(1, held.train());
  const Learners learners = learners_of(thread, 3);
  ASSERT_TRUE(learners[0]->teach(lesson_of(100)));
  ASSERT_TRUE(held.wait_until_begun(1));
  EXPECT_FALSE(learners[0]->teach(lesson_of(101))) << "one at a time";
  EXPECT_FALSE(learners[0]->take());
  ASSERT_TRUE(learners[1]->teach(lesson_of(200)));
  ASSERT_TRUE(learners[2]->teach(lesson_of(300)));
  held.let(1);
  ASSERT_TRUE(learners[0]->wait());
  ASSERT_TRUE(learners[0]->teach(lesson_of(102)));
  held.let(3);
  for (const auto& learner : learners) EXPECT_TRUE(learner->wait());
  EXPECT_EQ(held.begun(), (Seeds{100, 200, 300, 102}));
}

TEST(SharedLearner, TheQueueIsBounded) {
  HeldTraining held;
  const auto thread = std::make_shared<LearningThread>(1, held.train());
  const Learners learners = learners_of(thread, LearningThread::kLessonsMax);
  for (const auto& learner : learners) ASSERT_TRUE(learner->teach(lesson_of(1)));
  const auto late = LearningThread::make_learner(thread);
  EXPECT_FALSE(late->ready());
  EXPECT_FALSE(late->teach(lesson_of(2)));
  held.let(LearningThread::kLessonsMax + 1);
  for (const auto& learner : learners) EXPECT_TRUE(learner->wait());
  EXPECT_TRUE(late->ready());
  EXPECT_TRUE(late->teach(lesson_of(3)));
  EXPECT_TRUE(late->wait());
}

TEST(SharedLearner, MayBeDestroyedWhileItsLessonWaitsOrIsAtWork) {
  HeldTraining held;
  const auto thread = std::make_shared<LearningThread>(1, held.train());
  Learners learners = learners_of(thread, 3);
  for (std::size_t i = 0; i < 3; ++i) ASSERT_TRUE(learners[i]->teach(lesson_of(i)));
  ASSERT_TRUE(held.wait_until_begun(1));
  learners[0].reset();
  learners[1].reset();
  held.let(2);
  EXPECT_TRUE(learners[2]->wait());
  EXPECT_EQ(held.begun(), (Seeds{0, 2})) << "nobody wants what came of the second";
}

TEST(SharedLearner, TheThreadEndsWithTheLastThatHoldsIt) {
  std::weak_ptr<LearningThread> known;
  std::unique_ptr<Learner> learner;
  {
    const auto thread = std::make_shared<LearningThread>(1);
    known = thread;
    learner = LearningThread::make_learner(thread);
  }
  EXPECT_FALSE(known.expired());
  ASSERT_TRUE(learner->teach(lesson_of(1, 100)));
  learner.reset();  // Waiting or at work: either way it ends.
  EXPECT_TRUE(known.expired());
}

TEST(SharedLearner, TheProcessHasOneThread) {
  std::weak_ptr<LearningThread> known;
  {
    const auto one = LearningThread::of_process();
    EXPECT_EQ(one, LearningThread::of_process());
    known = one;
  }
  EXPECT_TRUE(known.expired());
  EXPECT_TRUE(LearningThread::of_process()) << "and another one, when it is asked for again";
}

// Each of five trainings takes 4 ms at least; at a quarter of the time the last one begins four times 16 ms after the first.
TEST(SharedLearner, AllLessonsTogetherKeepToTheShareOfTheTime) {
  constexpr std::size_t kLessons = 5;
  constexpr base::Nanoseconds kSpent = 4 * base::kMillisecond;
  std::vector<base::Nanoseconds> begun;
  const auto thread = std::make_shared<LearningThread>(0.25, [&](const Lesson&) -> Result<Training> {
    begun.push_back(base::now());
    while (base::now() < begun.back() + kSpent) {
    }
    return Training{};
  });
  const Learners learners = learners_of(thread, kLessons);
  for (const auto& learner : learners) ASSERT_TRUE(learner->teach(lesson_of(1)));
  for (const auto& learner : learners) ASSERT_TRUE(learner->wait());
  EXPECT_GE(begun.back() - begun.front(), (kLessons - 1) * 4 * kSpent);
}

TEST(SharedLearner, ItsEndDoesNotWaitForTheRest) {
  const auto begin = base::now();
  {
    const auto learner = LearningThread::make_learner(std::make_shared<LearningThread>(0.0001));
    ASSERT_TRUE(learner->teach(lesson_of(1, 4000)));
    ASSERT_TRUE(learner->wait());
  }
  EXPECT_LT(base::now() - begin, 10 * base::kSecond) << "ten thousand times as long as the training took";
}

// For the thread sanitizer: learners come and go on several threads while the one thread is at work.
TEST(SharedLearner, LearnersOfManyThreads) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  constexpr int kThreads = 4;
  constexpr int kSteps = 5'000;
  std::atomic<int> trainings{0};
  std::atomic<int> outcomes{0};
  {
    const auto thread = std::make_shared<LearningThread>(1, [&](const Lesson& lesson) -> Result<Training> {
      ++trainings;
      Training training;
      training.rows = static_cast<std::uint32_t>(lesson.seed);
      return training;
    });
    std::vector<std::jthread> threads;
    for (int id = 0; id < kThreads; ++id) {
      threads.emplace_back([&, id] {
        base::Random random(kSeed + static_cast<std::uint64_t>(id));
        Learners learners = learners_of(thread, 8);
        for (int i = 0; i < kSteps; ++i) {
          const auto place = random.below(learners.size());
          auto& learner = learners[place];
          const auto kind = random.below(100);
          if (kind < 50) {
            learner->teach(lesson_of(place));
          } else if (kind < 95) {
            const auto outcome = kind < 60 ? learner->wait() : learner->take();
            if (!outcome) continue;
            EXPECT_EQ((*outcome)->rows, place);
            ++outcomes;
          } else {
            learner = LearningThread::make_learner(thread);
          }
        }
      });
    }
  }
  EXPECT_GT(outcomes, kThreads * kSteps / 20);
  EXPECT_GE(trainings, outcomes);
}

}  // namespace
}  // namespace freshet::eviction::gl_cache
