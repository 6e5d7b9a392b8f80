// What Freshet offers beyond Redis, apart from levels of reads and figures: compare-and-set, eviction and explanations.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "protocol/number.h"
#include "server/commands/access.h"
#include "server/commands/glob.h"
#include "server/commands/handlers.h"

namespace freshet::server::handlers {
namespace {

using storage::Mutation;

std::size_t evict_pattern(cache::Engine& engine, std::string_view pattern) {
  return engine.evict_if([&](std::string_view key) { return glob_matches(pattern, key); });
}

// What FRESHET.EVICT's arguments drop; nothing after an error reply.
std::optional<std::size_t> evict(Context& context) {
  const auto args = context.args.subspan(1);
  auto& engine = context.engine;
  if (args.size() == 1) return is_glob(args[0]) ? evict_pattern(engine, args[0]) : engine.evict(args[0]);
  if (equals_ignoring_case(args[0], "key")) {
    std::size_t dropped = 0;
    for (const auto key : args.subspan(1)) dropped += engine.evict(key);
    return dropped;
  }
  if (args.size() == 2 && equals_ignoring_case(args[0], "pattern")) return evict_pattern(engine, args[1]);
  if (args.size() == 2 && equals_ignoring_case(args[0], "collection")) {
    const auto dropped = engine.evict_collection(args[1]);
    if (dropped) return dropped;
    context.reply.error(fmt::format("ERR there is no collection '{}'; there are: {}", args[1].substr(0, 128),
                                    fmt::join(engine.collections(), ", ")));
    return std::nullopt;
  }
  context.reply.error("ERR syntax error, try FRESHET.EVICT KEY key [key ...], PATTERN pattern, or COLLECTION name");
  return std::nullopt;
}

}  // namespace

void freshet_set(Context& context) {
  const auto args = context.args;
  if (!equals_ignoring_case(args[3], "version")) return context.reply.error(kSyntaxError);
  std::int64_t version = 0;
  if (!read_integer(context.reply, args[4], version)) return;
  if (version < 0) return context.reply.error(kNotAnInteger);
  Mutation mutation;
  mutation.key = args[1];
  mutation.value = args[2];
  mutation.condition = storage::Condition::if_version;
  mutation.version = static_cast<storage::Version>(version);
  if (args.size() == 6 && equals_ignoring_case(args[5], "keepttl")) {
    mutation.expiry.mode = storage::Expiry::Mode::keep;
  } else if (args.size() > 5) {
    const auto unit = expiry_unit(args[5]);
    if (!unit || args.size() != 7) return context.reply.error(kSyntaxError);
    const auto expiry = read_expiry(context, *unit, args[6], "freshet.set");
    if (!expiry) return;
    mutation.expiry = *expiry;
  }
  write_key(context, std::move(mutation), [version](Session& session, storage::MutationOutcome&& outcome) {
    if (outcome.applied) return session.reply().integer(static_cast<std::int64_t>(outcome.after.version));
    const bool live = is_live(session.engine(), outcome.after);
    session.reply().error(
        live ? fmt::format("VERSIONMISMATCH the key is at version {}, not {}", outcome.after.version, version)
             : fmt::format("VERSIONMISMATCH the key is absent (version 0), not at version {}", version));
  });
}

void freshet_evict(Context& context) {
  if (const auto dropped = evict(context)) context.reply.integer(static_cast<std::int64_t>(*dropped));
}

void freshet_explain(Context& context) {
  if (!key_fits(context.reply, context.args[1])) return;
  const auto lines = context.engine.explain(context.args[1]);
  context.reply.map(lines.size());
  for (const auto& [name, text] : lines) {
    context.reply.bulk(name);
    context.reply.bulk(text);
  }
}

}  // namespace freshet::server::handlers
