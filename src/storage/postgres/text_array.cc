// https://www.postgresql.org/docs/15/protocol-overview.html#PROTOCOL-FORMAT-CODES; array_recv() names the fields.
#include "storage/postgres/text_array.h"

namespace freshet::storage::postgres {
namespace {

constexpr std::size_t kArrayHeaderBytes = 12;
constexpr std::size_t kArrayDimensionBytes = 8;

std::uint32_t integer_at(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

}  // namespace

Result<RowView> read_text_array(std::string_view bytes) {
  const auto cut = [] { return Error::of(ErrorCode::corrupted, "an array from PostgreSQL is cut"); };
  if (bytes.size() < kArrayHeaderBytes) return cut();
  if (integer_at(bytes, 0) == 0) return RowView();
  if (bytes.size() < kArrayHeaderBytes + kArrayDimensionBytes) return cut();
  const auto count = integer_at(bytes, kArrayHeaderBytes);
  RowView view;
  std::size_t at = kArrayHeaderBytes + kArrayDimensionBytes;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (bytes.size() - at < 4) return cut();
    const auto length = integer_at(bytes, at);
    at += 4;
    if (length == UINT32_MAX) {
      view.emplace_back();
      continue;
    }
    if (bytes.size() - at < length) return cut();
    view.emplace_back(bytes.substr(at, length));
    at += length;
  }
  return view;
}

std::string array_literal(const std::vector<std::string_view>& elements) {
  std::string literal = "{";
  for (const auto element : elements) {
    literal += literal.size() > 1 ? ",\"" : "\"";
    for (const char c : element) {
      if (c == '"' || c == '\\') literal += '\\';
      literal += c;
    }
    literal += '"';
  }
  return literal + "}";
}

}  // namespace freshet::storage::postgres
