// Parsing and printing of configuration values.
#include "base/config_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

namespace freshet::base {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t scale;
};

constexpr std::array kByteUnits = {
    Unit{"TiB", 1ll << 40}, Unit{"GiB", 1ll << 30},        Unit{"MiB", 1ll << 20}, Unit{"KiB", 1ll << 10},
    Unit{"TB", 1'000'000'000'000}, Unit{"GB", 1'000'000'000}, Unit{"MB", 1'000'000},  Unit{"kB", 1'000},
    Unit{"B", 1},
};
constexpr std::size_t kBinaryByteUnits = 4;

constexpr std::array kDurationUnits = {
    Unit{"h", 3600 * kSecond}, Unit{"min", 60 * kSecond},  Unit{"s", kSecond},
    Unit{"ms", kMillisecond},  Unit{"us", kMicrosecond}, Unit{"ns", 1},
};

Error expected(std::string_view what, std::string_view text) {
  return Error::of(ErrorCode::invalid_argument, fmt::format("expected {}, found \"{}\"", what, text));
}

bool same_letters(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

std::optional<std::int64_t> scale_of(std::string_view unit, std::span<const Unit> units) {
  for (const Unit& candidate : units) {
    if (same_letters(unit, candidate.name)) return candidate.scale;
  }
  return std::nullopt;
}

// Splits "1.5 GiB" into number and unit.
std::pair<std::string_view, std::string_view> split_unit(std::string_view text) {
  std::size_t end = text.find_first_not_of("0123456789.");
  if (end == std::string_view::npos) end = text.size();
  const std::size_t unit = std::min(text.find_first_not_of(' ', end), text.size());
  return {text.substr(0, end), text.substr(unit)};
}

}  // namespace

Result<std::int64_t> parse_bytes(std::string_view text) {
  constexpr std::string_view kWanted = "a size such as 512MiB or 1GiB";
  const auto [number, unit] = split_unit(text);
  const auto scale = unit.empty() ? std::optional<std::int64_t>(1) : scale_of(unit, kByteUnits);
  std::int64_t count = 0;
  const auto [end, code] = std::from_chars(number.data(), number.data() + number.size(), count);
  if (!scale || code != std::errc() || end != number.data() + number.size()) return expected(kWanted, text);
  std::int64_t bytes = 0;
  if (__builtin_mul_overflow(count, *scale, &bytes)) return expected("a size below 8EiB", text);
  return bytes;
}

std::string format_bytes(std::int64_t bytes) {
  for (const Unit& unit : std::span(kByteUnits).first(kBinaryByteUnits)) {
    if (bytes != 0 && bytes % unit.scale == 0) return fmt::format("{}{}", bytes / unit.scale, unit.name);
  }
  return fmt::format("{}", bytes);
}

Result<Nanoseconds> parse_duration(std::string_view text) {
  constexpr std::string_view kWanted = "a duration with its unit, such as 500ms, 2s or 5min";
  if (text == "0") return Nanoseconds{0};
  const auto [number, unit] = split_unit(text);
  const auto scale = scale_of(unit, kDurationUnits);
  const bool digits_at_both_ends = !number.empty() && number.front() != '.' && number.back() != '.';
  if (!scale || !digits_at_both_ends || std::count(number.begin(), number.end(), '.') > 1) return expected(kWanted, text);

  // The whole part exactly, the fraction to the nanosecond.
  const std::size_t point = std::min(number.find('.'), number.size());
  std::int64_t whole = 0;
  if (std::from_chars(number.data(), number.data() + point, whole).ec != std::errc()) return expected(kWanted, text);
  double fraction = 0;
  if (point < number.size()) std::from_chars(number.data() + point, number.data() + number.size(), fraction);
  std::int64_t duration = 0;
  if (__builtin_mul_overflow(whole, *scale, &duration) ||
      __builtin_add_overflow(duration, std::llround(fraction * static_cast<double>(*scale)), &duration)) {
    return expected("a duration below 292 years", text);
  }
  return duration;
}

std::string format_duration(Nanoseconds duration) {
  for (const Unit& unit : kDurationUnits) {
    if (duration != 0 && duration % unit.scale == 0) return fmt::format("{}{}", duration / unit.scale, unit.name);
  }
  return "0";
}

Result<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return expected("a whole number", text);
  return value;
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  constexpr std::string_view kWanted = "HOST:PORT, such as 127.0.0.1:6380 or [::1]:6380";
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return expected(kWanted, text);
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const bool plain = host.find_first_of(bracketed ? "[] " : "[]: ") == std::string_view::npos;
  std::uint16_t port = 0;
  const auto [end, code] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  if (host == "*" && !bracketed) host = {};
  if (!plain || code != std::errc() || end != text.data() + text.size()) return expected(kWanted, text);
  return Endpoint{std::string(host), port};
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  a = a.substr(0, kNameBytesMax);
  b = b.substr(0, kNameBytesMax);
  // Three rows of the table of Damerau's distance (optimal string alignment).
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, above);
    std::swap(above, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::string quote_toml(std::string_view text) {
  std::string out = "\"";
  for (const char character : text) {
    if (character == '\n') {
      out += "\\n";
      continue;
    }
    if (character == '"' || character == '\\') out += '\\';
    if (static_cast<unsigned char>(character) < 0x20 || character == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(character));
    } else {
      out += character;
    }
  }
  return out + '"';
}

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates) {
  std::string_view nearest;
  std::size_t fewest = name.size() / 3 + 1;
  for (std::string_view candidate : candidates) {
    const std::size_t edits = edit_distance(name, candidate);
    if (edits <= fewest && (nearest.empty() || edits < fewest)) {
      nearest = candidate;
      fewest = edits;
    }
  }
  return nearest;
}

Error unknown_name(std::string_view what, std::string_view name, std::span<const std::string_view> names) {
  const auto near = nearest_name(name, names);
  return Error::of(ErrorCode::invalid_argument, fmt::format("there is no {} \"{}\"", what, name),
                   near.empty() ? fmt::format("it is one of {}", fmt::join(names, ", "))
                                : fmt::format("did you mean \"{}\"?", near));
}

}  // namespace freshet::base
