// The measurement of the library: that it measures hits, and writes that arrive.
#include "load/linked.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "load/report.h"

namespace freshet::load {
namespace {

LinkedPlan small_plan() {
  LinkedPlan plan;
  plan.keys = 2000;
  plan.seconds = 0.2;
  return plan;
}

TEST(Linked, ReadsFromMemory) {
  const auto figures = measure_linked(small_plan());
  ASSERT_TRUE(figures) << figures.error().what;
  EXPECT_GT(figures->operations, 1000u);
  EXPECT_EQ(figures->errors, 0u) << figures->error_text;
  EXPECT_LT(figures->misses, figures->operations / 10);  // Nearly all were read in the warm-up.
  EXPECT_GT(figures->map_operations_per_s, 0);
  EXPECT_GT(figures->cpu_s, 0);
  EXPECT_THAT(json_of(*figures), testing::StartsWith("{\"target\":\"linked\",\"ops\":"));
}

TEST(Linked, BatchesAndWritesFromSeveralThreads) {
  auto plan = small_plan();
  plan.threads = 2;
  plan.batch = 16;
  plan.writes = 0.1;
  const auto figures = measure_linked(plan);
  ASSERT_TRUE(figures) << figures.error().what;
  EXPECT_GT(figures->operations, 1000u);
  EXPECT_EQ(figures->errors, 0u) << figures->error_text;
}

}  // namespace
}  // namespace freshet::load
