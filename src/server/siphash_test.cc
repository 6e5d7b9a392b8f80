// SipHash against the values that its authors published.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "server/siphash.h"

namespace freshet::server {
namespace {

constexpr SipKey kPublished{0x0706050403020100, 0x0f0e0d0c0b0a0908};

std::string counting(std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text += static_cast<char>(i);
  return text;
}

TEST(SipHash, GivesThePublishedValues) {
  EXPECT_EQ(siphash(kPublished, ""), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(siphash(kPublished, counting(1)), 0x74f839c593dc67fdu);
  EXPECT_EQ(siphash(kPublished, counting(8)), 0x93f5f5799a932462u);
  EXPECT_EQ(siphash(kPublished, counting(15)), 0xa129ca6149be45e5u) << "the paper's own example";
}

TEST(SipHash, EveryLengthAndKeyHasAValueOfItsOwn) {
  std::set<std::uint64_t> values;
  for (std::size_t bytes = 0; bytes < 64; ++bytes) {
    values.insert(siphash(kPublished, counting(bytes)));
    values.insert(siphash({kPublished.first, kPublished.second + 1}, counting(bytes)));
    values.insert(siphash({kPublished.first + 1, kPublished.second}, counting(bytes)));
    values.insert(siphash(kPublished, std::string(bytes, '\0') + "x"));
  }
  EXPECT_EQ(values.size(), 4u * 64);
}

}  // namespace
}  // namespace freshet::server
