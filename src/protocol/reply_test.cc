// The reply writer and the reply parser against each other, in both versions of the protocol and in any pieces.
#include "protocol/reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

#include "protocol/buffer.h"
#include "protocol/reply_writer.h"

namespace freshet::protocol {
namespace {

std::string write(int version, const std::function<void(ReplyWriter&)>& body) {
  Buffer out;
  ReplyWriter writer(out, version);
  body(writer);
  return std::string(out.view());
}

struct Outcome {
  std::vector<std::string> replies;
  bool broken = false;
  std::size_t pending = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome read_in_pieces(std::string_view stream, const std::vector<std::size_t>& cuts, ReplyLimits limits = {}) {
  Outcome outcome;
  ReplyParser parser(limits);
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const std::size_t end = i < cuts.size() ? cuts[i] : stream.size();
    parser.feed(stream.substr(begin, end - begin));
    begin = end;
    for (;;) {
      auto reply = parser.next();
      if (!reply) return outcome.broken = true, outcome;
      if (!*reply) break;
      outcome.replies.push_back((*reply)->to_text());
    }
  }
  outcome.pending = parser.pending();
  return outcome;
}

Outcome read_all(std::string_view stream, ReplyLimits limits = {}) { return read_in_pieces(stream, {}, limits); }

void everything(ReplyWriter& writer) {
  writer.ok();
  writer.error("ERR two\r\nlines");
  writer.integer(INT64_MIN);
  writer.bulk(std::string_view("a\r\n\0", 4));
  writer.bulk("");
  writer.null();
  writer.null_array();
  writer.boolean(true);
  writer.number(1.5);
  writer.number(-HUGE_VAL);
  writer.verbatim("txt", "hello");
  writer.big_number("123456789012345678901234567890");
  writer.map(2);
  writer.bulk("k");
  writer.array(0);
  writer.bulk("l");
  writer.set(1);
  writer.integer(7);
  writer.push(1);
  writer.simple("p");
}

TEST(ReplyWriter, WritesBothVersions) {
  EXPECT_EQ(read_all(write(2, everything)).replies,
            (std::vector<std::string>{"OK", "-ERR two  lines", "-9223372036854775808", "\"a\\x0d\\x0a\\x00\"", "\"\"",
                                      "null", "null", "1", "\"1.5\"", "\"-inf\"", "\"hello\"",
                                      "\"123456789012345678901234567890\"", "[\"k\", [], \"l\", [7]]", "[p]"}));
  EXPECT_EQ(read_all(write(3, everything)).replies,
            (std::vector<std::string>{"OK", "-ERR two  lines", "-9223372036854775808", "\"a\\x0d\\x0a\\x00\"", "\"\"",
                                      "null", "null", "true", "1.5", "-inf", "\"hello\"", "123456789012345678901234567890",
                                      "{\"k\": [], \"l\": ~[7]}", ">[p]"}));
  EXPECT_EQ(write(2, [](ReplyWriter& w) { w.null(), w.null_array(); }), "$-1\r\n*-1\r\n");
  EXPECT_EQ(write(3, [](ReplyWriter& w) { w.null(), w.null_array(); }), "_\r\n_\r\n");
}

TEST(ReplyParser, EverySplitReadsTheSame) {
  const std::string stream = write(3, everything) + "|1\r\n+a\r\n+b\r\n*2\r\n|1\r\n+c\r\n+d\r\n:1\r\n:2\r\n";
  const auto whole = read_all(stream);
  EXPECT_FALSE(whole.broken);
  EXPECT_EQ(whole.replies.back(), "[1, 2]") << "attributes are read and dropped";
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) EXPECT_EQ(read_in_pieces(stream, {cut}), whole) << cut;
}

TEST(ReplyParser, RefusesWhatIsNotTheProtocol) {
  for (const char* input : {"\r\n", "x\r\n", ":\r\n", ":1x\r\n", "$x\r\n", "$-2\r\n", "$1\r\nab\r\n", "*-2\r\n", "%-1\r\n",
                            "#x\r\n", ",1e\r\n", "(1a\r\n", "_x\r\n", "=3\r\nabc\r\n", "*1\r\n!\r\n"}) {
    EXPECT_TRUE(read_all(input).broken) << input;
  }
}

TEST(ReplyParser, AnErrorIsForGood) {
  ReplyParser parser;
  parser.feed("?\r\n+OK\r\n");
  EXPECT_FALSE(parser.next());
  const auto again = parser.next();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::corrupted);
}

TEST(ReplyParser, BoundsDepthElementsBytesAndLines) {
  ReplyLimits limits{.depth_max = 3, .elements_max = 8, .bytes_max = 64, .line_bytes_max = 16};
  EXPECT_FALSE(read_all("*1\r\n*1\r\n*1\r\n:1\r\n", limits).broken);
  EXPECT_TRUE(read_all("*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", limits).broken);
  EXPECT_TRUE(read_all("*9\r\n", limits).broken);
  EXPECT_TRUE(read_all("%5\r\n", limits).broken);
  EXPECT_TRUE(read_all("%4611686018427387905\r\n", limits).broken);
  EXPECT_TRUE(read_all("*4\r\n*5\r\n", limits).broken);
  EXPECT_TRUE(read_all("$65\r\n", limits).broken);
  EXPECT_TRUE(
      read_all("*3\r\n$30\r\n012345678901234567890123456789\r\n$30\r\n012345678901234567890123456789\r\n", limits).broken);
  EXPECT_TRUE(read_all("+01234567890123456", limits).broken);
  EXPECT_TRUE(read_all("+01234567890123456\r\n", limits).broken);
}

TEST(ReplyParser, AnnouncementsReserveNothing) {
  ReplyParser parser;
  parser.feed("*16000000\r\n$1000000000\r\n");
  const auto reply = parser.next();
  ASSERT_TRUE(reply);
  EXPECT_FALSE(reply->has_value());
  EXPECT_LT(parser.pending(), 64u);
}

TEST(Reply, FindsByKey) {
  ReplyParser parser;
  parser.feed("%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:2\r\n*2\r\n+a\r\n:3\r\n");
  const Reply map = **parser.next();
  EXPECT_EQ(map.find("b")->integer, 2);
  EXPECT_EQ(map.find("c"), nullptr);
  EXPECT_EQ((**parser.next()).find("a")->integer, 3);
}

RC_GTEST_PROP(ReplyParserProperty, AnyBytesReadTheSameHoweverTheyAreCut, ()) {
  const auto pieces = *rc::gen::container<std::vector<std::string>>(
      rc::gen::element<std::string>("*2\r\n", "$1\r\nx\r\n", "\r\n", ":1\r\n", "|1\r\n", "+a\r\n", "%1\r\n", "_\r\n",
                                    "$-1\r\n", "-", "x", "#t\r\n", ",1.5\r\n", "~1\r\n", "*0\r\n", "=5\r\ntxt:a\r\n"));
  std::string stream;
  for (const auto& piece : pieces) stream += piece;
  auto cuts = *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, stream.size() + 1));
  std::sort(cuts.begin(), cuts.end());
  const ReplyLimits limits{.depth_max = 4, .elements_max = 64, .bytes_max = 1024, .line_bytes_max = 32};
  RC_ASSERT(read_in_pieces(stream, cuts, limits) == read_all(stream, limits));
}

}  // namespace
}  // namespace freshet::protocol
