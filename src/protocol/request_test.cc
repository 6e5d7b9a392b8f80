// The request parser: Redis's texts, every split of the stream, random commands, and what a hostile client announces.
#include "protocol/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "protocol/buffer.h"
#include "protocol/reply_writer.h"

namespace freshet::protocol {
namespace {

using Status = RequestParser::Status;
using testing::ElementsAre;
using Words = std::vector<std::string>;

struct Parsed {
  std::vector<Words> commands;
  std::string error;
  friend bool operator==(const Parsed&, const Parsed&) = default;
};

// Feeds `stream` in pieces that end at `cuts`, moving the bytes to a new address each time.
Parsed parse_in_pieces(std::string_view stream, const std::vector<std::size_t>& cuts, const RequestLimits& limits = {}) {
  Parsed parsed;
  RequestParser parser;
  std::string pending;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const std::size_t end = i < cuts.size() ? cuts[i] : stream.size();
    std::string moved = pending;
    moved += stream.substr(begin, end - begin);
    pending = std::move(moved);
    begin = end;
    for (;;) {
      const auto status = parser.parse(pending, limits);
      if (status == Status::broken) return parsed.error = parser.error(), parsed;
      if (status == Status::incomplete) break;
      if (status == Status::complete) {
        auto& words = parsed.commands.emplace_back();
        for (const auto argument : parser.arguments()) words.emplace_back(argument);
      }
      pending.erase(0, parser.consumed());
    }
  }
  return parsed;
}

Parsed parse_all(std::string_view stream, const RequestLimits& limits = {}) { return parse_in_pieces(stream, {}, limits); }

std::string encode(const std::vector<Words>& commands) {
  Buffer out;
  for (const auto& words : commands) {
    std::vector<std::string_view> views(words.begin(), words.end());
    write_command(out, views.data(), views.size());
  }
  return std::string(out.view());
}

TEST(RequestParser, ReadsBulksAndInlineCommands) {
  const auto parsed = parse_all("*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n\r\n*0\r\n*-1\r\nset k \"a b\\x41\\n\" 'it\\'s'\n");
  EXPECT_EQ(parsed.error, "");
  ASSERT_EQ(parsed.commands.size(), 3u);
  EXPECT_THAT(parsed.commands[0], ElementsAre("GET", "k"));
  EXPECT_THAT(parsed.commands[1], ElementsAre("PING"));
  EXPECT_THAT(parsed.commands[2], ElementsAre("set", "k", "a bA\n", "it's"));
}

TEST(RequestParser, KeepsBinaryBytesAndEmptyArguments) {
  const std::string binary("\0\r\n\xff$*", 6);
  const auto parsed = parse_all(encode({{"SET", binary, ""}}));
  ASSERT_EQ(parsed.commands.size(), 1u);
  EXPECT_THAT(parsed.commands[0], ElementsAre("SET", binary, ""));
}

TEST(RequestParser, AnswersWithRedisTexts) {
  const std::pair<const char*, const char*> cases[] = {
      {"*x\r\n", "Protocol error: invalid multibulk length"},
      {"*01\r\n", "Protocol error: invalid multibulk length"},
      {"*1048577\r\n", "Protocol error: invalid multibulk length"},
      {"*99999999999999999999999\r\n", "Protocol error: invalid multibulk length"},
      {"*1\r\n+OK\r\n", "Protocol error: expected '$', got '+'"},
      {"*2\r\n$3\r\nGET\r\n*1\r\n", "Protocol error: expected '$', got '*'"},
      {"*1\r\n$-1\r\n", "Protocol error: invalid bulk length"},
      {"*1\r\n$x\r\n", "Protocol error: invalid bulk length"},
      {"*1\r\n$536870913\r\n", "Protocol error: invalid bulk length"},
      {"*1\r\n$1\r\nabc\r\n", "Protocol error: expected CRLF after a bulk string"},
      {"GET \"k\r\n", "Protocol error: unbalanced quotes in request"},
      {"GET \"k\"x\r\n", "Protocol error: unbalanced quotes in request"},
  };
  for (const auto& [input, error] : cases) EXPECT_EQ(parse_all(input).error, error) << input;
}

// A line that ends in a mere LF is read at length, one in CRLF mostly at a glance: both must say the same.
TEST(RequestParser, NumbersMeanTheSameHoweverTheirLineEnds) {
  for (const char* const number : {"0", "1", "2", "9", "10", "12", "99", "100", "123", "999", "1000", "1234", "00", "01",
                                   "010", "-0", "-1", "+1", "", " 1", "1 ", "1a", "a1", "99999999999999999999"}) {
    SCOPED_TRACE(testing::Message() << "'" << number << "'");
    const std::string body = std::string(1'300, 'b') + "\r\n";
    for (const std::string marker : {"*1\r\n$", "*"}) {
      const std::string line = marker + number;
      EXPECT_EQ(parse_all(line + "\r\n" + body), parse_all(line + "\n" + body));
      EXPECT_EQ(parse_all(line + "\r\n"), parse_all(line + "\n"));
    }
  }
  EXPECT_THAT(parse_all("*2\r\n$3\r\nGET\r\n$012\r\n").error, "Protocol error: invalid bulk length");
  EXPECT_THAT(parse_all("*2\r\n$3\r\nGET\r\n$12\r\nabcdefghijkl\r\n").commands, ElementsAre(Words{"GET", "abcdefghijkl"}));
}

TEST(RequestParser, BoundsLines) {
  RequestLimits limits;
  limits.inline_bytes_max = 64;
  EXPECT_EQ(parse_all(std::string(65, 'a'), limits).error, "Protocol error: too big inline request");
  EXPECT_EQ(parse_all(std::string(65, 'a') + "\r\n", limits).error, "Protocol error: too big inline request");
  EXPECT_EQ(parse_all("*" + std::string(65, '1'), limits).error, "Protocol error: too big mbulk count string");
  EXPECT_EQ(parse_all("*1\r\n$" + std::string(65, '1'), limits).error, "Protocol error: too big bulk count string");
  EXPECT_EQ(parse_all(std::string(60, 'a') + "\r\n", limits).commands.size(), 1u);
}

TEST(RequestParser, HoldsUnauthenticatedClientsShort) {
  RequestParser parser;
  EXPECT_EQ(parser.parse("*11\r\n", {}, false), Status::broken);
  EXPECT_EQ(parser.error(), "Protocol error: unauthenticated multibulk length");
  RequestParser second;
  EXPECT_EQ(second.parse("*1\r\n$16385\r\n", {}, false), Status::broken);
  EXPECT_EQ(second.error(), "Protocol error: unauthenticated bulk length");
}

TEST(RequestParser, AnnouncementsAreNotErrorsAndWait) {
  RequestParser parser;
  EXPECT_EQ(parser.parse("*2\r\n$3\r\nGET\r\n$536870912\r\nabc", {}), Status::incomplete);
  RequestParser many;
  EXPECT_EQ(many.parse("*1048576\r\n", {}), Status::incomplete);
}

TEST(RequestParser, EverySplitInTwoParsesTheSame) {
  const std::string stream = encode({{"SET", "key", std::string("a\r\n\0b", 5)}, {"PING"}}) + "GET 'a b'\r\n*0\r\n\n" +
                             encode({{"MGET", "", "x"}}) + "*1\r\n$zz\r\n";
  const auto whole = parse_all(stream);
  EXPECT_EQ(whole.commands.size(), 4u);
  EXPECT_EQ(whole.error, "Protocol error: invalid bulk length");
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) EXPECT_EQ(parse_in_pieces(stream, {cut}), whole) << cut;
  std::vector<std::size_t> every_byte;
  for (std::size_t i = 0; i < stream.size(); ++i) every_byte.push_back(i);
  EXPECT_EQ(parse_in_pieces(stream, every_byte), whole);
}

std::vector<std::size_t> random_cuts(std::size_t size) {
  auto cuts = *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, size + 1));
  std::sort(cuts.begin(), cuts.end());
  return cuts;
}

RC_GTEST_PROP(RequestParserProperty, CommandsComeBackHoweverTheyAreCut, (std::vector<Words> commands)) {
  std::vector<Words> whole;
  for (auto& words : commands) {
    if (!words.empty()) whole.push_back(words);
  }
  const std::string stream = encode(commands);
  RC_ASSERT(parse_in_pieces(stream, random_cuts(stream.size())) == (Parsed{whole, ""}));
}

RC_GTEST_PROP(RequestParserProperty, AnyBytesParseTheSameHoweverTheyAreCut, ()) {
  const auto pieces = *rc::gen::container<std::vector<std::string>>(
      rc::gen::element<std::string>("*", "$", "\r\n", "\n", "1", "2", "0", "-1", "GET", "k", "\"", "'", " ", "\\x41", "\\",
                                    "*1\r\n", "$1\r\n", "$3\r\n", "\xff"));
  std::string stream;
  for (const auto& piece : pieces) stream += piece;
  RC_ASSERT(parse_in_pieces(stream, random_cuts(stream.size())) == parse_all(stream));
}

}  // namespace
}  // namespace freshet::protocol
