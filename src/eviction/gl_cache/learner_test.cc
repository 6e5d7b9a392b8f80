// The learner must learn what there is to learn, stop where there is nothing, and repeat exactly.
#include "eviction/gl_cache/learner.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace freshet::eviction::gl_cache {
namespace {

constexpr std::uint64_t kSeed = 7;

Features random_features(base::Random& random) {
  Features features;
  for (float& feature : features) feature = static_cast<float>(random.below(1000)) / 1000;
  return features;
}

// Old groups are worth little, unless they are active; the rest is noise.
float worth(const Features& features) { return features[kAge] > 0.5F ? features[kActive] * 0.5F : 0.75F; }

Lesson lesson_of(std::size_t rows, float (*label)(const Features&)) {
  base::Random random(kSeed);
  Lesson lesson;
  lesson.seed = kSeed;
  for (std::size_t i = 0; i < rows; ++i) {
    lesson.rows.push_back(random_features(random));
    lesson.labels.push_back(label(lesson.rows.back()));
  }
  return lesson;
}

TEST(Training, LearnsWhatThereIsToLearn) {
  const auto training = train(lesson_of(4000, worth));
  ASSERT_TRUE(training) << training.error().what;
  EXPECT_EQ(training->rows, 4000u);
  EXPECT_LT(training->error, 0.2F * training->error_of_mean);
  base::Random random(kSeed + 1);
  double squares = 0;
  for (int i = 0; i < 1000; ++i) {
    const Features features = random_features(random);
    squares += std::pow(training->trees.predict(features) - worth(features), 2);
  }
  EXPECT_LT(std::sqrt(squares / 1000), 0.2 * training->error_of_mean) << "rows that it has never seen";
  // It knows what it goes by.
  const Features& gain = training->trees.gain();
  float whole = 0;
  for (const float part : gain) whole += part;
  EXPECT_GT((gain[kAge] + gain[kActive]) / whole, 0.95F);
}

// The trees as Freshet evaluates them err by about as much as the library says: it sums the same trees.
TEST(Training, EvaluatesAsTheLibraryDoes) {
  const Lesson lesson = lesson_of(2000, worth);
  const auto training = train(lesson);
  ASSERT_TRUE(training);
  // Which rows validated is the trainer's own business; the error over all rows must be near the one that it reports.
  double squares = 0;
  for (std::size_t i = 0; i < lesson.rows.size(); ++i) {
    squares += std::pow(training->trees.predict(lesson.rows[i]) - lesson.labels[i], 2);
  }
  EXPECT_NEAR(std::sqrt(squares / 2000), training->error, 0.5 * training->error);
}

TEST(Training, StopsEarlyWhereThereIsNothingToLearn) {
  base::Random noise(kSeed);
  Lesson lesson = lesson_of(4000, worth);
  for (float& label : lesson.labels) label = static_cast<float>(noise.below(1000)) / 1000;
  const auto training = train(lesson);
  ASSERT_TRUE(training);
  EXPECT_LE(training->rounds, 4u);
  const auto learned = train(lesson_of(4000, worth));
  ASSERT_TRUE(learned);
  EXPECT_GT(learned->rounds, training->rounds);
  EXPECT_LE(learned->rounds, 20u);
}

TEST(Training, EqualLabelsAreLearned) {
  const auto training = train(lesson_of(500, [](const Features&) { return 0.25F; }));
  ASSERT_TRUE(training);
  base::Random random(1);
  EXPECT_NEAR(training->trees.predict(random_features(random)), 0.25, 1e-5);
}

TEST(Training, RepeatsExactly) {
  const auto one = train(lesson_of(1000, worth));
  const auto two = train(lesson_of(1000, worth));
  ASSERT_TRUE(one && two);
  base::Random random(3);
  for (int i = 0; i < 100; ++i) {
    const Features features = random_features(random);
    ASSERT_EQ(one->trees.predict(features), two->trees.predict(features));
  }
}

TEST(Training, SaysWhenRowsAreTooFew) {
  const auto training = train(lesson_of(1, worth));
  ASSERT_FALSE(training);
  EXPECT_NE(training.error().what.find("too few"), std::string::npos);
  EXPECT_FALSE(train({}));
}

TEST(Learners, SynchronousHasItAtOnceAndOnce) {
  const auto learner = make_synchronous_learner();
  EXPECT_FALSE(learner->take());
  EXPECT_TRUE(learner->teach(lesson_of(500, worth)));
  const auto outcome = learner->take();
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(*outcome);
  EXPECT_FALSE(learner->take());
}

TEST(Learners, BackgroundHasTheSameOutcome) {
  const auto learner = make_background_learner(1);
  EXPECT_FALSE(learner->wait()) << "nothing to wait for";
  ASSERT_TRUE(learner->teach(lesson_of(500, worth)));
  const auto outcome = learner->wait();
  ASSERT_TRUE(outcome && *outcome);
  const auto same = train(lesson_of(500, worth));
  base::Random random(5);
  const Features features = random_features(random);
  EXPECT_EQ((*outcome)->trees.predict(features), same->trees.predict(features));
  EXPECT_FALSE(learner->take());
}

TEST(Learners, BackgroundKeepsToItsShareOfTheTime) {
  const auto learner = make_background_learner(0.0001);
  ASSERT_TRUE(learner->teach(lesson_of(500, worth)));
  ASSERT_TRUE(learner->wait());
  EXPECT_FALSE(learner->teach(lesson_of(500, worth))) << "ten thousand times as long as it took have not passed";
  const auto eager = make_background_learner(1);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(eager->teach(lesson_of(100, worth)));
    ASSERT_TRUE(eager->wait());
  }
}

TEST(Learners, BackgroundTakesOneLessonAtATimeAndMayBeDestroyedAtWork) {
  const auto learner = make_background_learner(1);
  ASSERT_TRUE(learner->teach(lesson_of(8000, worth)));
  EXPECT_FALSE(learner->teach(lesson_of(500, worth)));
}

}  // namespace
}  // namespace freshet::eviction::gl_cache
