// The demo's documents, its popularity law, and its picture.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cli/demo_data.h"
#include "cli/demo_screen.h"

namespace freshet::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

RC_GTEST_PROP(DemoDocument, TellsItsRevision, (std::uint32_t index)) {
  const auto revision = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("0123456789abc-")));
  const auto document = demo_document(index, revision);
  RC_ASSERT(revision_of(index, document) == revision);
  RC_ASSERT(document.size() >= 100u && document.size() <= 1000u);
}

RC_GTEST_PROP(DemoDocument, ShowsEveryChangedByte, ()) {
  auto document = demo_document(7, "3-99");
  const auto at = *rc::gen::inRange<std::size_t>(0, document.size());
  document[at] = static_cast<char>(document[at] ^ 1);
  RC_ASSERT(revision_of(7, document) == std::nullopt);
}

TEST(DemoDocument, BelongsToItsRecord) {
  EXPECT_EQ(revision_of(8, demo_document(7, "r")), std::nullopt);
  EXPECT_EQ(revision_of(7, ""), std::nullopt);
  EXPECT_EQ(revision_of(7, "{\"revision\":\"open"), std::nullopt);
}

TEST(Popularity, FollowsZipfsLaw) {
  constexpr int kDraws = 100'000;
  const Popularity popularity(100, 1.0);
  base::Random random(11);
  std::vector<int> drawn(100);
  for (int i = 0; i < kDraws; ++i) ++drawn[popularity.draw(random)];
  const double first = kDraws / 5.187;  // The 100th harmonic number.
  EXPECT_NEAR(drawn[0], first, first / 20);
  EXPECT_NEAR(drawn[1], first / 2, first / 20);
  EXPECT_NEAR(drawn[9], first / 10, first / 30);
}

TEST(Popularity, KnowsASingleItem) {
  const Popularity popularity(1, 0.99);
  base::Random random(1);
  EXPECT_EQ(popularity.draw(random), 0u);
}

DemoFigures some_figures() {
  DemoFigures figures;
  figures.seconds = 2;
  figures.reads = 20'000;
  figures.writes = 1'000;
  figures.hits = 9'000;
  figures.misses = 1'000;
  figures.direct_reads = 500;
  figures.checked = 20'500;
  figures.contended = 321;
  figures.read_ns.record(38'000, 20'000);
  figures.statements = 1'000;
  figures.paired_ns.record(30'000, 500);
  figures.bounded_ns.record(20'000, 500);
  figures.direct_ns.record(120'000, 500);
  return figures;
}

TEST(DemoScreen, ShowsRatesSinceTheLastPicture) {
  DemoScreen screen(false, "demo");
  auto figures = some_figures();
  EXPECT_THAT(screen.refresh(figures), HasSubstr("s  10,000 reads/s, 90.0 % from memory, p50 39 us"));
  figures.seconds = 3;
  figures.reads += 5'000;
  figures.read_ns.record(2'000'000, 5'000);
  EXPECT_THAT(screen.refresh(figures), HasSubstr("s  5,000 reads/s, - from memory, p50 2.0"));
}

TEST(DemoScreen, ReplacesItsPictureOnATerminal) {
  DemoScreen screen(true, "demo");
  EXPECT_THAT(screen.refresh(some_figures()), Not(HasSubstr("\x1b[12A")));
  const auto second = screen.refresh(some_figures());
  EXPECT_TRUE(second.starts_with("\x1b[12A"));
  EXPECT_EQ(std::count(second.begin(), second.end(), '\n'), 12) << "as many lines as it went up";
}

TEST(DemoScreen, NamesFailuresAndViolations) {
  auto figures = some_figures();
  const DemoScreen screen(false, "demo");
  EXPECT_THAT(screen.summary(figures), HasSubstr("violations 0"));
  EXPECT_THAT(screen.summary(figures), HasSubstr("one statement for every 20.0 reads"));
  EXPECT_THAT(screen.summary(figures), Not(HasSubstr("failed")));
  figures.violations = 2;
  figures.writes_failed = 7;
  EXPECT_THAT(screen.summary(figures), HasSubstr("violations 2"));
  EXPECT_THAT(screen.summary(figures), HasSubstr("failed: 7 writes, 0 reads"));
}

TEST(DemoScreen, WritesNumbersForPeople) {
  EXPECT_EQ(latency_text(0), "-");
  EXPECT_EQ(latency_text(1'500), "1.5 us");
  EXPECT_EQ(latency_text(38'400), "38 us");
  EXPECT_EQ(latency_text(1'250'000), "1.25 ms");
  EXPECT_EQ(latency_text(2'500'000'000), "2.50 s");
}

}  // namespace
}  // namespace freshet::cli
