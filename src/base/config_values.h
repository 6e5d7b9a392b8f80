// The text forms of configuration values: sizes ("1GiB"), durations ("500ms"), endpoints ("127.0.0.1:6380"), and the nearest
// of several names to a mistyped one. Pure functions. May use base's clock only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "freshet/result.h"

namespace freshet::base {

// A whole number and a unit: B, KiB, MiB, GiB, TiB (also kB, MB, GB, TB, in thousands); without a unit: bytes. Letter case
// does not matter, nor does a space before the unit.
Result<std::int64_t> parse_bytes(std::string_view text);
// The shortest exact form: "1GiB", "1536KiB", "1000".
std::string format_bytes(std::int64_t bytes);

// A number, with or without a fraction, and its unit: ns, us, ms, s, min, h. "0" needs none.
Result<Nanoseconds> parse_duration(std::string_view text);
// The shortest exact form: "500ms", "90s", "2min".
std::string format_duration(Nanoseconds duration);

// An optional sign and digits, nothing else.
Result<std::int64_t> parse_integer(std::string_view text);

struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// HOST:PORT; an IPv6 address stands in brackets: "[::1]:6380". ":PORT" and "*:PORT" mean every address (the host is then
// empty). Port 0 lets the system choose.
Result<Endpoint> parse_endpoint(std::string_view text);

// The text in quotes, as TOML reads it.
std::string quote_toml(std::string_view text);

// The candidate that is the fewest edits (insert, delete, replace, swap of neighbours) away from `name`, if it is near
// enough to have been meant: at most a third of the letters wrong. Empty otherwise.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates);
// "there is no WHAT "NAME"", with the nearest of the names there are, or all of them.
Error unknown_name(std::string_view what, std::string_view name, std::span<const std::string_view> names);
// The number of such edits between two texts. Both are cut at kNameBytesMax.
std::size_t edit_distance(std::string_view a, std::string_view b);

inline constexpr std::size_t kNameBytesMax = 128;

}  // namespace freshet::base
