// Floats as Redis reads and prints them. See server/commands/float_text.h.
#include "server/commands/float_text.h"

#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace freshet::server {
namespace {

// Room for the longest float that is written, a long double in full; what is read must fit into it too.
constexpr std::size_t kFloatRoom = 5 * 1024;

}  // namespace

std::optional<long double> parse_float(std::string_view text) {
  if (text.empty() || text.size() >= kFloatRoom || std::isspace(static_cast<unsigned char>(text.front()))) {
    return std::nullopt;
  }
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  const long double value = std::strtold(copy.c_str(), &end);
  const bool out_of_range = errno == ERANGE && (std::isinf(value) || value == 0);
  if (end != copy.c_str() + copy.size() || out_of_range || std::isnan(value)) return std::nullopt;
  return value;
}

std::string format_float(long double value) {
  char text[kFloatRoom];
  const int length = std::snprintf(text, sizeof text, "%.17Lf", value);
  std::string out(text, static_cast<std::size_t>(length));
  if (out.find('.') != std::string::npos) {
    out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.') out.pop_back();
  }
  return out == "-0" ? "0" : out;
}

}  // namespace freshet::server
