// Commands of operations on rows, what their answers say, and which of them contradict each other.
#include "checker/rows/row_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checker/rows/row_statements.h"
#include "checker/rows/row_table.h"
#include "checker/rows/row_tally.h"

namespace freshet::checker {
namespace {

using testing::HasSubstr;

constexpr Manner kByField{Form::field, kTextColumn};
constexpr Manner kByObject{Form::object, kTextColumn};

Operation asked(Kind kind) {
  Operation operation;
  operation.kind = kind;
  operation.argument = "v";
  operation.delta = 2;
  return operation;
}

// The answers of one row, or one after the other of two.
struct Answered {
  Operation operation;
  Fit fit;
};
Answered answered(Kind kind, const Manner& manner, std::string_view bytes, std::size_t rows = 1) {
  protocol::ReplyParser parser;
  parser.feed(bytes);
  std::vector<protocol::Reply> replies;
  while (auto reply = *parser.next()) replies.push_back(std::move(*reply));
  Answered result{asked(kind), {}};
  if (replies.empty()) return ADD_FAILURE() << "no whole answer: " << bytes, result;
  result.fit = interpret_rows(replies, rows, manner, result.operation);
  return result;
}

// Under READ COMMITTED a statement that waits for another writer's row sees what that one left only where it locks.
TEST(RowStatements, what_an_exchange_tells_is_what_it_writes_over) {
  EXPECT_THAT(row_statement_of(asked(Kind::exchange), {"t", "id"}, kTextColumn),
              HasSubstr("SELECT id, value FROM t WHERE id = ANY ($1::text[]) FOR UPDATE"));
}

TEST(RowCommands, OfEveryKind) {
  using Commands = std::vector<Command>;
  const auto commands = [](Kind kind, const Manner& manner) { return row_commands_of(asked(kind), "c:k", manner); };
  EXPECT_EQ(commands(Kind::get, kByField), (Commands{{"HGET", "c:k", "value"}}));
  EXPECT_EQ(commands(Kind::get, kByObject), (Commands{{"GET", "c:k"}}));
  EXPECT_EQ(commands(Kind::get, {Form::fields, kTextColumn}), (Commands{{"HGETALL", "c:k"}}));
  EXPECT_EQ(commands(Kind::get, {Form::reading, kTextColumn}), (Commands{{"FRESHET.GET", "c:k"}}));
  EXPECT_EQ(commands(Kind::set, kByField), (Commands{{"HSET", "c:k", "value", "v"}}));
  EXPECT_EQ(commands(Kind::set, kByObject), (Commands{{"SET", "c:k", R"({"value":"v"})"}}));
  EXPECT_EQ(commands(Kind::set_if_absent, kByField), (Commands{{"HSETNX", "c:k", "value", "v"}}));
  EXPECT_EQ(commands(Kind::set_if_absent, kByObject), (Commands{{"SET", "c:k", R"({"value":"v"})", "NX"}}));
  EXPECT_EQ(commands(Kind::set_if_present, kByField), (Commands{{"SET", "c:k", R"({"value":"v"})", "XX"}}));
  EXPECT_EQ(commands(Kind::exchange, kByObject), (Commands{{"SET", "c:k", R"({"value":"v"})", "GET"}}));
  EXPECT_EQ(commands(Kind::exchange, kByField), (Commands{{"HGET", "c:k", "value"}, {"HSET", "c:k", "value", "v"}}));
  EXPECT_EQ(commands(Kind::erase, kByField), (Commands{{"DEL", "c:k"}}));
  EXPECT_EQ(commands(Kind::increment, {Form::object, kNumberColumn}), (Commands{{"HINCRBY", "c:k", "n", "2"}}));
}

TEST(RowCommands, Answers) {
  EXPECT_EQ(answered(Kind::get, kByField, "$1\r\nx\r\n").operation.result, "x");
  EXPECT_EQ(answered(Kind::get, kByField, "$-1\r\n").operation.result, std::nullopt);
  EXPECT_EQ(answered(Kind::get, kByObject, "$22\r\n{\"value\":\"x\",\"n\":null}\r\n").operation.result, "x");
  EXPECT_EQ(answered(Kind::get, {Form::object, kNumberColumn}, "$20\r\n{\"value\":null,\"n\":7}\r\n").operation.result, "7");
  EXPECT_EQ(answered(Kind::get, {Form::fields, kTextColumn}, "*2\r\n$5\r\nvalue\r\n$1\r\nx\r\n").operation.result, "x");
  EXPECT_EQ(answered(Kind::get, {Form::fields, kTextColumn}, "*0\r\n").operation.result, std::nullopt);
  const Answered hit = answered(Kind::get, {Form::reading, kTextColumn},
                                "*4\r\n$5\r\nvalue\r\n$13\r\n{\"value\":\"x\"}\r\n$6\r\nsource\r\n$6\r\nmemory\r\n");
  EXPECT_EQ(hit.operation.result, "x");
  EXPECT_EQ(hit.operation.source, Source::memory);
  EXPECT_EQ(answered(Kind::set, kByField, ":1\r\n").operation.found, false);
  EXPECT_EQ(answered(Kind::set, kByField, ":0\r\n").operation.found, true);
  EXPECT_EQ(answered(Kind::set, kByObject, "+OK\r\n").operation.found, std::nullopt);
  EXPECT_FALSE(answered(Kind::set_if_absent, kByObject, "$-1\r\n").operation.applied);
  EXPECT_FALSE(answered(Kind::set_if_absent, kByField, ":0\r\n").operation.applied);
  EXPECT_TRUE(answered(Kind::set_if_present, kByField, "+OK\r\n").operation.applied);
  EXPECT_EQ(answered(Kind::exchange, kByField, "$1\r\nx\r\n:0\r\n").operation.result, "x");
  EXPECT_EQ(answered(Kind::increment, {Form::field, kNumberColumn}, ":7\r\n").operation.result, "7");
  EXPECT_FALSE(answered(Kind::erase, kByField, ":0\r\n").operation.applied);
}

TEST(RowCommands, ErrorsSayWhetherTheWriteMayHaveBeenApplied) {
  EXPECT_EQ(answered(Kind::set, kByField, "-UNKNOWN it may be there\r\n").operation.outcome, Outcome::unknown);
  EXPECT_EQ(answered(Kind::set, kByField, "-TRYAGAIN not here\r\n").operation.outcome, Outcome::failed);
  EXPECT_EQ(answered(Kind::get, kByField, "-UNKNOWN x\r\n").operation.outcome, Outcome::failed);
}

TEST(RowCommands, AnswersThatFitNothing) {
  for (const std::string_view bytes : {":1\r\n", "$3\r\nnot\r\n", "$4\r\n[{}]\r\n"}) {
    const Answered read = answered(Kind::get, kByObject, bytes);
    EXPECT_FALSE(read.fit.fits) << bytes;
    EXPECT_EQ(read.operation.outcome, Outcome::failed);
  }
  const Answered write = answered(Kind::set, kByField, "+OK\r\n");
  EXPECT_FALSE(write.fit.fits);
  EXPECT_EQ(write.operation.outcome, Outcome::unknown);
}

TEST(RowCommands, RowsThatChangeTogetherAnswerTheSame) {
  EXPECT_EQ(answered(Kind::get, kByField, "$1\r\nx\r\n$1\r\nx\r\n", 2).fit.torn, "");
  EXPECT_THAT(answered(Kind::get, kByField, "$1\r\nx\r\n$1\r\ny\r\n", 2).fit.torn, HasSubstr("the other"));
  EXPECT_THAT(answered(Kind::get, kByField, "$1\r\nx\r\n$-1\r\n", 2).fit.torn, HasSubstr("absent"));
  EXPECT_THAT(answered(Kind::erase, kByField, ":1\r\n:0\r\n", 2).fit.torn, HasSubstr("was absent"));
  EXPECT_THAT(answered(Kind::set, kByField, ":1\r\n:0\r\n", 2).fit.torn, HasSubstr("was there"));
  EXPECT_EQ(answered(Kind::exchange, kByField, "$1\r\nx\r\n:0\r\n$1\r\nx\r\n:0\r\n", 2).fit.torn, "");
  EXPECT_THAT(answered(Kind::exchange, kByField, "$-1\r\n:0\r\n").fit.torn, HasSubstr("HGET and the HSET behind it"));
}

TEST(RowTally, TooLittleIsSaid) {
  RowTally tally;
  EXPECT_EQ(tally.shortfall(false, false), "");
  EXPECT_THAT(tally.shortfall(false, true), HasSubstr("only 0 transactions by MULTI"));
  EXPECT_THAT(tally.shortfall(true, false), HasSubstr("only 0 guarded SQL transactions that committed"));
  const auto count = [&](RowEvent event, std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) tally.count(event);
  };
  count(RowEvent::transactions, kRowTransactionsMin);
  count(RowEvent::pair_reads, kPairReadsMin);
  EXPECT_EQ(tally.shortfall(false, true), "");
  count(RowEvent::guarded_committed, kGuardedMin);
  count(RowEvent::guarded_abandoned, kAbandonedMin);
  count(RowEvent::passed_committed, kPassedMin);
  EXPECT_THAT(tally.shortfall(true, true), HasSubstr("writes past the guard"));
  count(RowEvent::forbidden_refused, kForbiddenMin);
  EXPECT_EQ(tally.shortfall(true, true), "");
}

}  // namespace
}  // namespace freshet::checker
