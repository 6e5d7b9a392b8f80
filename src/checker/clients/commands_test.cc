// Commands, and what their answers say.
#include "checker/clients/commands.h"

#include <gtest/gtest.h>

#include "checker/history/history_builder.h"

namespace freshet::checker {
namespace {

protocol::Reply parsed(std::string_view bytes) {
  protocol::ReplyParser parser;
  parser.feed(bytes);
  return std::move(**parser.next());
}

Operation asked(Kind kind) {
  Operation operation;
  operation.key = "k";
  operation.kind = kind;
  operation.argument = "v";
  operation.delta = 2;
  operation.expected_version = 9;
  return operation;
}

Operation answered(Kind kind, std::string_view bytes) {
  Operation operation = asked(kind);
  EXPECT_TRUE(interpret(parsed(bytes), operation)) << bytes;
  return operation;
}

TEST(Commands, OfEveryKind) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(command_of(asked(Kind::get)), (Words{"GET", "k"}));
  EXPECT_EQ(command_of(asked(Kind::get_version)), (Words{"FRESHET.GET", "k"}));
  EXPECT_EQ(command_of(asked(Kind::set)), (Words{"SET", "k", "v"}));
  EXPECT_EQ(command_of(asked(Kind::set_if_absent)), (Words{"SET", "k", "v", "NX"}));
  EXPECT_EQ(command_of(asked(Kind::increment)), (Words{"INCRBY", "k", "2"}));
  EXPECT_EQ(command_of(asked(Kind::append)), (Words{"APPEND", "k", "v"}));
  EXPECT_EQ(command_of(asked(Kind::erase)), (Words{"DEL", "k"}));
  EXPECT_EQ(command_of(asked(Kind::compare_version)), (Words{"FRESHET.SET", "k", "v", "VERSION", "9"}));
}

TEST(Commands, Answers) {
  EXPECT_EQ(answered(Kind::get, "$1\r\nx\r\n").result, "x");
  EXPECT_EQ(answered(Kind::get, "$-1\r\n").result, std::nullopt);
  EXPECT_EQ(answered(Kind::increment, ":7\r\n").result, "7");
  EXPECT_EQ(answered(Kind::append, ":7\r\n").length, 7);
  EXPECT_TRUE(answered(Kind::erase, ":1\r\n").applied);
  EXPECT_FALSE(answered(Kind::erase, ":0\r\n").applied);
  EXPECT_FALSE(answered(Kind::set_if_absent, "$-1\r\n").applied);
  EXPECT_TRUE(answered(Kind::set_if_absent, "+OK\r\n").applied);
  EXPECT_EQ(answered(Kind::compare_version, ":12\r\n").version, 12u);
  const Operation mismatch = answered(Kind::compare_version, "-VERSIONMISMATCH the key is at version 2, not 9\r\n");
  EXPECT_EQ(mismatch.outcome, Outcome::ok);
  EXPECT_FALSE(mismatch.applied);
}

// A map in RESP3, alternating names and values in RESP2.
TEST(Commands, ReadingsInBothProtocols) {
  constexpr std::string_view kBody =
      "+value\r\n$1\r\nx\r\n+version\r\n:5\r\n+age\r\n:0\r\n+source\r\n+memory\r\n";
  for (const std::string head : {"%4\r\n", "*8\r\n"}) {
    const Operation reading = answered(Kind::get_version, head + std::string(kBody));
    EXPECT_EQ(reading.result, "x");
    EXPECT_EQ(reading.version, 5u);
    EXPECT_EQ(reading.source, Source::memory);
  }
  const Operation absent =
      answered(Kind::get_version, "*8\r\n+value\r\n$-1\r\n+version\r\n:0\r\n+age\r\n:0\r\n+source\r\n+storage\r\n");
  EXPECT_EQ(absent.result, std::nullopt);
  EXPECT_EQ(absent.source, Source::storage);
}

TEST(Commands, ErrorsTellTheOutcome) {
  EXPECT_EQ(answered(Kind::set, "-UNKNOWN the write may have been applied\r\n").outcome, Outcome::unknown);
  EXPECT_EQ(answered(Kind::get, "-UNKNOWN odd for a read\r\n").outcome, Outcome::failed);
  EXPECT_EQ(answered(Kind::set, "-TRYAGAIN moved\r\n").outcome, Outcome::failed);
  EXPECT_EQ(answered(Kind::increment, "-ERR value is not an integer or out of range\r\n").outcome, Outcome::failed);
}

TEST(Commands, AnswersThatDoNotFit) {
  Operation write = asked(Kind::set);
  EXPECT_FALSE(interpret(parsed(":1\r\n"), write));
  EXPECT_EQ(write.outcome, Outcome::unknown) << "it may have done anything";
  Operation read = asked(Kind::get_version);
  EXPECT_FALSE(interpret(parsed(":1\r\n"), read));
  EXPECT_EQ(read.outcome, Outcome::failed);
}

}  // namespace
}  // namespace freshet::checker
