// The small words of the base: clocks, results, error names, references to callables.
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/function_ref.h"
#include "base/growth.h"
#include "freshet/result.h"

namespace freshet::base {
namespace {

TEST(Growth, LeavesLittleEmptyAndMovesSeldom) {
  std::vector<int> values;
  std::size_t moves = 0;
  const int* at = nullptr;
  for (int i = 0; i < 100'000; ++i) {
    append(values, i);
    if (values.data() != at) ++moves;
    at = values.data();
    ASSERT_LE(values.capacity(), values.size() + values.size() / 8 + 8);
  }
  EXPECT_LT(moves, 100u);
  for (int i = 0; i < 100'000; ++i) ASSERT_EQ(values[static_cast<std::size_t>(i)], i);
  grow_to(values, 100'002, 7);
  EXPECT_EQ(values.back(), 7);
}

TEST(Clock, NeverStepsBack) {
  auto before = now();
  for (int i = 0; i < 1000; ++i) {
    const auto after = now();
    ASSERT_GE(after, before);
    before = after;
  }
}

TEST(Clock, DeadlinesStayAtForever) {
  EXPECT_EQ(deadline_after(100, 50), 150);
  EXPECT_EQ(deadline_after(100, kForever), kForever);
  EXPECT_EQ(deadline_after(100, kForever - 100), kForever);
  EXPECT_EQ(deadline_after(100, kForever - 101), kForever - 1);
}

TEST(Result, HoldsAValueOrAnError) {
  Result<std::string> value = std::string("x");
  ASSERT_TRUE(value);
  EXPECT_EQ(*value, "x");
  EXPECT_EQ(value->size(), 1u);
  Result<std::string> error = Error::of(ErrorCode::busy, "full");
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error().what, "full");
  EXPECT_TRUE(Result<void>{});
  EXPECT_FALSE(Result<void>{Error{}});
}

TEST(Result, MovesWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  const auto pointer = *std::move(result);
  EXPECT_EQ(*pointer, 7);
}

TEST(Error, HasANameAndARetryRuleForEveryCode) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::internal); ++code) {
    EXPECT_TRUE(names.insert(name_of(static_cast<ErrorCode>(code))).second) << code;
  }
  EXPECT_EQ(Error::of(ErrorCode::unknown_outcome, "").retry, Retry::unsafe);
  EXPECT_EQ(Error::of(ErrorCode::guard_mismatch, "").retry, Retry::safe);
  EXPECT_EQ(Error::of(ErrorCode::wrong_type, "").retry, Retry::useless);
}

TEST(FunctionRef, CallsWhatItRefersTo) {
  int calls = 0;
  auto count = [&](int by) { return calls += by; };
  const FunctionRef<int(int)> reference = count;
  EXPECT_EQ(reference(2), 2);
  EXPECT_EQ(reference(3), 5);
  const auto apply = [](FunctionRef<std::string(std::string)> f) { return f("a"); };
  EXPECT_EQ(apply([](std::string text) { return text + "b"; }), "ab");
}

}  // namespace
}  // namespace freshet::base
