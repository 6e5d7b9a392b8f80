// Turns, pairs and what is reported of them.
#include "load/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "load/fake_server.h"
#include "load/report.h"

namespace freshet::load {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Arguments = std::span<const std::string_view>;

Figures rate_of(double rate) {
  Figures figures;
  figures[static_cast<std::size_t>(Figure::rate)] = rate;
  return figures;
}

TEST(Ratio, IsTheMedianOfThePairs) {
  const std::vector<Figures> tens(3, rate_of(10));
  const auto ratio = ratio_of({rate_of(10), rate_of(30), rate_of(60)}, tens, Figure::rate);
  ASSERT_TRUE(ratio);
  EXPECT_DOUBLE_EQ(ratio->median, 3);
  EXPECT_DOUBLE_EQ(ratio->lowest, 1);
  EXPECT_DOUBLE_EQ(ratio->highest, 6);
  const auto even = ratio_of({rate_of(10), rate_of(30)}, {rate_of(10), rate_of(10)}, Figure::rate);
  EXPECT_DOUBLE_EQ(even->median, 2);
}

TEST(Ratio, LeavesOutPairsThatLackAFigure) {
  const auto ratio = ratio_of({rate_of(10), Figures(), rate_of(60)}, {rate_of(0), rate_of(10), rate_of(10)}, Figure::rate);
  ASSERT_TRUE(ratio);
  EXPECT_EQ(ratio->pairs, 1u);
  EXPECT_DOUBLE_EQ(ratio->median, 6);
  EXPECT_FALSE(ratio_of({rate_of(1)}, {rate_of(1)}, Figure::p99));
  EXPECT_FALSE(ratio_of({rate_of(1)}, {}, Figure::rate));
}

TEST(Ratio, ItsConfidenceIsThatOfCoinTosses) {
  EXPECT_DOUBLE_EQ((Ratio{1, 1, 1, 1}.confidence()), 0);
  EXPECT_DOUBLE_EQ((Ratio{1, 1, 1, 6}.confidence()), 0.96875);
}

class BenchTest : public testing::Test {
 protected:
  BenchTest() {
    plan_.shape.connections = 2;
    plan_.keys = *numbered_keys("key:", 50, 0);
    plan_.values = std::make_shared<Values>(*ValueSizes::parse("10"));
    plan_.rounds = 3;
    plan_.duration = 90 * base::kMillisecond;
    plan_.progress = [this](const std::string& text) { progress_.push_back(text); };
  }
  BenchPlan plan_;
  std::vector<std::string> progress_;
};

bool answer_null(Arguments, protocol::ReplyWriter& reply) {
  reply.null();
  return true;
}

TEST_F(BenchTest, MeasuresInTurnsAndReportsBoth) {
  const FakeServer one(answer_null), other(answer_null);
  const auto comparison = run_bench({{"one", one.target(), ""}, {"\"other\"", other.target(), ""}}, plan_);
  ASSERT_TRUE(comparison) << comparison.error().what;
  EXPECT_THAT(progress_, ElementsAre("round 1 of 3: one", "round 1 of 3: \"other\"", "round 2 of 3: \"other\"",
                                     "round 2 of 3: one", "round 3 of 3: one", "round 3 of 3: \"other\""));
  ASSERT_EQ(comparison->targets.size(), 2u);
  for (const auto& measured : comparison->targets) {
    EXPECT_EQ(measured.rounds.size(), 3u);
    EXPECT_EQ(measured.total.misses, measured.total.operations);
    EXPECT_GE(measured.total.seconds, 0.089);  // Longer on a busy machine.
    EXPECT_TRUE(measured.total.target_cpu_s);  // This process: it listens itself. By the clock's ticks it may be 0.
  }
  const auto json = json_of(*comparison);
  EXPECT_THAT(json, HasSubstr("{\"target\":\"one\",\"ops\":"));
  EXPECT_THAT(json, HasSubstr("{\"target\":\"\\\"other\\\"\",\"ops\":"));
  EXPECT_THAT(json, HasSubstr("\"ratios\":{\"ops_per_s\":{\"median\":"));
  const auto table = table_of(*comparison, plan_.shape);
  EXPECT_THAT(table, HasSubstr("3 pairs of rounds"));
  EXPECT_THAT(table, HasSubstr("keys were not found; --fill writes them first"));
}

TEST_F(BenchTest, FillsBeforeItMeasures) {
  std::atomic<int> sets{0};
  const FakeServer server([&](Arguments arguments, protocol::ReplyWriter& reply) {
    if (arguments[0] == "SET") ++sets;
    reply.ok();
    return true;
  });
  plan_.fill = true;
  const auto comparison = run_bench({{"one", server.target(), ""}}, plan_);
  ASSERT_TRUE(comparison);
  EXPECT_EQ(sets, 50);
  EXPECT_THAT(json_of(*comparison), Not(HasSubstr("ratios")));
}

TEST_F(BenchTest, AFillThatFailsIsAnError) {
  const FakeServer server([](Arguments, protocol::ReplyWriter& reply) {
    reply.error("READONLY you cannot write");
    return true;
  });
  plan_.fill = true;
  const auto comparison = run_bench({{"one", server.target(), ""}}, plan_);
  ASSERT_FALSE(comparison);
  EXPECT_THAT(comparison.error().what, HasSubstr("50 requests failed while one was filled: READONLY"));
}

TEST_F(BenchTest, KeepsWhatWasMeasuredBeforeAFailure) {
  std::atomic<bool> gone{false};
  const FakeServer server([&](Arguments, protocol::ReplyWriter& reply) {
    reply.null();
    return !gone;
  });
  plan_.progress = [&](const std::string& text) { gone = text.starts_with("round 2"); };
  const auto comparison = run_bench({{"one", server.target(), ""}}, plan_);
  ASSERT_TRUE(comparison);
  ASSERT_TRUE(comparison->failure);
  EXPECT_EQ(comparison->targets[0].rounds.size(), 1u);
  EXPECT_GT(comparison->targets[0].total.operations, 0u);
}

}  // namespace
}  // namespace freshet::load
