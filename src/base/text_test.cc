// Numbers with commas, and JSON strings.
#include "base/text.h"

#include <gtest/gtest.h>

namespace freshet::base {
namespace {

TEST(Text, NumbersHaveCommas) {
  EXPECT_EQ(with_commas(0), "0");
  EXPECT_EQ(with_commas(999), "999");
  EXPECT_EQ(with_commas(1'000), "1,000");
  EXPECT_EQ(with_commas(123'456), "123,456");
  EXPECT_EQ(with_commas(1'234'567), "1,234,567");
  EXPECT_EQ(with_commas(UINT64_MAX), "18,446,744,073,709,551,615");
}

TEST(Text, JsonStringsEscapeWhatTheyMust) {
  EXPECT_EQ(quote_json(""), R"("")");
  EXPECT_EQ(quote_json("a \"b\" \\ /"), R"("a \"b\" \\ /")");
  EXPECT_EQ(quote_json("\n\x01\x1f"), R"("\u000a\u0001\u001f")");
  EXPECT_EQ(quote_json("Zoë"), "\"Zoë\"");
}

}  // namespace
}  // namespace freshet::base
