// What Freshet offers beyond Redis, apart from levels of reads: compare-and-set, eviction, explanations and figures.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "protocol/number.h"
#include "server/access.h"
#include "server/glob.h"
#include "server/handlers.h"
#include "server/server.h"
#include "server/worker.h"

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

void freshet_stats(Context& context) {
  const auto& server = context.session.worker().server();
  const auto totals = server.totals();
  const auto stats = context.engine.stats();
  const auto tracking = context.session.worker().server().tracking().stats();
  const auto& observed = stats.observed;
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
      {"observed_hits", observed.hits},
      {"observed_fills", observed.fills},
      {"observed_fill_statements", observed.fill_statements},
      {"observed_joined_fills", observed.joined_fills},
      {"observed_fills_cached", observed.fills_cached},
      {"observed_fills_not_cached", observed.fills_not_cached},
      {"probes", observed.probes},
      {"nudges", observed.nudges},
      {"passed_through", observed.passed_through},
      {"stale_refusals", observed.stale_refusals},
      {"busy_refusals", observed.busy_refusals},
      {"changes_applied", observed.changes_applied},
      {"changes_ignored", observed.changes_ignored},
      {"entries_dropped", observed.entries_dropped},
      {"collections_dropped", observed.collections_dropped},
      {"held_transactions", observed.held_transactions},
      {"held_bytes", observed.held_bytes},
      {"waiting_reads", observed.waiting_reads},
      {"waiting_fills", observed.waiting_fills},
      {"statements_in_flight", observed.statements_in_flight},
      {"streaming", observed.streaming ? 1u : 0u},
      {"lag_bytes", observed.lag_bytes},
      {"tracking_clients", tracking.clients},
      {"tracked_keys", tracking.keys},
      {"invalidations", tracking.invalidations},
      {"recordings", server.recording_count()},
      {"recorded_accesses", totals.recorded_accesses},
      {"recording_dropped", totals.recording_dropped},
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
