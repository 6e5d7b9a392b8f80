// Patterns: Redis's rules, and a bound on the work.
#include "server/commands/glob.h"

#include <gtest/gtest.h>

#include <string>

namespace freshet::server {
namespace {

TEST(Glob, FollowsRedis) {
  const struct {
    const char* pattern;
    const char* text;
    bool matches;
  } cases[] = {
      {"", "", true},          {"", "a", false},        {"*", "", true},          {"*", "abc", true},
      {"a*c", "abbc", true},   {"a*c", "abbd", false},  {"a?c", "abc", true},     {"a?c", "ac", false},
      {"[abc]x", "bx", true},  {"[^abc]x", "bx", false}, {"[^abc]x", "dx", true}, {"[a-c]", "b", true},
      {"[c-a]", "b", true},    {"[a-c]", "d", false},   {"\\*", "*", true},       {"\\*", "a", false},
      {"[\\]]", "]", true},    {"[abc", "c", true},     {"**a", "bba", true},     {"a*b*c", "a1b2b3c", true},
      {"a*b*c", "a1b2b3", false}, {"h[", "h", false},   {"a\\", "a\\", true},     {"*x", "yx", true},
      {"user:*", "user:", true},
  };
  for (const auto& each : cases)
    EXPECT_EQ(glob_matches(each.pattern, each.text), each.matches) << each.pattern << " " << each.text;
  EXPECT_TRUE(glob_matches("MAX*", "maxmemory", true));
  EXPECT_FALSE(glob_matches("MAX*", "maxmemory"));
}

TEST(Glob, ManyStarsStayCheap) {
  std::string pattern;
  for (int i = 0; i < 500; ++i) pattern += "a*";
  pattern += "b";
  EXPECT_FALSE(glob_matches(pattern, std::string(5'000, 'a')));
}

}  // namespace
}  // namespace freshet::server
