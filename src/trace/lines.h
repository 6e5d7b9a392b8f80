// Text traces: lines, fields between delimiters, and ids that are numbers or words. May use base only.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/slot.h"
#include "trace/reader.h"

namespace freshet::trace {

inline constexpr std::size_t kLineBytesMax = 64 << 10;
inline constexpr std::size_t kFieldsMax = 256;

// The key of an id: whole numbers as in binary formats, other texts by their hash.
std::uint64_t key_of(std::string_view id);

// A decimal number, perhaps with a fraction, which is cut off (times may have one).
std::optional<std::uint64_t> whole_number(std::string_view text);

// The fields of a line; one in double quotes may hold the delimiter.
void split_fields(std::string_view line, char delimiter, std::vector<std::string_view>& fields);

// The first line of `bytes` without its end, which may be \n or \r\n; nothing if it does not end here.
std::optional<std::string_view> first_line(std::string_view bytes);

class LineReader : public Reader {
 protected:
  using Reader::Reader;
  // The next line that is not empty; it holds until the next call. Step::record: there is one.
  Step next_line(std::string_view& line);
};

}  // namespace freshet::trace
