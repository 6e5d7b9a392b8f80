// Reading and writing session tokens. See consistency/session_token.h.
#include "consistency/session_token.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace freshet::consistency {
namespace {

constexpr std::size_t kSystemDigitsMax = 20;  // Of a 64-bit number.
constexpr std::size_t kTimelineDigits = 8;

bool is_system(std::string_view text) {
  return !text.empty() && text.size() <= kSystemDigitsMax && text.find_first_not_of("0123456789") == text.npos;
}

bool is_timeline(std::string_view text) {
  return text.size() == kTimelineDigits && text.find_first_not_of("0123456789ABCDEF") == text.npos;
}

std::optional<storage::FullXid> parse_xid(std::string_view text) {
  storage::FullXid xid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), xid);
  if (error != std::errc() || end != text.data() + text.size() || xid == 0) return std::nullopt;
  return xid;
}

Error no_token(std::string_view text) {
  return Error::of(ErrorCode::invalid_argument, fmt::format("'{}' is no session token", text.substr(0, 64)),
                   "pass on what FRESHET.TOKEN answered, or SYSTEM-TIMELINE-L<position> or SYSTEM-TIMELINE-X<xid> as "
                   "docs/READ-LEVELS.md writes it in SQL");
}

}  // namespace

Result<SessionToken> SessionToken::parse(std::string_view text) {
  const auto first = text.find('-');
  const auto second = first == text.npos ? first : text.find('-', first + 1);
  if (second == text.npos || second + 1 == text.size()) return no_token(text);
  SessionToken token;
  token.system = text.substr(0, first);
  token.timeline = text.substr(first + 1, second - first - 1);
  if (!is_system(token.system) || !is_timeline(token.timeline)) return no_token(text);
  const char kind = text[second + 1];
  const auto moment = text.substr(second + 2);
  if (kind == 'L') {
    const auto position = storage::parse_lsn(moment);
    if (!position || *position == 0) return no_token(text);
    token.position = *position;
  } else if (kind == 'X') {
    const auto xid = parse_xid(moment);
    if (!xid) return no_token(text);
    token.xid = *xid;
  } else {
    return no_token(text);
  }
  return token;
}

std::string SessionToken::to_text() const {
  if (position != 0) return fmt::format("{}-{}-L{}", system, timeline, storage::text_of_lsn(position));
  return fmt::format("{}-{}-X{}", system, timeline, xid);
}

}  // namespace freshet::consistency
