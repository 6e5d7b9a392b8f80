// Writes pgoutput messages as the server would. Tests and benchmarks only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace freshet::storage::postgres::pgoutput {

class MessageBytes {
 public:
  explicit MessageBytes(char kind) : bytes_(1, kind) {}

  MessageBytes& byte(int value) { return number(static_cast<std::uint64_t>(value), 1); }
  MessageBytes& two(std::uint64_t value) { return number(value, 2); }
  MessageBytes& four(std::uint64_t value) { return number(value, 4); }
  MessageBytes& eight(std::uint64_t value) { return number(value, 8); }
  MessageBytes& text(std::string_view value) {
    bytes_.append(value).push_back('\0');
    return *this;
  }
  MessageBytes& counted(std::string_view value) {
    four(value.size());
    bytes_.append(value);
    return *this;
  }
  // A row of text cells; none is NULL.
  MessageBytes& row(char mark, const std::vector<std::optional<std::string>>& cells) {
    byte(mark).two(cells.size());
    for (const auto& cell : cells) cell ? byte('t').counted(*cell) : byte('n');
    return *this;
  }
  const std::string& get() const { return bytes_; }

 private:
  MessageBytes& number(std::uint64_t value, int count) {
    for (int shift = 8 * (count - 1); shift >= 0; shift -= 8) bytes_.push_back(static_cast<char>(value >> shift));
    return *this;
  }

  std::string bytes_;
};

}  // namespace freshet::storage::postgres::pgoutput
