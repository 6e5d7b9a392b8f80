// Trees read from XGBoost's text, and what of it is refused.
#include "eviction/gl_cache/trees.h"

#include <gtest/gtest.h>

namespace freshet::eviction::gl_cache {
namespace {

constexpr std::string_view kTree =
    "0:[f4<10.5] yes=1,no=2,missing=1,gain=8.5,cover=100\n"
    "\t1:leaf=-0.25,cover=40\n"
    "\t2:[f3<4096] yes=3,no=4,missing=3,gain=1.5,cover=60\n"
    "\t\t3:leaf=0.5,cover=30\n"
    "\t\t4:leaf=1e-05,cover=30\n";

Features with(float age, float mean_size) {
  Features features{};
  features[kAge] = age;
  features[kMeanSize] = mean_size;
  return features;
}

TEST(Trees, TakesTheBranchesOfTheText) {
  Trees trees(0.125);
  ASSERT_TRUE(trees.add(kTree));
  EXPECT_FLOAT_EQ(trees.predict(with(10, 5000)), 0.125 - 0.25);
  EXPECT_FLOAT_EQ(trees.predict(with(10.5, 4095)), 0.125 + 0.5) << "not below the threshold is above it";
  EXPECT_FLOAT_EQ(trees.predict(with(11, 4096)), 0.125 + 1e-05);
  EXPECT_FLOAT_EQ(trees.gain()[kAge], 8.5);
  EXPECT_FLOAT_EQ(trees.gain()[kMeanSize], 1.5);
}

TEST(Trees, SumsItsTrees) {
  Trees trees;
  ASSERT_TRUE(trees.add(kTree));
  ASSERT_TRUE(trees.add("0:leaf=2,cover=1\n"));
  ASSERT_TRUE(trees.add(kTree));
  EXPECT_EQ(trees.size(), 3u);
  EXPECT_FLOAT_EQ(trees.predict(with(10, 0)), 2 - 0.5);
  EXPECT_FLOAT_EQ(trees.gain()[kAge], 17);
}

TEST(Trees, ManyAtOnceAreAsOneByOne) {
  Trees trees(0.125);
  ASSERT_TRUE(trees.add(kTree));
  ASSERT_TRUE(trees.add("0:leaf=2,cover=1\n"));
  std::vector<Features> rows;
  for (int i = 0; i < 30; ++i) rows.push_back(with(static_cast<float>(i), static_cast<float>(i * 300)));
  std::vector<float> guessed;
  trees.predict(rows, guessed);
  ASSERT_EQ(guessed.size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(guessed[i], trees.predict(rows[i]));
}

TEST(Trees, WithoutTreesGuessesTheBase) { EXPECT_FLOAT_EQ(Trees(0.75).predict(with(1, 1)), 0.75); }

TEST(Trees, RefusesWhatIsNoTree) {
  for (const std::string_view text :
       {"", "nonsense", "0:leaf=", "0:leaf=x", "0:[f99<1] yes=1,no=2,missing=1,gain=1,cover=1\n1:leaf=1\n2:leaf=1\n",
        "0:[f4<1] yes=1,no=2,missing=1,gain=1,cover=1\n1:leaf=1\n", "0:[f4<1] yes=1,no=2,missing=1\n1:leaf=1\n2:leaf=1\n",
        "0:[f4<1] yes=0,no=1,missing=1,gain=1,cover=1\n1:leaf=1\n",
        "99999999:leaf=1\n"}) {
    Trees trees(0.5);
    const auto added = trees.add(text);
    ASSERT_FALSE(added) << text;
    EXPECT_FALSE(added.error().remedy.empty());
    EXPECT_EQ(trees.size(), 0u);
    EXPECT_FLOAT_EQ(trees.predict(with(1, 1)), 0.5) << "a refused tree leaves the others as they were";
  }
}

}  // namespace
}  // namespace freshet::eviction::gl_cache
