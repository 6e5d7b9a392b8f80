// Decimal integers as Redis reads and writes them: no blanks, no plus sign, no leading zeros, no "-0". May use nothing but
// the standard library.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace freshet::protocol {

// The longest decimal text of a 64-bit integer, sign included.
inline constexpr std::size_t kIntegerDigitsMax = 20;

inline std::optional<std::int64_t> parse_integer(std::string_view text) {
  if (text.empty() || text.size() > kIntegerDigitsMax) return std::nullopt;
  const bool negative = text.front() == '-';
  const char first = negative ? (text.size() > 1 ? text[1] : '\0') : text.front();
  if (first == '0' && text.size() > 1) return std::nullopt;
  if (first < '0' || first > '9') return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace freshet::protocol
