// A JSON object (RFC 8259) as the columns of a row to write: the way back from to_json (storage/row.h), before anything is
// known of the columns. May use base only.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "freshet/result.h"

namespace freshet::storage {

inline constexpr std::size_t kParsedCellsMax = 1600;  // PostgreSQL's most columns of a table.
inline constexpr std::size_t kParsedDepthMax = 32;    // Of objects and arrays, the row itself counted.

// One member of the object: a column's name, and its text as PostgreSQL's input functions take it; nullopt: NULL.
//
// A string is its text, without quotes and escapes; a number stands as it was written, every digit kept; true and false are
// the words. Arrays and objects are JSON again, for json and jsonb: without whitespace, numbers as they were written, names
// in the same order and as often. So a string or a null for such a column is no longer told from text or NULL.
struct ParsedCell {
  std::string name;
  std::optional<std::string> text;
  friend bool operator==(const ParsedCell&, const ParsedCell&) = default;
};

// The object's members in their order. Errors: invalid_argument, with the position: no JSON object or more than one, a name
// twice, more than kParsedCellsMax members, deeper than kParsedDepthMax, or what PostgreSQL's text cannot hold: invalid
// UTF-8, halves of surrogate pairs and, outside of arrays and objects, whose JSON may say it, the character U+0000.
Result<std::vector<ParsedCell>> parse_row_object(std::string_view json);

}  // namespace freshet::storage
