// The texts of floats in values, as Redis reads and prints them. May use nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace freshet::server {

// Nullopt: the text is no float, or out of range. Infinities are floats here.
std::optional<long double> parse_float(std::string_view text);
// As Redis prints floats for people: 17 decimals at most, without trailing zeros, never with an exponent.
std::string format_float(long double value);

}  // namespace freshet::server
