// Walks the bytes of rows (storage/row.h) from front to back, checking every length. May use base only.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "freshet/error.h"
#include "storage/row.h"

namespace freshet::storage {

Error corrupted_row();

class RowBytes {
 public:
  static constexpr std::size_t kLengthBytes = 4;

  explicit RowBytes(std::string_view bytes) : rest_(bytes) {}

  std::size_t left() const { return rest_.size(); }

  // False: the bytes end too early. Nullopt is NULL.
  bool take_column(std::optional<std::string_view>& text) {
    std::uint32_t length = 0;
    if (!take_u32(length)) return false;
    if (length == kNullColumn) {
      text.reset();
      return true;
    }
    if (rest_.size() < length) return false;
    text = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return true;
  }

  // The number of rows that follow; nullopt if so many cannot follow. Rows have at least one column, which bounds them by
  // the bytes that are there.
  std::optional<std::size_t> take_row_count(std::size_t columns) {
    std::uint32_t count = 0;
    if (!take_u32(count)) return std::nullopt;
    if (count > 0 && (columns == 0 || rest_.size() / kLengthBytes / columns < count)) return std::nullopt;
    return count;
  }

 private:
  bool take_u32(std::uint32_t& number) {
    if (rest_.size() < kLengthBytes) return false;
    const auto byte = [this](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(rest_[i])); };
    number = byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
    rest_.remove_prefix(kLengthBytes);
    return true;
  }

  std::string_view rest_;
};

}  // namespace freshet::storage
