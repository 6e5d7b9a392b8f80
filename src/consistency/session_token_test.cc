// Session tokens: what is written is read again; what is none is refused.
#include "consistency/session_token.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace freshet::consistency {
namespace {

RC_GTEST_PROP(SessionToken, text_is_read_back, ()) {
  SessionToken token;
  token.system = std::to_string(*rc::gen::arbitrary<std::uint64_t>());
  token.timeline = *rc::gen::element<std::string>("00000001", "0000002A", "FFFFFFFF");
  auto& moment = *rc::gen::arbitrary<bool>() ? token.position : token.xid;
  moment = *rc::gen::inRange<std::uint64_t>(1, UINT64_MAX);
  const auto parsed = SessionToken::parse(token.to_text());
  RC_ASSERT(parsed.has_value());
  RC_ASSERT(*parsed == token);
}

TEST(SessionToken, Spellings) {
  const auto by_position = SessionToken::parse("7301234567890123456-00000001-L16/B374D848");
  ASSERT_TRUE(by_position);
  EXPECT_EQ(by_position->system, "7301234567890123456");
  EXPECT_EQ(by_position->timeline, "00000001");
  EXPECT_EQ(by_position->position, 0x16B374D848u);
  EXPECT_EQ(by_position->xid, 0u);
  const auto by_xid = SessionToken::parse("7301234567890123456-0000000A-X748");
  ASSERT_TRUE(by_xid);
  EXPECT_EQ(by_xid->xid, 748u);
  EXPECT_EQ(by_xid->position, 0u);
}

TEST(SessionToken, WhatIsNoneIsRefused) {
  for (const auto* text :
       {"", "1", "1-00000001", "1-00000001-", "1-00000001-L", "1-00000001-X", "1-00000001-L0/0", "1-00000001-X0",
        "1-00000001-X12a", "1-00000001-X-1", "1-00000001-X18446744073709551616", "1-00000001-Z1", "1-1-X1",
        "1-0000000a-X1", "-00000001-X1", "123456789012345678901-00000001-X1", "a-00000001-X1", "1-00000001-L1",
        "1-00000001-x1", " 1-00000001-X1"}) {
    const auto parsed = SessionToken::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
  }
}

}  // namespace
}  // namespace freshet::consistency
