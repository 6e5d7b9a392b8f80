// Hand-made histories: each kind of operation, unknown outcomes, long histories, and what is printed of a violation.
#include "checker/history/linearizability.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "checker/history/history_builder.h"

namespace freshet::checker {
namespace {

std::string name(std::string text, int number) { return text.append(std::to_string(number)); }

Verdict verdict_of(HistoryBuilder& h) { return check_key(h.take()).verdict; }

TEST(Linearizability, EmptyAndSingle) {
  EXPECT_EQ(check_key({}).verdict, Verdict::legal);
  HistoryBuilder h;
  h.get(1, 0, 10, std::nullopt);
  EXPECT_EQ(verdict_of(h), Verdict::legal);
  h.get(1, 0, 10, "a");
  EXPECT_EQ(verdict_of(h), Verdict::violation);
}

TEST(Linearizability, ReadsMayFallOnEitherSideOfAWriteInFlight) {
  HistoryBuilder h;
  h.set(1, 0, 100, "a");
  h.get(2, 10, 20, std::nullopt);
  h.get(2, 30, 40, "a");
  EXPECT_EQ(verdict_of(h), Verdict::legal);
  h.set(1, 0, 100, "a");
  h.get(2, 10, 20, "a");
  h.get(2, 30, 40, std::nullopt);
  EXPECT_EQ(verdict_of(h), Verdict::violation);
}

TEST(Linearizability, TouchingIntervalsCountAsConcurrent) {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.get(2, 10, 20, std::nullopt);
  EXPECT_EQ(verdict_of(h), Verdict::legal);
}

TEST(Linearizability, IncrementAndAppend) {
  HistoryBuilder h;
  h.set(1, 0, 10, "5");
  h.increment(2, 20, 50, 7);
  h.increment(3, 20, 50, 6);
  h.write(Kind::append, 1, 60, 70, "0").length = 2;
  h.get(1, 80, 90, "70");
  EXPECT_EQ(verdict_of(h), Verdict::legal);
  h.write(Kind::append, 1, 0, 10, "ab").length = 3;
  EXPECT_EQ(verdict_of(h), Verdict::violation);
  h.set(1, 0, 10, "abc");
  h.increment(2, 20, 30, 1);
  EXPECT_EQ(verdict_of(h), Verdict::violation) << "text is no number";
}

TEST(Linearizability, Conditions) {
  HistoryBuilder h;
  h.write(Kind::set_if_absent, 1, 0, 10, "a");
  h.write(Kind::set_if_absent, 1, 20, 30, "b", Outcome::ok, false);
  h.write(Kind::compare_value, 1, 40, 50, "c").expected = "a";
  h.write(Kind::compare_value, 1, 60, 70, "d", Outcome::ok, false).expected = "a";
  h.get(1, 80, 90, "c", 9);
  h.write(Kind::compare_version, 1, 100, 110, "e", Outcome::ok, false).expected_version = 8;
  Operation& swap = h.write(Kind::compare_version, 1, 120, 130, "f");
  swap.expected_version = 9;
  swap.version = 12;
  h.get(2, 140, 150, "f", 12);
  EXPECT_EQ(verdict_of(h), Verdict::legal);
  h.get(1, 0, 10, std::nullopt);
  h.write(Kind::compare_version, 1, 20, 30, "a");
  h.write(Kind::compare_version, 1, 40, 50, "b");
  EXPECT_EQ(verdict_of(h), Verdict::violation) << "version 0 means absent";
}

TEST(Linearizability, VersionsGrowAcrossDeletes) {
  HistoryBuilder h;
  h.set(1, 0, 10, "a").version = 5;
  h.erase(1, 20, 30);
  h.set(1, 40, 50, "b").version = 5;
  EXPECT_EQ(verdict_of(h), Verdict::violation);
}

TEST(Linearizability, FailedOperationsProveNothing) {
  HistoryBuilder h;
  h.set(1, 0, 10, "a", Outcome::failed);
  h.get(2, 20, 30, std::nullopt);
  EXPECT_EQ(verdict_of(h), Verdict::legal);
}

TEST(Linearizability, ManyUnknownWritesStayCheap) {
  HistoryBuilder h;
  for (int i = 0; i < kInFlightMax - 4; ++i) {
    h.set(1, i * 20, i * 20 + 10, name("lost", i), Outcome::unknown);
    h.set(2, i * 20 + 12, i * 20 + 18, name("kept", i));
    h.get(3, i * 20 + 19, i * 20 + 20, name("kept", i));
  }
  h.get(3, 10'000, 10'010, "lost7");
  const std::vector<Operation> history = h.take();
  std::vector<const Operation*> operations;
  for (const Operation& operation : history) operations.push_back(&operation);
  const SearchOutcome outcome = find_order(operations, {}, 1'000'000);
  EXPECT_EQ(outcome.verdict, Verdict::legal);
  EXPECT_LT(outcome.transitions, 500'000u);
}

TEST(Linearizability, SaysWhenItsLimitsAreReached) {
  HistoryBuilder h;
  for (int i = 0; i <= kInFlightMax; ++i) h.set(1, i, i + 1, std::to_string(i), Outcome::unknown);
  h.get(2, 200, 210, std::nullopt);
  const KeyVerdict slots = check_key(h.take());
  EXPECT_EQ(slots.verdict, Verdict::inconclusive);
  EXPECT_THAT(slots.reason, testing::HasSubstr("64 operations in flight"));
  for (int i = 0; i < 10; ++i) h.set(static_cast<std::uint32_t>(i), 0, 100, std::to_string(i));
  EXPECT_EQ(check_key(h.take(), {.transitions_max = 100}).verdict, Verdict::inconclusive);
}

// Thousands of operations around one stale read: three of them remain.
TEST(Shrinking, StaleReadAmongThousands) {
  HistoryBuilder h;
  for (int i = 0; i < 2000; ++i) {
    h.set(static_cast<std::uint32_t>(i % 4), i * 10, i * 10 + 25, name("v", i));
    h.get(9, i * 10 + 25, i * 10 + 26, name("v", i));
  }
  h.get(8, 30'000, 30'010, "v1200");
  h.get(8, 30'020, 30'030, "v1999");
  const KeyVerdict verdict = check_key(h.take());
  ASSERT_EQ(verdict.verdict, Verdict::violation);
  EXPECT_LE(verdict.offending.size(), 3u) << render_timeline(verdict.offending);
  EXPECT_THAT(render_timeline(verdict.offending), testing::HasSubstr("v1200"));
  EXPECT_THAT(verdict.reason, testing::HasSubstr("'v1200'"));
}

TEST(Shrinking, DoubleIncrementAmongThousands) {
  HistoryBuilder h;
  int value = 0;
  for (int i = 0; i < 1500; ++i) {
    h.increment(static_cast<std::uint32_t>(i % 3), i * 10, i * 10 + 9, ++value);
    if (i == 700) h.lost_increment(7, i * 10 + 1, i * 10 + 2), value += 2;
  }
  const KeyVerdict verdict = check_key(h.take());
  ASSERT_EQ(verdict.verdict, Verdict::violation);
  EXPECT_LE(verdict.offending.size(), 3u) << verdict.before << render_timeline(verdict.offending);
}

TEST(Shrinking, LostAppendInALongValue) {
  HistoryBuilder h;
  std::string value;
  for (int i = 0; i < 300; ++i) {
    const std::string part = name("<", i);
    h.write(Kind::append, 1, i * 10, i * 10 + 5, part);
    if (i != 250) value += part;
    h.get(2, i * 10 + 6, i * 10 + 9, value);
  }
  const KeyVerdict verdict = check_key(h.take());
  ASSERT_EQ(verdict.verdict, Verdict::violation);
  EXPECT_LE(verdict.offending.size(), 2u) << verdict.before << render_timeline(verdict.offending);
  EXPECT_THAT(verdict.before, testing::HasSubstr("the key held"));
}

}  // namespace
}  // namespace freshet::checker
