// Sizes, durations, endpoints and near names: what is read, what is refused, and that printing is read back.
#include "base/config_values.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>

namespace freshet::base {
namespace {

TEST(ParseBytes, ReadsUnits) {
  EXPECT_EQ(*parse_bytes("0"), 0);
  EXPECT_EQ(*parse_bytes("1000"), 1000);
  EXPECT_EQ(*parse_bytes("1GiB"), 1ll << 30);
  EXPECT_EQ(*parse_bytes("512 mib"), 512ll << 20);
  EXPECT_EQ(*parse_bytes("3kB"), 3000);
  EXPECT_EQ(*parse_bytes("7B"), 7);
}

TEST(ParseBytes, RefusesTheRest) {
  for (const auto text : {"", "GiB", "-1", "1.5GiB", "1 G", "1GiBs", "9999999999GiB", "99999999999999999999", "1GiB "}) {
    const auto bytes = parse_bytes(text);
    ASSERT_FALSE(bytes) << text;
    EXPECT_NE(bytes.error().what.find(text), std::string::npos);
  }
}

RC_GTEST_PROP(ParseBytes, ReadsBackWhatIsPrinted, ()) {
  const auto bytes = *rc::gen::inRange<std::int64_t>(0, INT64_MAX) >> *rc::gen::inRange(0, 63);
  RC_ASSERT(*parse_bytes(format_bytes(bytes)) == bytes);
}

TEST(ParseDuration, ReadsUnits) {
  EXPECT_EQ(*parse_duration("0"), 0);
  EXPECT_EQ(*parse_duration("500ms"), 500 * kMillisecond);
  EXPECT_EQ(*parse_duration("1.5s"), 1500 * kMillisecond);
  EXPECT_EQ(*parse_duration("2 min"), 120 * kSecond);
  EXPECT_EQ(*parse_duration("1h"), 3600 * kSecond);
  EXPECT_EQ(*parse_duration("7us"), 7000);
  EXPECT_EQ(*parse_duration("0.25us"), 250);
}

TEST(ParseDuration, RefusesTheRest) {
  for (const auto text : {"", "5", "s", "-1s", "1.s", ".5s", "1.2.3s", "1 day", "1sms", "9999999999h", "1e3s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

RC_GTEST_PROP(ParseDuration, ReadsBackWhatIsPrinted, ()) {
  const auto duration = *rc::gen::inRange<std::int64_t>(0, INT64_MAX) >> *rc::gen::inRange(0, 63);
  RC_ASSERT(*parse_duration(format_duration(duration)) == duration);
}

TEST(ParseInteger, ReadsWholeNumbersOnly) {
  EXPECT_EQ(*parse_integer("-12"), -12);
  EXPECT_EQ(*parse_integer("9223372036854775807"), INT64_MAX);
  for (const auto text : {"", "1.0", "0x10", " 1", "1 ", "+1", "9223372036854775808"}) {
    EXPECT_FALSE(parse_integer(text)) << text;
  }
}

TEST(ParseEndpoint, ReadsNamesAndAddresses) {
  EXPECT_EQ(*parse_endpoint("127.0.0.1:6380"), (Endpoint{"127.0.0.1", 6380}));
  EXPECT_EQ(*parse_endpoint("cache.internal:0"), (Endpoint{"cache.internal", 0}));
  EXPECT_EQ(*parse_endpoint("[::1]:65535"), (Endpoint{"::1", 65535}));
}

TEST(ParseEndpoint, ReadsEveryAddress) {
  EXPECT_EQ(*parse_endpoint(":6380"), (Endpoint{"", 6380}));
  EXPECT_EQ(*parse_endpoint("*:6380"), (Endpoint{"", 6380}));
}

TEST(ParseEndpoint, RefusesTheRest) {
  for (const auto text : {"", "6380", "localhost", "localhost:", "localhost:65536", "localhost:-1", "::1:6380",
                          "[]:1", "[::1:6380", "a b:1", "host:63x"}) {
    EXPECT_FALSE(parse_endpoint(text)) << text;
  }
}

TEST(EditDistance, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("listen", "lisen"), 1u);
  EXPECT_EQ(edit_distance("listen", "litsen"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

RC_GTEST_PROP(EditDistance, IsADistance, (const std::string& a, const std::string& b)) {
  RC_ASSERT(edit_distance(a, a) == 0u);
  RC_ASSERT(edit_distance(a, b) == edit_distance(b, a));
  RC_ASSERT(edit_distance(a, b) <= std::max(a.size(), b.size()));
}

TEST(NearestName, FindsTyposOnly) {
  constexpr std::array<std::string_view, 3> kNames = {"listen", "threads", "metrics"};
  EXPECT_EQ(nearest_name("lisen", kNames), "listen");
  EXPECT_EQ(nearest_name("thraeds", kNames), "threads");
  EXPECT_EQ(nearest_name("port", kNames), "");
  EXPECT_EQ(nearest_name("", kNames), "");
}

TEST(UnknownName, NamesTheNearestOrAll) {
  constexpr std::array<std::string_view, 2> kNames{"sieve", "clock"};
  const Error near = unknown_name("policy", "seive", kNames);
  EXPECT_EQ(near.what, "there is no policy \"seive\"");
  EXPECT_EQ(near.remedy, "did you mean \"sieve\"?");
  EXPECT_EQ(unknown_name("policy", "random", kNames).remedy, "it is one of sieve, clock");
}

}  // namespace
}  // namespace freshet::base
