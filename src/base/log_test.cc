// Logging: levels, escaping, and that flush_log() waits for the lines.
#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace freshet::base {
namespace {

using testing::HasSubstr;

class LogTest : public testing::Test {
 protected:
  ~LogTest() override { set_log_level(LogLevel::info); }

  static std::string written_by(const std::function<void()>& speak) {
    testing::internal::CaptureStderr();
    speak();
    flush_log();
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(LogTest, WritesOneLineWithRoomAndLevel) {
  const auto text = written_by([] { log_warning("storage", "{} of {} connections lost", 3, 8); });
  EXPECT_THAT(text, HasSubstr("warning storage: 3 of 8 connections lost\n"));
}

TEST_F(LogTest, KeepsOrderAndWaits) {
  const auto text = written_by([] {
    for (int i = 0; i < 1000; ++i) log_info("test", "line {}", i);
  });
  std::size_t from = 0;
  for (int i = 0; i < 1000; ++i) {
    from = text.find("line " + std::to_string(i) + "\n", from);
    ASSERT_NE(from, std::string::npos) << i;
  }
}

TEST_F(LogTest, LeavesOutWhatIsBelowTheLevel) {
  set_log_level(LogLevel::error);
  EXPECT_EQ(written_by([] { log_warning("test", "unseen"); }), "");
  EXPECT_THAT(written_by([] { log_error("test", "seen"); }), HasSubstr("error test: seen"));
  set_log_level(LogLevel::off);
  EXPECT_EQ(written_by([] { log_error("test", "unseen"); }), "");
}

TEST_F(LogTest, EscapesWhatClientsMightSend) {
  EXPECT_EQ(escape_log_message("a\nb\x1b[2J\x7f é"), "a\\x0ab\\x1b[2J\\x7f é");
}

TEST(ParseLogLevel, KnowsItsNames) {
  EXPECT_EQ(parse_log_level("debug"), LogLevel::debug);
  EXPECT_EQ(parse_log_level("off"), LogLevel::off);
  EXPECT_EQ(parse_log_level("loud"), std::nullopt);
}

}  // namespace
}  // namespace freshet::base
