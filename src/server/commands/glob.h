// Redis's glob patterns: * ? [abc] [^a] [a-z] and \ to take the next character as it is. May use the standard library only.
#pragma once

#include <string_view>

namespace freshet::server {

// Takes at most pattern length times text length steps: no pattern is exponential.
bool glob_matches(std::string_view pattern, std::string_view text, bool ignore_case = false);

// Whether the text holds a character that means something in a pattern.
inline bool is_glob(std::string_view text) { return text.find_first_of("*?[\\") != text.npos; }

}  // namespace freshet::server
