// What Freshet offers beyond Redis: reads that say how fresh they are, compare-and-set, eviction, and explanations.
#include <fmt/format.h>

#include "protocol/number.h"
#include "server/access.h"
#include "server/glob.h"
#include "server/handlers.h"
#include "server/server.h"
#include "server/worker.h"

namespace freshet::server::handlers {
namespace {

using cache::HitView;
using cache::Level;
using protocol::ReplyWriter;
using storage::Mutation;

// The one collection there is: the key-value table, which holds every key.
constexpr std::string_view kCollection = "kv";

void write_reading(ReplyWriter& reply, const HitView& view, cache::Source source, base::Nanoseconds age) {
  reply.map(4);
  reply.bulk("value");
  if (view.present) {
    reply.bulk(view.value);
  } else {
    reply.null();
  }
  reply.bulk("version");
  reply.integer(static_cast<std::int64_t>(view.version));
  reply.bulk("age");
  reply.integer(age / base::kMillisecond);
  reply.bulk("source");
  reply.bulk(source == cache::Source::memory ? "memory" : "storage");
}

// LEVEL linearizable | bounded MILLISECONDS | any. False after an error reply.
bool read_level(Context& context, cache::ReadOptions& options) {
  const auto args = context.args.subspan(2);
  if (args.empty()) return true;
  if (args.size() < 2 || !equals_ignoring_case(args[0], "level")) return context.reply.error(kSyntaxError), false;
  if (equals_ignoring_case(args[1], "linearizable") && args.size() == 2) return true;
  if (equals_ignoring_case(args[1], "any") && args.size() == 2) {
    options.level = Level::any;
    return true;
  }
  if (!equals_ignoring_case(args[1], "bounded") || args.size() != 3) return context.reply.error(kSyntaxError), false;
  std::int64_t ms = 0;
  if (!read_integer(context.reply, args[2], ms)) return false;
  if (ms < 0 || ms > INT64_MAX / base::kMillisecond) return context.reply.error(kNotAnInteger), false;
  options.level = Level::bounded;
  options.bound = ms * base::kMillisecond;
  return true;
}

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
    if (args[1] == kCollection) return engine.evict_if([](std::string_view) { return true; });
    context.reply.error(
        fmt::format("ERR there is no collection '{}'; there is one: '{}'", args[1].substr(0, 128), kCollection));
    return std::nullopt;
  }
  context.reply.error("ERR syntax error, try FRESHET.EVICT KEY key [key ...], PATTERN pattern, or COLLECTION name");
  return std::nullopt;
}

}  // namespace

void freshet_get(Context& context) {
  const auto key = context.args[1];
  cache::ReadOptions options;
  if (!key_fits(context.reply, key) || !read_level(context, options)) return;
  bool present = false;
  const auto visit = [&](const HitView& view) {
    present = view.present;
    write_reading(context.reply, view, cache::Source::memory, 0);
  };
  // Linearizable hits are the newest there is: they serve every level.
  if (context.engine.try_get(key, context.now, visit) == cache::Engine::Lookup::hit) {
    return count_read(context.session, present);
  }
  context.engine.get(std::string(key), options,
                     context.session.defer<cache::Reading>([](Session& session, cache::Reading&& reading) {
                       count_read(session, reading.present);
                       const HitView view{reading.present, reading.value, reading.version, reading.expires_at_ms};
                       write_reading(session.reply(), view, reading.source, reading.age);
                     }));
}

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

void freshet_stats(Context& context) {
  const auto& server = context.session.worker().server();
  const auto totals = server.totals();
  const auto stats = context.engine.stats();
  const std::pair<std::string_view, std::uint64_t> rows[] = {
      {"hits", stats.hits},
      {"misses", stats.misses},
      {"joined_fills", stats.joined_fills},
      {"fills_cached", stats.fills_cached},
      {"fills_not_cached", stats.fills_not_cached},
      {"writes", stats.writes},
      {"writes_cached", stats.writes_cached},
      {"guard_mismatches", stats.guard_mismatches},
      {"guards_set", stats.guards_set},
      {"guard_failures", stats.guard_failures},
      {"unknown_outcomes", stats.unknown_outcomes},
      {"unknown_resolved", stats.unknown_resolved},
      {"operations_in_flight", stats.operations_in_flight},
      {"slots_guarded", stats.slots_guarded},
      {"entries", stats.table.entries},
      {"bytes", stats.table.bytes},
      {"capacity_bytes", stats.table.capacity_bytes},
      {"inserted", stats.table.inserted},
      {"evicted", stats.table.evicted},
      {"erased", stats.table.erased},
      {"too_large", stats.table.too_large},
      {"clients", static_cast<std::uint64_t>(server.clients())},
      {"commands", totals.calls},
      {"command_errors", totals.failed + totals.rejected + totals.unknown_commands},
  };
  context.reply.map(std::size(rows));
  for (const auto& [name, value] : rows) {
    context.reply.bulk(name);
    context.reply.integer(static_cast<std::int64_t>(value));
  }
}

}  // namespace freshet::server::handlers
