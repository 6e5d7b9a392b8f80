// The self-test must pass, and must be able to fail: see that its cases are both legal and illegal.
#include "checker/history/selftest.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace freshet::checker {
namespace {

TEST(SelfTest, EveryCaseIsJudgedAsItShould) {
  for (const SelfTestResult& result : run_self_test()) {
    EXPECT_TRUE(result.search_agrees) << result.name << '\n' << render_timeline(result.offending);
    EXPECT_TRUE(result.online_agrees) << result.name;
  }
}

TEST(SelfTest, HoldsLegalAndCorruptedCases) {
  const auto cases = self_test_cases();
  EXPECT_GE(std::ranges::count_if(cases, &SelfTestCase::legal), 5);
  EXPECT_GE(std::ranges::count_if(cases, [](const SelfTestCase& test) { return !test.legal && test.online; }), 7);
}

}  // namespace
}  // namespace freshet::checker
