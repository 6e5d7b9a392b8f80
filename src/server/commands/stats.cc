// FRESHET.STATS: the counters, what the choice of an eviction policy is made by, and what a policy that learns has learned.
#include <string_view>
#include <utility>
#include <vector>

#include "server/errors.h"
#include "server/commands/handlers.h"
#include "server/server.h"
#include "server/session.h"
#include "server/worker.h"

namespace freshet::server::handlers {
namespace {

void integer(protocol::ReplyWriter& reply, std::string_view name, std::uint64_t value) {
  reply.bulk(name);
  reply.integer(static_cast<std::int64_t>(value));
}

void text(protocol::ReplyWriter& reply, std::string_view name, std::string_view value) {
  reply.bulk(name);
  reply.bulk(value);
}

void all_stats(Context& context) {
  auto& server = context.session.worker().server();
  const auto totals = server.totals();
  const auto stats = context.engine.stats();
  const auto tracking = server.tracking().stats();
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
      {"bypass_watching", stats.bypass.watching ? 1u : 0u},
      {"bypass_transactions", stats.bypass.transactions},
      {"bypass_rows", stats.bypass.rows},
      {"operations_in_flight", stats.operations_in_flight},
      {"slots_guarded", stats.slots_guarded},
      {"pass_requests", stats.pass_requests},
      {"pass_cells", stats.pass_cells},
      {"pass_cells_open", stats.pass_cells_open},
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
  for (const auto& [name, value] : rows) integer(context.reply, name, value);
}

// A policy's estimates: its miss ratio at the cache's size, and at others.
void estimates(protocol::ReplyWriter& reply, const eviction::adaptive::Report::Policy& policy) {
  reply.bulk(policy.name);
  reply.map(2);
  reply.bulk("miss_ratio");
  reply.number(policy.miss_ratio);
  reply.bulk("curve");
  reply.array(policy.curve.size());
  for (const auto& point : policy.curve) {
    reply.array(2);
    reply.integer(static_cast<std::int64_t>(point.capacity_bytes));
    reply.number(point.estimate.object_miss_ratio);
  }
}

// Counts are whole numbers, means are not.
void learned(protocol::ReplyWriter& reply, const std::vector<memory::PolicyFact>& facts) {
  reply.bulk("learned");
  reply.map(facts.size());
  for (const auto& fact : facts) {
    reply.bulk(fact.name);
    if (fact.together == memory::PolicyFact::Together::mean) {
      reply.number(fact.value);
    } else {
      reply.integer(static_cast<std::int64_t>(fact.value));
    }
  }
}

void eviction_stats(Context& context) {
  constexpr std::size_t kAlways = 9, kAutomatic = 8;
  const auto stats = context.engine.stats();
  const auto report = context.engine.eviction_report();
  const auto facts = context.engine.describe_policy();
  auto& reply = context.reply;
  reply.map(kAlways + (facts.empty() ? 0 : 1) + (report ? kAutomatic : 0));
  text(reply, "policy", stats.policy);
  text(reply, "setting", stats.policy_setting);
  integer(reply, "entries", stats.table.entries);
  integer(reply, "entry_bytes", stats.table.entry_bytes);
  integer(reply, "index_bytes", stats.table.index_bytes);
  integer(reply, "policy_bytes", stats.table.policy_bytes);
  const std::uint64_t used = stats.table.entry_bytes + stats.table.index_bytes + stats.table.policy_bytes;
  integer(reply, "unused_bytes", stats.table.bytes - used);
  integer(reply, "capacity_bytes", stats.table.capacity_bytes);
  integer(reply, "evicted", stats.table.evicted);
  if (!facts.empty()) learned(reply, facts);
  if (!report) return;
  integer(reply, "changes", report->changes);
  integer(reply, "windows", report->windows);
  integer(reply, "cool_down_windows", report->cool_down_windows);
  reply.bulk("sample_rate");
  reply.number(report->rate);
  integer(reply, "sampled_requests", report->sampled_requests);
  integer(reply, "sample_dropped", report->dropped);
  integer(reply, "shadow_bytes", report->bytes);
  reply.bulk("estimates");
  reply.map(report->policies.size());
  for (const auto& policy : report->policies) estimates(reply, policy);
}

}  // namespace

void freshet_stats(Context& context) {
  if (context.args.size() == 1) return all_stats(context);
  if (context.args.size() == 2 && equals_ignoring_case(context.args[1], "eviction")) return eviction_stats(context);
  context.reply.error("ERR syntax error, try FRESHET.STATS or FRESHET.STATS EVICTION");
}

}  // namespace freshet::server::handlers
