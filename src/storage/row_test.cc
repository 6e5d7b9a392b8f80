// The form of rows: what is written is read again, damage is seen, and the JSON is that of RFC 8259.
#include "storage/row.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdio>

namespace freshet::storage {
namespace {

using Cells = std::vector<std::optional<std::string>>;

std::string written(const Cells& cells, RowWriter writer = {}) {
  for (const auto& cell : cells) cell ? writer.add(*cell) : writer.add_null();
  return writer.take();
}

RowShape shape_of(std::vector<Column> columns, bool is_query = false) {
  RowShape shape;
  shape.columns = std::move(columns);
  shape.is_query = is_query;
  return shape;
}

bool same(const RowView& view, const Cells& cells) {
  return std::equal(view.begin(), view.end(), cells.begin(), cells.end());
}

Cells some_cells(std::size_t columns) {
  Cells cells;
  for (std::size_t i = 0; i < columns; ++i) {
    const bool null = *rc::gen::inRange(0, 4) == 0;
    cells.push_back(null ? std::nullopt : std::optional(*rc::gen::container<std::string>(rc::gen::arbitrary<char>())));
  }
  return cells;
}

RC_GTEST_PROP(Row, what_is_written_is_read, ()) {
  const auto columns = *rc::gen::inRange<std::size_t>(0, 8);
  const auto cells = some_cells(columns);
  const auto bytes = written(cells);
  const auto view = read_row(bytes, columns);
  RC_ASSERT(view.has_value());
  RC_ASSERT(same(*view, cells));
  for (std::size_t i = 0; i < columns; ++i) RC_ASSERT(column_of(bytes, i) == cells[i]);
}

RC_GTEST_PROP(Row, results_of_any_number_of_rows, ()) {
  const auto columns = *rc::gen::inRange<std::size_t>(1, 5);
  const auto count = *rc::gen::inRange<std::uint32_t>(0, 6);
  std::vector<Cells> rows;
  std::string bytes = RowWriter::of_rows(count).take();
  for (std::uint32_t i = 0; i < count; ++i) bytes += written(rows.emplace_back(some_cells(columns)));
  const auto views = read_rows(bytes, columns);
  RC_ASSERT(views.has_value());
  RC_ASSERT(views->size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) RC_ASSERT(same((*views)[i], rows[i]));
}

RC_GTEST_PROP(Row, arbitrary_bytes_are_read_or_corrupted, ()) {
  const auto columns = *rc::gen::inRange<std::size_t>(0, 4);
  auto bytes = *rc::gen::container<std::string>(rc::gen::inRange<char>(0, 4));
  const auto row = read_row(bytes, columns);
  if (row) {
    Cells cells;
    for (const auto& cell : *row) cells.push_back(cell ? std::optional(std::string(*cell)) : std::nullopt);
    RC_ASSERT(written(cells) == bytes);
  } else {
    RC_ASSERT(row.error().code == ErrorCode::corrupted);
  }
  const auto shape = shape_of(std::vector<Column>(columns, Column{"c"}));
  RC_ASSERT(to_json(shape, bytes).has_value() == row.has_value());
  const auto query = shape_of(std::vector<Column>(columns, Column{"c"}), true);
  RC_ASSERT(to_json(query, bytes).has_value() == read_rows(bytes, columns).has_value());
}

TEST(Row, ClaimsOfMoreThanThereIsAreCorrupted) {
  EXPECT_FALSE(read_rows(RowWriter::of_rows(UINT32_MAX).take(), 1));
  EXPECT_FALSE(read_rows(RowWriter::of_rows(1).take(), 0));
  EXPECT_FALSE(read_rows("", 1));
  EXPECT_FALSE(read_row(std::string("\xfe\xff\xff\xff", 4) + "abc", 1));
  EXPECT_FALSE(read_row(written({"a"}) + "x", 1));
  EXPECT_TRUE(read_row("", 0));
}

TEST(Row, ColumnsAreFoundByName) {
  const auto shape = shape_of({{"id", ColumnKind::integer}, {"name"}});
  EXPECT_EQ(shape.find("name"), 1u);
  EXPECT_EQ(shape.find("Name"), std::nullopt);
}

TEST(RowJson, EveryKind) {
  const auto shape = shape_of({{"i", ColumnKind::integer}, {"r", ColumnKind::real}, {"n", ColumnKind::numeric},
                               {"b", ColumnKind::boolean}, {"j", ColumnKind::json}, {"t"}, {"z"}});
  const auto row = written({"-9223372036854775808", "1e-07", "123456789012345678901234567890.10", "t",
                            R"({"a": [1, null]})", "{1,2}", std::nullopt});
  EXPECT_EQ(*to_json(shape, row),
            R"({"i":-9223372036854775808,"r":1e-07,"n":123456789012345678901234567890.10,"b":true,)"
            R"("j":{"a": [1, null]},"t":"{1,2}","z":null})");
}

TEST(RowJson, NumbersThatJsonLacksAreStrings) {
  for (const auto kind : {ColumnKind::real, ColumnKind::numeric}) {
    for (const std::string text : {"NaN", "Infinity", "-Infinity"}) {
      std::string out;
      append_json(out, kind, text);
      EXPECT_EQ(out, '"' + text + '"');
    }
  }
  std::string out;
  append_json(out, ColumnKind::boolean, "f");
  EXPECT_EQ(out, "false");
}

TEST(RowJson, ResultsAreArrays) {
  const auto shape = shape_of({{"id", ColumnKind::integer}, {"a\"b"}}, true);
  EXPECT_EQ(*to_json(shape, RowWriter::of_rows(0).take()), "[]");
  const auto two = RowWriter::of_rows(2).take() + written({"1", "x"}) + written({"2", std::nullopt});
  EXPECT_EQ(*to_json(shape, two), R"([{"id":1,"a\"b":"x"},{"id":2,"a\"b":null}])");
  EXPECT_EQ(*to_json(shape_of({}), ""), "{}");
}

// The plain way, one character after the other.
std::string escaped(const std::string& text) {
  std::string out = "\"";
  for (const char character : text) {
    char hex[8];
    switch (character) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(character) >= 0x20) {
          out += character;
        } else {
          std::snprintf(hex, sizeof hex, "\\u%04x", character);
          out += hex;
        }
    }
  }
  return out + '"';
}

// Letters, what must be escaped and its neighbours, and the bytes of other alphabets, at every place in a word.
RC_GTEST_PROP(RowJson, strings_are_escaped, ()) {
  const auto character = rc::gen::oneOf(rc::gen::arbitrary<char>(), rc::gen::just('a'),
                                        rc::gen::elementOf(std::string("\x1f\x20!\"#[\\]\x7f\x80\x9f\xa0\xff", 13)));
  const auto text = *rc::gen::container<std::string>(character);
  std::string out;
  append_json(out, ColumnKind::text, text);
  RC_ASSERT(out == escaped(text));
}

TEST(RowJson, EveryByteAtEveryPlace) {
  for (int byte = 0; byte < 256; ++byte) {
    for (std::size_t place = 0; place < 24; ++place) {
      std::string text(24, 'x');
      text[place] = static_cast<char>(byte);
      std::string out;
      append_json(out, ColumnKind::text, text);
      ASSERT_EQ(out, escaped(text)) << byte << " at " << place;
    }
  }
}

}  // namespace
}  // namespace freshet::storage
