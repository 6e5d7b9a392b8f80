// Writing and reading the form of rows. See storage/row.h.
#include "storage/row.h"

#include <algorithm>

#include "storage/row_bytes.h"

namespace freshet::storage {
namespace {

void append_u32(std::string& out, std::uint32_t number) {
  const char bytes[4] = {static_cast<char>(number), static_cast<char>(number >> 8), static_cast<char>(number >> 16),
                         static_cast<char>(number >> 24)};
  out.append(bytes, sizeof bytes);
}

std::optional<RowView> take_row(RowBytes& bytes, std::size_t columns) {
  RowView row;
  row.reserve(std::min(columns, bytes.left() / RowBytes::kLengthBytes));
  for (std::size_t i = 0; i < columns; ++i) {
    auto& column = row.emplace_back();
    if (!bytes.take_column(column)) return std::nullopt;
  }
  return row;
}

}  // namespace

Error corrupted_row() {
  return Error::of(ErrorCode::corrupted, "a cached row does not have the form of its collection",
                   "evict the key; if it happens again, please report it");
}

std::optional<std::size_t> RowShape::find(std::string_view name) const {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name == name) return i;
  }
  return std::nullopt;
}

RowWriter RowWriter::of_rows(std::uint32_t count) {
  RowWriter writer;
  append_u32(writer.bytes_, count);
  return writer;
}

void RowWriter::add(std::string_view text) {
  append_u32(bytes_, static_cast<std::uint32_t>(text.size()));
  bytes_.append(text);
}

void RowWriter::add_null() { append_u32(bytes_, kNullColumn); }

Result<RowView> read_row(std::string_view bytes, std::size_t columns) {
  RowBytes rest(bytes);
  auto row = take_row(rest, columns);
  if (!row || rest.left() != 0) return corrupted_row();
  return *std::move(row);
}

Result<std::vector<RowView>> read_rows(std::string_view bytes, std::size_t columns) {
  RowBytes rest(bytes);
  const auto count = rest.take_row_count(columns);
  if (!count) return corrupted_row();
  std::vector<RowView> rows;
  rows.reserve(*count);
  while (rows.size() < *count) {
    auto row = take_row(rest, columns);
    if (!row) return corrupted_row();
    rows.push_back(*std::move(row));
  }
  if (rest.left() != 0) return corrupted_row();
  return rows;
}

std::optional<std::string_view> column_of(std::string_view row, std::size_t column) {
  RowBytes rest(row);
  std::optional<std::string_view> text;
  for (std::size_t i = 0; i <= column; ++i) {
    if (!rest.take_column(text)) return std::nullopt;
  }
  return text;
}

}  // namespace freshet::storage
