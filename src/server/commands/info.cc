// INFO: sections of name:value lines, Redis's names where the figure is the same.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/resident.h"
#include "server/commands/access.h"
#include "server/commands/handlers.h"
#include "server/commands/table.h"
#include "server/server.h"
#include "server/version.h"
#include "server/worker.h"

namespace freshet::server::handlers {
namespace {

struct Source {
  Server& server;
  ServerTotals totals;
  cache::EngineStats engine;
  TrackingStats tracking;
};

std::string server_section(const Source& source) {
  const auto up = (base::now() - source.server.started_at()) / base::kSecond;
  return fmt::format(
      "redis_version:{}\r\nfreshet_version:{}\r\nredis_mode:standalone\r\nos:Linux\r\narch_bits:64\r\nprocess_id:{}\r\n"
      "run_id:{}\r\ntcp_port:{}\r\nuptime_in_seconds:{}\r\nuptime_in_days:{}\r\nio_threads_active:{}\r\n",
      kRedisVersion, kFreshetVersion, getpid(), source.server.run_id(), source.server.port(), up, up / 86400,
      source.server.workers().size());
}

std::string clients_section(const Source& source) {
  return fmt::format("connected_clients:{}\r\nmaxclients:{}\r\nblocked_clients:0\r\nclient_buffer_bytes:{}\r\n"
                     "tracking_clients:{}\r\nrecordings:{}\r\n",
                     source.server.clients(), source.server.clients_max(), source.server.client_memory_bytes(),
                     source.tracking.clients, source.server.recording_count());
}

std::string memory_section(const Source& source) {
  const auto& engine = source.engine;
  const auto& table = engine.table;
  return fmt::format(
      "used_memory:{}\r\nused_memory_rss:{}\r\nmaxmemory:{}\r\nmaxmemory_policy:{}\r\neviction_policy:{}\r\n"
      "cached_entries:{}\r\n",
      table.bytes, base::resident_bytes(), table.capacity_bytes, engine.policy_setting, engine.policy, table.entries);
}

std::string persistence_section(const Source&) { return "loading:0\r\nasync_loading:0\r\n"; }

std::string stats_section(const Source& source) {
  const auto& totals = source.totals;
  return fmt::format(
      "total_connections_received:{}\r\ntotal_commands_processed:{}\r\nrejected_connections:{}\r\ntotal_net_input_bytes:{}"
      "\r\n"
      "total_net_output_bytes:{}\r\nkeyspace_hits:{}\r\nkeyspace_misses:{}\r\nevicted_keys:{}\r\ntotal_error_replies:{}\r\n"
      "protocol_errors:{}\r\nclients_closed_for_limits:{}\r\ntracking_total_keys:{}\r\ntracking_total_prefixes:{}\r\n"
      "tracking_invalidations:{}\r\ntracking_flushes:{}\r\nrecorded_accesses:{}\r\nrecording_dropped:{}\r\n",
      totals.connections, totals.calls, totals.connections_rejected, totals.input_bytes, totals.output_bytes,
      totals.keyspace_hits, totals.keyspace_misses, source.engine.table.evicted,
      totals.failed + totals.rejected + totals.unknown_commands, totals.protocol_errors, totals.limit_closes,
      source.tracking.keys, source.tracking.prefixes, source.tracking.invalidations, source.tracking.flushes,
      totals.recorded_accesses, totals.recording_dropped);
}

std::string replication_section(const Source&) { return "role:master\r\nconnected_slaves:0\r\n"; }

std::string cpu_section(const Source&) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return fmt::format("used_cpu_sys:{}.{:06}\r\nused_cpu_user:{}.{:06}\r\n", usage.ru_stime.tv_sec, usage.ru_stime.tv_usec,
                     usage.ru_utime.tv_sec, usage.ru_utime.tv_usec);
}

std::string commandstats_section(const Source& source) {
  std::string text;
  for (const Command& command : command_table().all()) {
    const auto& sum = source.totals.commands[command_table().index_of(command)];
    if (sum.calls + sum.rejected == 0) continue;
    text += fmt::format("cmdstat_{}:calls={},rejected_calls={},failed_calls={}\r\n", command.name, sum.calls, sum.rejected,
                        sum.failed);
  }
  return text;
}

std::string cluster_section(const Source&) { return "cluster_enabled:0\r\n"; }

std::string freshet_section(const Source& source) {
  const auto& engine = source.engine;
  const auto ownership = source.server.engine().ownership_status();
  return fmt::format(
      "cache_hits:{}\r\ncache_misses:{}\r\njoined_fills:{}\r\nwrites:{}\r\nguard_mismatches:{}\r\nguards_set:{}\r\n"
      "guard_failures:{}\r\nunknown_outcomes:{}\r\nunknown_resolved:{}\r\noperations_in_flight:{}\r\nslots_guarded:{}\r\n"
      "pass_requests:{}\r\npass_cells:{}\r\npass_cells_open:{}\r\nownership:{}\r\nownership_period:{}\r\n",
      engine.hits, engine.misses, engine.joined_fills, engine.writes, engine.guard_mismatches, engine.guards_set,
      engine.guard_failures, engine.unknown_outcomes, engine.unknown_resolved, engine.operations_in_flight,
      engine.slots_guarded, engine.pass_requests, engine.pass_cells, engine.pass_cells_open, ownership.kind,
      ownership.period);
}

// The change stream behind the observed collections.
std::string stream_section(const Source& source) {
  auto& engine = source.server.engine();
  const auto& observed = source.engine.observed;
  const auto status = engine.stream_status();
  return fmt::format(
      "streaming:{}\r\nstream_lag_bytes:{}\r\nstream_lag_ms:{}\r\nstream_position:{}\r\nstream_slot:{}\r\n"
      "stream_publication:{}\r\nstream_detail:{}\r\nstream_reconnects:{}\r\nslots_lost:{}\r\ntransactions:{}\r\n"
      "row_changes:{}\r\nheld_transactions:{}\r\nheld_bytes:{}\r\nwaiting_reads:{}\r\nwaiting_fills:{}\r\n"
      "statements_in_flight:{}\r\nprobes:{}\r\nnudges:{}\r\npassed_through:{}\r\nstale_refusals:{}\r\n"
      "busy_refusals:{}\r\n",
      observed.streaming ? 1 : 0, observed.lag_bytes,
      observed.lag == base::kForever ? -1 : observed.lag / base::kMillisecond, storage::text_of_lsn(observed.position),
      status.slot, status.publication, status.detail, status.reconnects, status.slots_lost, status.transactions,
      status.row_changes, observed.held_transactions, observed.held_bytes, observed.waiting_reads, observed.waiting_fills,
      observed.statements_in_flight, observed.probes, observed.nudges, observed.passed_through, observed.stale_refusals,
      observed.busy_refusals);
}

struct Section {
  std::string_view name;   // As asked for.
  std::string_view title;  // As shown.
  bool by_default;
  std::string (*text)(const Source&);
};

constexpr Section kSections[] = {
    {"server", "Server", true, server_section},
    {"clients", "Clients", true, clients_section},
    {"memory", "Memory", true, memory_section},
    {"persistence", "Persistence", true, persistence_section},
    {"stats", "Stats", true, stats_section},
    {"replication", "Replication", true, replication_section},
    {"cpu", "CPU", true, cpu_section},
    {"commandstats", "Commandstats", false, commandstats_section},
    {"cluster", "Cluster", true, cluster_section},
    {"freshet", "Freshet", true, freshet_section},
    {"stream", "Stream", true, stream_section},
};

bool is_wanted(const Section& section, std::span<const std::string_view> asked) {
  if (asked.empty()) return section.by_default;
  for (const auto name : asked) {
    if (equals_ignoring_case(name, "all") || equals_ignoring_case(name, "everything")) return true;
    if (equals_ignoring_case(name, "default") && section.by_default) return true;
    if (equals_ignoring_case(name, section.name)) return true;
  }
  return false;
}

}  // namespace

void info(Context& context) {
  Server& server = context.session.worker().server();
  const Source source{server, server.totals(), context.engine.stats(), server.tracking().stats()};
  std::string text;
  for (const Section& section : kSections) {
    if (!is_wanted(section, context.args.subspan(1))) continue;
    if (!text.empty()) text += "\r\n";
    text += fmt::format("# {}\r\n{}", section.title, section.text(source));
  }
  context.reply.verbatim("txt", text);
}

}  // namespace freshet::server::handlers
