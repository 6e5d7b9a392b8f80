// Distributions of keys and of sizes against what they promise, with fixed seeds.
#include "load/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "base/random.h"
#include "load/values.h"

namespace freshet::load {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Six standard deviations: with fixed seeds a failure is a fault, not bad luck.
void expect_share(std::uint64_t count, std::uint64_t draws, double share) {
  const double expected = static_cast<double>(draws) * share;
  EXPECT_NEAR(static_cast<double>(count), expected, 6 * std::sqrt(expected + 1));
}

std::vector<std::string> take(KeySource& source, int count) {
  std::vector<std::string> keys;
  for (int i = 0; i < count; ++i) keys.emplace_back(source.next());
  return keys;
}

TEST(NumberedKeys, AreNamedAsRedisBenchmarkNamesThem) {
  auto keys = *numbered_keys("key:", 1'234'568, 0);
  auto each = keys->each(1'234'566, 1'234'568);
  EXPECT_THAT(take(*each, 3), ElementsAre("key:000001234566", "key:000001234567", ""));
  EXPECT_EQ(keys->size(), 1'234'568u);
}

TEST(NumberedKeys, DrawEachUniformly) {
  constexpr std::uint64_t kKeys = 100, kDraws = 100'000;
  auto draws = (*numbered_keys("k", kKeys, 0))->draws(5);
  std::map<std::string, std::uint64_t> counts;
  for (const auto& key : take(*draws, kDraws)) ++counts[key];
  EXPECT_EQ(counts.size(), kKeys);
  for (const auto& [key, count] : counts) expect_share(count, kDraws, 1.0 / kKeys);
}

TEST(NumberedKeys, SpreadThePopularOnes) {
  constexpr std::uint64_t kKeys = 1000;
  constexpr int kDraws = 200'000;
  auto draws = (*numbered_keys("", kKeys, 1))->draws(6);
  std::map<std::string, std::uint64_t> counts;
  for (const auto& key : take(*draws, kDraws)) ++counts[key];
  std::vector<std::pair<std::uint64_t, std::uint64_t>> by_count;
  for (const auto& [key, count] : counts) by_count.emplace_back(count, std::stoull(key));
  std::sort(by_count.rbegin(), by_count.rend());
  EXPECT_GT(by_count.size(), 990u);  // Every rank has a key of its own, but some hardly come up.
  double sum = 0;
  for (std::uint64_t k = 1; k <= kKeys; ++k) sum += 1.0 / static_cast<double>(k);
  expect_share(by_count[0].first, kDraws, 1 / sum);
  const auto gap = std::abs(static_cast<double>(by_count[0].second) - static_cast<double>(by_count[1].second));
  EXPECT_GT(gap, 100);
}

TEST(NumberedKeys, RefuseWhatCannotBe) {
  EXPECT_FALSE(numbered_keys("key:", 0, 0));
  EXPECT_FALSE(numbered_keys("key:", kKeysMax + 1, 0));
  EXPECT_FALSE(numbered_keys("key:", 10, -1));
  EXPECT_FALSE(numbered_keys("key:", 10, std::nan("")));
  EXPECT_FALSE(numbered_keys(std::string(kKeyBytesMax, 'k'), 10, 0));
}

class ListedKeysTest : public testing::Test {
 protected:
  std::string write(std::string_view text) {
    const auto path = testing::TempDir() + "freshet-listed-keys-" + std::to_string(base::entropy());
    std::ofstream(path) << text;
    paths_.push_back(path);
    return path;
  }
  ~ListedKeysTest() override {
    for (const auto& path : paths_) std::remove(path.c_str());
  }
  std::vector<std::string> paths_;
};

TEST_F(ListedKeysTest, ComeInTheFilesOrderOverAndOver) {
  auto keys = *listed_keys(write("b\na\r\n\nb\nc"));
  EXPECT_EQ(keys->size(), 3u);
  EXPECT_THAT(take(*keys->draws(1), 6), ElementsAre("b", "a", "b", "c", "b", "a"));
  EXPECT_THAT(take(*keys->each(0, 3), 4), ElementsAre("b", "a", "c", ""));
}

TEST_F(ListedKeysTest, ThreadsShareOnePlace) {
  std::string text;
  for (int i = 0; i < 64'000; ++i) text += std::to_string(i) + "\n";
  auto keys = *listed_keys(write(text));
  std::vector<std::string> first, second;
  std::thread other([&] { second = take(*keys->draws(1), 32'000); });
  first = take(*keys->draws(2), 32'000);
  other.join();
  std::set<std::string> all(first.begin(), first.end());
  all.insert(second.begin(), second.end());
  EXPECT_EQ(all.size(), 64'000u);
}

TEST_F(ListedKeysTest, NameTheFileAndTheLineThatAreWrong) {
  EXPECT_THAT(listed_keys("no-such-file").error().what, HasSubstr("no-such-file"));
  EXPECT_THAT(listed_keys(write("\n")).error().what, HasSubstr("holds no keys"));
  const auto path = write("a\n" + std::string(kKeyBytesMax + 1, 'k') + "\n");
  EXPECT_THAT(listed_keys(path).error().what, HasSubstr(path + ":2: "));
}

TEST_F(ListedKeysTest, TracesAreReplayedInTheirOrder) {
  std::string bytes;
  for (const std::uint64_t id : {7, 9, 7}) {  // oracleGeneral: time, id, size, next access.
    bytes.append(4, '\1');
    bytes.append(reinterpret_cast<const char*>(&id), 8);
    bytes.append("\x64\0\0\0", 4);
    bytes.append(8, '\xff');
  }
  trace::ReadOptions options;
  options.format = trace::Format::oracle_general;
  const auto path = write(bytes);
  const auto keys = traced_keys(path, options);
  ASSERT_TRUE(keys) << keys.error().what;
  EXPECT_EQ((*keys)->size(), 2u);
  const auto taken = take(*(*keys)->draws(1), 5);
  EXPECT_EQ(taken[0], taken[2]);
  EXPECT_EQ(taken[0], taken[3]);
  EXPECT_EQ(taken[1], taken[4]);
  EXPECT_NE(taken[0], taken[1]);
  EXPECT_EQ(taken[0].size(), 20u);
  EXPECT_THAT(take(*(*keys)->each(0, 2), 3), ElementsAre(taken[0], taken[1], ""));
}

TEST_F(ListedKeysTest, ATraceThatIsCutOffIsAnError) {
  trace::ReadOptions options;
  options.format = trace::Format::oracle_general;
  EXPECT_THAT(traced_keys(write(std::string(30, '\1')), options).error().what, HasSubstr("record 2"));
}

TEST(ValueSizes, FixedAndWithinARange) {
  EXPECT_EQ(ValueSizes::parse("4KiB")->of("any"), 4096u);
  EXPECT_EQ(ValueSizes::parse("0")->of("any"), 0u);
  const auto range = *ValueSizes::parse("10-13");
  std::map<std::size_t, std::uint64_t> counts;
  for (int i = 0; i < 40'000; ++i) ++counts[range.of("key" + std::to_string(i))];
  EXPECT_EQ(counts.size(), 4u);
  for (const auto& [size, count] : counts) {
    EXPECT_TRUE(size >= 10 && size <= 13);
    expect_share(count, 40'000, 0.25);
  }
}

TEST(ValueSizes, LogNormal) {
  const auto sizes = *ValueSizes::parse("lognormal:300:1.2");
  double sum = 0, squares = 0;
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    const double log = std::log(static_cast<double>(sizes.of("key" + std::to_string(i))));
    sum += log;
    squares += log * log;
  }
  const double mean = sum / kDraws;
  EXPECT_NEAR(mean, std::log(300), 0.03);
  EXPECT_NEAR(std::sqrt(squares / kDraws - mean * mean), 1.2, 0.03);
}

TEST(ValueSizes, RefuseWhatTheyCannotRead) {
  for (const char* text : {"", "x", "-5", "5-", "9-3", "1TiB", "lognormal:300", "lognormal:0:1", "lognormal:300:x",
                           "lognormal:300:-1", "lognormal:300:9", "lognormal:300:1.2x"}) {
    EXPECT_FALSE(ValueSizes::parse(text)) << text;
  }
}

TEST(Values, AKeysValueIsAlwaysTheSame) {
  const Values one(*ValueSizes::parse("50-500")), other(*ValueSizes::parse("50-500"));
  EXPECT_EQ(one.of("a"), other.of("a"));
  EXPECT_NE(one.of("a"), one.of("b"));
  EXPECT_EQ(Values(*ValueSizes::parse("1MiB")).of("a").size(), std::size_t{1} << 20);
}

}  // namespace
}  // namespace freshet::load
