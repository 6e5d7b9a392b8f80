// Rows as the cache keeps them: the columns' texts, as PostgreSQL writes them, in one string; and their shape apart from
// them, once a collection. May use base only.
//
// Form of one row: for each column of the shape four bytes (little endian), its length, then its bytes; NULL: kNullColumn.
// Form of a query's result: four bytes, the number of rows, then the rows.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "freshet/result.h"

namespace freshet::storage {

inline constexpr std::uint32_t kNullColumn = UINT32_MAX;

// How a column's text becomes JSON, and a RESP3 type.
enum class ColumnKind : std::uint8_t {
  text,     // A string.
  integer,  // int2, int4, int8, oid: a JSON number; RESP3 number.
  real,     // float4, float8: a JSON number (NaN and the infinities as strings); RESP3 double.
  numeric,  // A JSON number, every digit kept; RESP3 bulk string, since doubles would lose digits.
  boolean,  // 't' and 'f' become true and false; RESP3 boolean.
  json,     // json, jsonb: as it is.
};

struct Column {
  std::string name;  // As clients see it.
  ColumnKind kind = ColumnKind::text;
  friend bool operator==(const Column&, const Column&) = default;
};

// What a collection's values look like; immutable once shared.
struct RowShape {
  std::vector<Column> columns;
  bool is_query = false;  // Any number of rows; else one.

  // Nothing if there is none of that name.
  std::optional<std::size_t> find(std::string_view name) const;
};
using RowShapeRef = std::shared_ptr<const RowShape>;

// Writes rows one column after the other.
class RowWriter {
 public:
  // For a query's result.
  static RowWriter of_rows(std::uint32_t count);

  void add(std::string_view text);
  void add_null();
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// One row's columns, as views into its bytes; nullopt: NULL. Errors: corrupted, if the bytes are no row of so many columns.
using RowView = std::vector<std::optional<std::string_view>>;
Result<RowView> read_row(std::string_view bytes, std::size_t columns);
Result<std::vector<RowView>> read_rows(std::string_view bytes, std::size_t columns);
// One column of one row, without reading the others behind it. The row is well formed: it was made by RowWriter.
std::optional<std::string_view> column_of(std::string_view row, std::size_t column);

// The value as JSON: an object, or an array of objects for a query's result. Errors: corrupted.
Result<std::string> to_json(const RowShape& shape, std::string_view value);
// Appends one column's JSON form; "null" for NULL.
void append_json(std::string& out, ColumnKind kind, std::optional<std::string_view> text);

}  // namespace freshet::storage
