// Rows as JSON (RFC 8259), in one pass over their bytes: this runs for every GET of a row, so that nothing is allocated but
// the text itself. See storage/row.h.
#include <bit>
#include <cstring>

#include "storage/row.h"
#include "storage/row_bytes.h"

namespace freshet::storage {
namespace {

// What a JSON text needs around one column: quotes around name and value, colon and comma.
constexpr std::size_t kPunctuationBytes = 6;

constexpr std::uint64_t repeat(unsigned char byte) { return byte * 0x0101'0101'0101'0101ull; }
// The high bit of every byte that is zero, exact from the lowest such byte on, which is the one that is asked for.
constexpr std::uint64_t zero_bytes(std::uint64_t word) { return (word - repeat(1)) & ~word & repeat(0x80); }

bool needs_escape(char character) {
  return static_cast<unsigned char>(character) < 0x20 || character == '"' || character == '\\';
}

// How many characters may be copied as they are, eight looked at together.
std::size_t plain_prefix(std::string_view text) {
  std::size_t at = 0;
  if constexpr (std::endian::native == std::endian::little) {
    for (; at + sizeof(std::uint64_t) <= text.size(); at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + at, sizeof word);
      const auto control = (word - repeat(0x20)) & ~word & repeat(0x80);
      const auto found = control | zero_bytes(word ^ repeat('"')) | zero_bytes(word ^ repeat('\\'));
      if (found != 0) return at + static_cast<std::size_t>(std::countr_zero(found)) / 8;
    }
  }
  while (at < text.size() && !needs_escape(text[at])) ++at;
  return at;
}

void append_escaped(std::string& out, char character) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (character) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\b': out += "\\b"; return;
    case '\f': out += "\\f"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default:
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(character) >> 4];
      out += kHex[static_cast<unsigned char>(character) & 15];
  }
}

void append_string(std::string& out, std::string_view text) {
  out += '"';
  while (true) {
    const auto plain = plain_prefix(text);
    out.append(text.data(), plain);
    if (plain == text.size()) break;
    append_escaped(out, text[plain]);
    text.remove_prefix(plain + 1);
  }
  out += '"';
}

// NaN, Infinity and -Infinity are no JSON numbers; every other number of PostgreSQL's is one as it is written.
bool is_json_number(std::string_view text) {
  const auto first = text.substr(text.starts_with('-') ? 1 : 0, 1);
  return !first.empty() && first[0] >= '0' && first[0] <= '9';
}

// False: the bytes end too early.
bool append_row(std::string& out, const RowShape& shape, RowBytes& bytes) {
  char separator = '{';
  std::optional<std::string_view> text;
  for (const Column& column : shape.columns) {
    if (!bytes.take_column(text)) return false;
    out += separator;
    append_string(out, column.name);
    out += ':';
    append_json(out, column.kind, text);
    separator = ',';
  }
  if (shape.columns.empty()) out += separator;
  out += '}';
  return true;
}

bool append_rows(std::string& out, const RowShape& shape, RowBytes& bytes) {
  const auto count = bytes.take_row_count(shape.columns.size());
  if (!count) return false;
  out += '[';
  for (std::size_t i = 0; i < *count; ++i) {
    if (i > 0) out += ',';
    if (!append_row(out, shape, bytes)) return false;
  }
  out += ']';
  return true;
}

}  // namespace

void append_json(std::string& out, ColumnKind kind, std::optional<std::string_view> text) {
  if (!text) {
    out += "null";
    return;
  }
  switch (kind) {
    case ColumnKind::json: out += *text; return;
    case ColumnKind::boolean: out += text->starts_with('t') ? "true" : "false"; return;
    case ColumnKind::integer:
    case ColumnKind::real:
    case ColumnKind::numeric:
      if (is_json_number(*text)) {
        out += *text;
        return;
      }
      break;
    case ColumnKind::text: break;
  }
  append_string(out, *text);
}

Result<std::string> to_json(const RowShape& shape, std::string_view value) {
  RowBytes bytes(value);
  std::size_t row_bytes_extra = 2;
  for (const Column& column : shape.columns) row_bytes_extra += column.name.size() + kPunctuationBytes;
  std::string out;
  out.reserve(value.size() + row_bytes_extra);
  const bool well_formed = shape.is_query ? append_rows(out, shape, bytes) : append_row(out, shape, bytes);
  if (!well_formed || bytes.left() != 0) return corrupted_row();
  return out;
}

}  // namespace freshet::storage
