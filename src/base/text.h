// Numbers and texts as people and JSON want them. Pure functions; may use fmt.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace freshet::base {

// "1,234,567".
std::string with_commas(std::uint64_t number);
// A JSON string with its quotes (RFC 8259). The text's bytes beyond ASCII stay as they are: UTF-8 is expected.
std::string quote_json(std::string_view text);

}  // namespace freshet::base
