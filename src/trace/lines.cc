// See trace/lines.h.
#include "trace/lines.h"

#include <algorithm>

#include <fmt/format.h>

namespace freshet::trace {

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, fault] = std::from_chars(text.data(), end, number);
  if (fault != std::errc{} || stop == text.data()) return std::nullopt;
  if (stop == end) return number;
  const bool fraction = *stop == '.' && std::all_of(stop + 1, end, [](char c) { return c >= '0' && c <= '9'; });
  return fraction ? std::optional(number) : std::nullopt;
}

std::uint64_t key_of(std::string_view id) {
  std::uint64_t number = 0;
  const char* const end = id.data() + id.size();
  const auto [stop, fault] = std::from_chars(id.data(), end, number);
  const bool is_number = fault == std::errc{} && stop == end && !id.empty() && (id.front() != '0' || id.size() == 1);
  return is_number ? mix(number) : base::hash_of(id);
}

void split_fields(std::string_view line, char delimiter, std::vector<std::string_view>& fields) {
  fields.clear();
  while (fields.size() < kFieldsMax) {
    const bool quoted = line.starts_with('"') && line.find('"', 1) != std::string_view::npos;
    const auto search_from = quoted ? line.find('"', 1) + 1 : 0;
    const auto end = std::min(line.find(delimiter, search_from), line.size());
    fields.push_back(quoted ? line.substr(1, search_from - 2) : line.substr(0, end));
    if (end == line.size()) return;
    line.remove_prefix(end + 1);
  }
}

std::optional<std::string_view> first_line(std::string_view bytes) {
  const auto end = bytes.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  return bytes.substr(0, end > 0 && bytes[end - 1] == '\r' ? end - 1 : end);
}

Reader::Step LineReader::next_line(std::string_view& line) {
  for (;;) {
    auto bytes = input().peek(1);
    auto end = bytes.find('\n');
    if (end == std::string_view::npos) {
      bytes = input().peek(kLineBytesMax);
      end = bytes.find('\n');
    }
    if (end == std::string_view::npos && bytes.size() >= kLineBytesMax) {
      return fail(fmt::format("its line is longer than {} bytes", kLineBytesMax), "is this a text format?");
    }
    if (end == std::string_view::npos && (input().error() || bytes.empty())) return finish(0, 0);
    // The last line may lack its end.
    line = bytes.substr(0, std::min(end, bytes.size()));
    input().skip(std::min(line.size() + 1, bytes.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) return Step::record;
  }
}

}  // namespace freshet::trace
