// The words of read levels.
#include "server/levels.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocol/number.h"
#include "server/errors.h"
#include "server/command.h"

namespace freshet::server {
namespace {

using storage::Level;

constexpr std::string_view kLevelExpected =
    "ERR expected LINEARIZABLE, SESSION [token], BOUNDED milliseconds, SNAPSHOT, ANY or DEFAULT";

// "50", or "50ms". Nothing after an error reply.
std::optional<base::Nanoseconds> read_bound(Context& context, std::string_view text) {
  if (text.size() > 2 && equals_ignoring_case(text.substr(text.size() - 2), "ms")) text.remove_suffix(2);
  const auto ms = protocol::parse_integer(text);
  if (ms && *ms >= 0 && *ms <= INT64_MAX / base::kMillisecond) return *ms * base::kMillisecond;
  context.reply.error(kNotAnInteger);
  return std::nullopt;
}

}  // namespace

void ConnectionLevel::set(cache::ReadOptions options) {
  token_ = {};
  options_ = std::move(options);
  if (!in_session()) return;
  if (auto token = consistency::SessionToken::parse(options_.token)) token_ = *std::move(token);
}

void ConnectionLevel::saw(storage::Lsn position) {
  if (!in_session() || position <= token_.position) return;
  // What proved the reply came after the transaction that the token may name by its xid: the position includes it.
  token_.position = position;
  token_.xid = 0;
  options_.token = token_.to_text();
}

void ConnectionLevel::saw(const consistency::SessionToken& token) {
  if (!in_session()) return;
  const bool same_history = token.system == token_.system && token.timeline == token_.timeline;
  if (same_history) return saw(token.position);
  token_ = token;
  options_.token = token_.to_text();
}

bool read_level(Context& context, std::size_t& at, cache::ReadOptions& options) {
  const auto args = context.args;
  if (at >= args.size()) return context.reply.error(kLevelExpected), false;
  const std::string word = to_lower(args[at++].substr(0, 16));
  options = {};
  if (word == "default") return true;
  if (word == "linearizable" || word == "snapshot" || word == "any") {
    options.level = word == "any" ? Level::any : word == "snapshot" ? Level::snapshot : Level::linearizable;
    return true;
  }
  if (word == "bounded") {
    if (at == args.size()) return context.reply.error(kLevelExpected), false;
    const auto bound = read_bound(context, args[at++]);
    if (!bound) return false;
    options.level = Level::bounded;
    options.bound = *bound;
    return true;
  }
  if (word != "session") return context.reply.error(kLevelExpected), false;
  options.level = Level::session;
  if (at < args.size() && consistency::SessionToken::parse(args[at])) options.token = args[at++];
  return true;
}

std::string level_text(const cache::ReadOptions& options) {
  if (!options.level) return "default";
  switch (*options.level) {
    case Level::linearizable: return "linearizable";
    case Level::session: return "session " + options.token;
    case Level::bounded: return fmt::format("bounded {}", options.bound / base::kMillisecond);
    case Level::snapshot: return "snapshot";
    case Level::any: return "any";
  }
  return {};
}

}  // namespace freshet::server
