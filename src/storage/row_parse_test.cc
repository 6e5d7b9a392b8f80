// JSON objects as cells: RFC 8259 and nothing else, every digit kept, the limits, and the way back from to_json.
#include "storage/row_parse.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cstdint>

#include "storage/row.h"

namespace freshet::storage {
namespace {

using Cells = std::vector<ParsedCell>;

Cells cells_of(std::string_view json) {
  auto cells = parse_row_object(json);
  EXPECT_TRUE(cells.has_value()) << json << ": " << cells.error().what;
  return cells ? *std::move(cells) : Cells{};
}

// The text of the member "a" of an object that has only this one.
std::optional<std::string> text_of(const std::string& value) {
  const auto cells = cells_of("{\"a\":" + value + "}");
  EXPECT_TRUE(cells.size() == 1 && cells[0].name == "a") << value;
  return cells.size() == 1 ? cells[0].text : std::nullopt;
}

// What is wrong; empty if nothing is.
std::string fault_of(std::string_view json) {
  const auto cells = parse_row_object(json);
  if (cells) return "";
  EXPECT_EQ(cells.error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(cells.error().remedy.empty());
  return cells.error().what;
}

std::string fault(std::size_t position, std::string_view what) {
  return "the row's JSON, after " + std::to_string(position) + " bytes: " + std::string(what);
}

// Arrays in each other as the value of one member, so that the whole is `levels` deep.
std::string of_depth(std::size_t levels) {
  return "{\"a\":" + std::string(levels - 1, '[') + std::string(levels - 1, ']') + "}";
}

std::string with_members(std::size_t count) {
  std::string json = "{";
  for (std::size_t i = 0; i < count; ++i) json += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":null";
  return json + "}";
}

TEST(RowParse, MembersInTheirOrder) {
  EXPECT_EQ(cells_of(R"({"name":"Ann","age":7,"b":true,"a":false,"gone":null})"),
            (Cells{{"name", "Ann"}, {"age", "7"}, {"b", "true"}, {"a", "false"}, {"gone", std::nullopt}}));
  EXPECT_EQ(cells_of("{}"), Cells{});
  EXPECT_EQ(cells_of(R"({"":""})"), (Cells{{"", ""}}));
  EXPECT_EQ(cells_of(R"({"\u00e9\n\"":1,"A":2,"a":3})"), (Cells{{"é\n\"", "1"}, {"A", "2"}, {"a", "3"}}));
}

TEST(RowParse, WhitespaceMayStandAnywhere) {
  EXPECT_EQ(cells_of("\t\n\r { \"a\" : 1 ,\n\"b\"\t:\r[ 1 , { \"c\" : [ ] } ] } \n"),
            (Cells{{"a", "1"}, {"b", R"([1,{"c":[]}])"}}));
  EXPECT_EQ(fault_of("{\"a\":\f1}"), fault(5, "syntax error"));
}

TEST(RowParse, NumbersStandAsTheyWereWritten) {
  for (const std::string number :
       {"0", "-0", "7", "9223372036854775807", "-9223372036854775809", "18446744073709551616", "0.10", "-0.0", "1e5",
        "1E+05", "1e400", "1e-400", "123456789012345678901234567890.12345678901234567890",
        "0.000000000000000000000000000000000010"}) {
    EXPECT_EQ(text_of(number), number);
    EXPECT_EQ(text_of("[" + number + ", " + number + "]"), "[" + number + "," + number + "]");
  }
  for (const std::string number : {"01", "+1", ".5", "1.", "1.e5", "1e", "1e+", "-", "NaN", "Infinity", "0x10", "1_0"}) {
    EXPECT_NE(fault_of("{\"a\":" + number + "}"), "") << number;
  }
}

TEST(RowParse, StringsAreTheirText) {
  EXPECT_EQ(text_of(R"("\"\\\/\b\f\n\r\t\u0001\u00e9\u65e5")"), "\"\\/\b\f\n\r\t\x01é日");
  EXPECT_EQ(text_of("\"é日😀\x7f\""), "é日😀\x7f");
  EXPECT_EQ(text_of(R"("{\"b\":1}")"), R"({"b":1})");
  const std::string length(100'000, 'x');
  EXPECT_EQ(text_of('"' + length + "\\n" + length + '"'), length + '\n' + length);
  for (const char control : {'\n', '\t', '\0', '\x1f'}) {
    EXPECT_EQ(fault_of(std::string("{\"a\":\"x") + control + "\"}"), fault(7, "syntax error"));
  }
  EXPECT_NE(fault_of(R"({"a":"\x41"})"), "");
  EXPECT_EQ(fault_of(R"({"a":"\u12g4"})"), fault(10, "expected hex digit"));
}

TEST(RowParse, SurrogatesComeInPairs) {
  EXPECT_EQ(text_of(R"("\ud83d\ude00")"), "😀");
  EXPECT_EQ(text_of(R"(["\uD83D\uDE00"])"), "[\"😀\"]");
  for (const std::string half : {R"(\ud83d)", R"(\ude00)", R"(\ud83dx)", R"(\ud83d\n)", R"(\ud83d\u0041)",
                                 R"(\ud83d\ud83d)", R"(\ude00\ud83d)"}) {
    EXPECT_NE(fault_of("{\"a\":\"" + half + "\"}"), "") << half;
    EXPECT_NE(fault_of("{\"a\":[\"" + half + "\"]}"), "") << half;
    EXPECT_NE(fault_of("{\"" + half + "\":1}"), "") << half;
  }
}

TEST(RowParse, InvalidUtf8IsAnError) {
  // A byte of no character, too few bytes, one too many, more than need be, a surrogate, and beyond the last character.
  for (const std::string bytes : {"\xff", "\xc3", "\xe6\x97", "\xf0\x9f\x98", "\x80", "\xc0\x80", "\xe0\x80\x80",
                                  "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    for (const std::string before : {"", "é", "\\n", "a long run of plain characters"}) {
      for (const std::string after : {"", "x", "\\n", "a long run of plain characters"}) {
        EXPECT_NE(fault_of("{\"a\":\"" + before + bytes + after + "\"}"), "");
        EXPECT_NE(fault_of("{\"" + before + bytes + after + "\":1}"), "");
      }
    }
  }
  EXPECT_NE(fault_of("\xef\xbb\xbf{}"), "");
}

TEST(RowParse, NulIsNoTextButMayStandInJson) {
  const std::string nul = "a string with the character U+0000, which PostgreSQL's text cannot hold";
  EXPECT_EQ(fault_of(R"({"a":"x\u0000y"})"), fault(14, nul));
  EXPECT_EQ(fault_of(R"({"x\u0000y":1})"), fault(10, nul));
  EXPECT_EQ(text_of(R"(["\u0000", {"\u0000": 1}])"), R"(["\u0000",{"\u0000":1}])");
}

TEST(RowParse, ArraysAndObjectsAreJsonWithoutWhitespace) {
  EXPECT_EQ(text_of("[ ]"), "[]");
  EXPECT_EQ(text_of("{ }"), "{}");
  EXPECT_EQ(text_of(R"([ 1 , 2.50 , null , true , false , { } , [ ] , [ 1 ] ])"), "[1,2.50,null,true,false,{},[],[1]]");
  EXPECT_EQ(text_of(R"(["x\"\\\u001f\n\u00e9\/"])"), R"(["x\"\\\u001f\né/"])");
  EXPECT_EQ(text_of(R"({ "b" : [ ] , "\u0022" : 1 , "b" : { "a" : [ { } , 2 ] } })"), R"({"b":[],"\"":1,"b":{"a":[{},2]}})");
  EXPECT_EQ(cells_of(R"({"a":[1],"b":[2],"c":{"a":3},"d":4})"),
            (Cells{{"a", "[1]"}, {"b", "[2]"}, {"c", R"({"a":3})"}, {"d", "4"}}));
}

TEST(RowParse, OnlyOneObject) {
  for (const std::string value : {"[]", "[{}]", "null", "true"}) EXPECT_EQ(fault_of(value), fault(0, "no object"));
  EXPECT_EQ(fault_of("12"), fault(2, "no object"));
  EXPECT_EQ(fault_of("\"{}\""), fault(3, "no object"));
  EXPECT_EQ(fault_of(""), fault(0, "incomplete JSON"));
  EXPECT_EQ(fault_of(" "), fault(1, "incomplete JSON"));
  EXPECT_EQ(fault_of("{} x"), fault(3, "text behind the object"));
  EXPECT_EQ(fault_of("{}{}"), fault(2, "text behind the object"));
  EXPECT_EQ(fault_of(std::string_view("{}\0", 3)), fault(2, "text behind the object"));
}

TEST(RowParse, NothingBeyondTheRfc) {
  for (const std::string json :
       {R"({"a":1,})", R"({,})", R"({a:1})", R"({'a':1})", R"({"a":'x'})", R"({"a":1/**/})", R"({"a" 1})", R"({"a":})",
        R"({"a":nul})", R"({"a":True})", R"({"a":[1,]})", R"({"a":[1 2]})", R"({"a":[1})", R"({"a":{]})", R"({1:2})",
        R"({"a":1;"b":2})", R"({"a":1 "b":2})", R"({} // end)"}) {
    EXPECT_NE(fault_of(json), "") << json;
  }
}

TEST(RowParse, WhatEndsEarlyIsAnError) {
  const std::string whole = R"({"né\u00e9":"a\ud83d\ude00\n日","n":-12.50e+3,"t":true,"f":false,"z":null,)"
                            R"("j":[{"k":[1,"x"]},{}]})";
  EXPECT_EQ(cells_of(whole).size(), 6u);
  for (std::size_t length = 0; length < whole.size(); ++length) EXPECT_NE(fault_of(whole.substr(0, length)), "") << length;
}

TEST(RowParse, ANameTwiceIsAnError) {
  EXPECT_EQ(fault_of(R"({"a":1,"b":2,"a":1})"), fault(15, "a name for the second time"));
  EXPECT_EQ(fault_of(R"({"a":1,"\u0061":2})"), fault(14, "a name for the second time"));
  EXPECT_EQ(fault_of(R"({"a":{"a":1}})"), "");
}

TEST(RowParse, DepthIsLimited) {
  EXPECT_EQ(cells_of(of_depth(kParsedDepthMax)).size(), 1u);
  EXPECT_EQ(fault_of(of_depth(kParsedDepthMax + 1)), fault(36, "more than 32 levels"));
  EXPECT_EQ(fault_of(of_depth(1'000'000)), fault(36, "more than 32 levels"));
  std::string objects;
  for (std::size_t level = 0; level <= kParsedDepthMax; ++level) objects += "{\"a\":";
  EXPECT_EQ(fault_of(objects), fault(5 * kParsedDepthMax, "more than 32 levels"));
}

TEST(RowParse, MembersAreLimitedButOnlyTheRows) {
  EXPECT_EQ(cells_of(with_members(kParsedCellsMax)).size(), kParsedCellsMax);
  EXPECT_NE(fault_of(with_members(kParsedCellsMax + 1)).find("more members than a table has columns"), std::string::npos);
  const auto nested = with_members(kParsedCellsMax + 1);
  EXPECT_EQ(text_of(nested), nested);
}

std::string some_text() {
  const auto piece = rc::gen::element<std::string>("a", "Z", "7", " ", "/", "\"", "\\", "\\u0041", "{", "]", ",", "\x01",
                                                   "\b", "\n", "\x1f", "\x7f", "é", "ß", "日", "😀", "\xf4\x8f\xbf\xbf");
  std::string text;
  for (const auto& next : *rc::gen::container<std::vector<std::string>>(piece)) text += next;
  return text;
}

std::string some_number() {
  const auto digit = rc::gen::inRange('0', static_cast<char>('9' + 1));
  std::string number = *rc::gen::element<std::string>("", "-");
  number += *rc::gen::inRange('1', static_cast<char>('9' + 1));
  number += *rc::gen::container<std::string>(digit);
  const auto fraction = *rc::gen::container<std::string>(digit);
  return fraction.empty() ? number : number + "." + fraction;
}

std::string as_json(ColumnKind kind, std::optional<std::string_view> text) {
  std::string json;
  append_json(json, kind, text);
  return json;
}

// An array or object, as a jsonb column may hold it, without whitespace.
std::string some_json(int levels) {
  const bool is_array = *rc::gen::arbitrary<bool>();
  std::string json(1, is_array ? '[' : '{');
  const auto count = *rc::gen::inRange(0, 4);
  for (int i = 0; i < count; ++i) {
    if (i > 0) json += ',';
    if (!is_array) json += as_json(ColumnKind::text, some_text()) + ":";
    switch (*rc::gen::inRange(0, levels > 0 ? 5 : 4)) {
      case 0: json += as_json(ColumnKind::text, some_text()); break;
      case 1: json += some_number(); break;
      case 2: json += *rc::gen::element<std::string>("true", "false"); break;
      case 3: json += "null"; break;
      default: json += some_json(levels - 1);
    }
  }
  return json + (is_array ? ']' : '}');
}

// A column's text as PostgreSQL writes it.
std::string some_column(ColumnKind kind) {
  switch (kind) {
    case ColumnKind::integer: return std::to_string(*rc::gen::arbitrary<std::int64_t>());
    case ColumnKind::numeric: return *rc::gen::inRange(0, 10) > 0 ? some_number() : "NaN";
    case ColumnKind::boolean: return *rc::gen::element<std::string>("t", "f");
    case ColumnKind::json: return some_json(3);
    default: return some_text();
  }
}

// PostgreSQL writes 't' and 'f', and takes the words as well.
std::optional<std::string> read_back(ColumnKind kind, const std::optional<std::string>& text) {
  if (!text || kind != ColumnKind::boolean) return text;
  return *text == "t" ? "true" : "false";
}

RC_GTEST_PROP(RowParse, rows_are_read_back_from_their_json, ()) {
  RowShape shape;
  RowWriter writer;
  Cells expected;
  const auto columns = *rc::gen::inRange(0, 8);
  for (int i = 0; i < columns; ++i) {
    const auto kind = *rc::gen::element(ColumnKind::text, ColumnKind::integer, ColumnKind::numeric, ColumnKind::boolean,
                                        ColumnKind::json);
    const bool null = *rc::gen::inRange(0, 5) == 0;
    const auto text = null ? std::nullopt : std::optional(some_column(kind));
    shape.columns.push_back({some_text() + std::to_string(i), kind});
    text ? writer.add(*text) : writer.add_null();
    expected.push_back({shape.columns.back().name, read_back(kind, text)});
  }
  const auto json = to_json(shape, writer.take());
  RC_ASSERT(json.has_value());
  const auto cells = parse_row_object(*json);
  RC_ASSERT(cells.has_value());
  RC_ASSERT(*cells == expected);
}

RC_GTEST_PROP(RowParse, arbitrary_bytes_are_cells_or_an_error, ()) {
  const auto character = rc::gen::oneOf(rc::gen::arbitrary<char>(),
                                        rc::gen::elementOf(std::string("{}[]\":,\\u0dntf1-.e ")));
  const auto json = *rc::gen::container<std::string>(character);
  const auto cells = parse_row_object("{\"a\":" + json);
  if (!cells) RC_ASSERT(cells.error().code == ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace freshet::storage
