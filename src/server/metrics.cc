// The names and figures of /metrics.
#include "server/metrics.h"

#include <limits>
#include <span>

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include "server/server.h"

namespace freshet::server {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

ClientMetric labelled(const char* label, std::string_view text) {
  ClientMetric metric;
  if (label) metric.label.push_back({label, std::string(text)});
  return metric;
}

void set(ClientMetric& metric, MetricType type, double value) {
  if (type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
}

MetricFamily family(const char* name, const char* help, MetricType type) {
  MetricFamily made;
  made.name = name;
  made.help = help;
  made.type = type;
  return made;
}

MetricFamily single(const char* name, const char* help, MetricType type, double value) {
  auto made = family(name, help, type);
  made.metric.push_back(labelled(nullptr, {}));
  set(made.metric.back(), type, value);
  return made;
}

// A metric without labels.
struct Row {
  const char* name;
  const char* help;
  std::uint64_t value;
  bool counter;
};

void add_rows(std::span<const Row> rows, std::vector<MetricFamily>& out) {
  for (const auto& row : rows) {
    const auto type = row.counter ? MetricType::Counter : MetricType::Gauge;
    out.push_back(single(row.name, row.help, type, static_cast<double>(row.value)));
  }
}

void add_engine(const cache::EngineStats& stats, std::vector<MetricFamily>& out) {
  const Row rows[] = {
      {"freshet_cache_hits_total", "Reads answered from memory.", stats.hits, true},
      {"freshet_cache_misses_total", "Reads that went to storage, joined fills included.", stats.misses, true},
      {"freshet_joined_fills_total", "Misses that joined another's fill.", stats.joined_fills, true},
      {"freshet_fills_cached_total", "Fills whose value was cached.", stats.fills_cached, true},
      {"freshet_fills_not_cached_total", "Fills overlapped by a write, or whose slot changed owner.", stats.fills_not_cached,
       true},
      {"freshet_writes_total", "Writes sent to storage.", stats.writes, true},
      {"freshet_writes_cached_total", "Writes whose value was cached.", stats.writes_cached, true},
      {"freshet_guard_mismatches_total", "Writes that storage refused by their guard.", stats.guard_mismatches, true},
      {"freshet_guards_set_total", "Guards set in storage.", stats.guards_set, true},
      {"freshet_guard_failures_total", "Guards that could not be set.", stats.guard_failures, true},
      {"freshet_unknown_outcomes_total", "Writes whose answer was lost.", stats.unknown_outcomes, true},
      {"freshet_unknown_resolved_total", "Lost answers whose write's fate was found out.", stats.unknown_resolved, true},
      {"freshet_bypass_watching", "1: the changes of guarded tables are followed, for writes that get past.",
       stats.bypass.watching ? 1u : 0u, false},
      {"freshet_bypass_transactions_total", "Transactions that changed rows of guarded tables past the guard.",
       stats.bypass.transactions, true},
      {"freshet_bypass_rows_total", "Rows that they changed.", stats.bypass.rows, true},
      {"freshet_operations_in_flight", "Operations that storage has not answered yet.", stats.operations_in_flight, false},
      {"freshet_slots_guarded", "Hash slots under a guard, of 16384.", stats.slots_guarded, false},
      {"freshet_pass_requests_total", "Transactions of plain SQL that asked to write rows.", stats.pass_requests, true},
      {"freshet_pass_cells_total", "Cells whose rows were not cached for such transactions.", stats.pass_cells, true},
      {"freshet_pass_cells_open", "Cells whose rows are not cached now, of 256.", stats.pass_cells_open, false},
      {"freshet_cache_entries", "Entries in memory.", stats.table.entries, false},
      {"freshet_cache_bytes", "Bytes of memory that entries and index take.", stats.table.bytes, false},
      {"freshet_cache_capacity_bytes", "The most that they may take.", stats.table.capacity_bytes, false},
      {"freshet_cache_evicted_total", "Entries that left for room.", stats.table.evicted, true},
      {"freshet_cache_too_large_total", "Values too large to be cached.", stats.table.too_large, true},
  };
  add_rows(rows, out);
}

// With policy = auto: what the shadows estimate.
void add_estimates(const eviction::adaptive::Report& report, std::vector<MetricFamily>& out) {
  const Row rows[] = {
      {"freshet_eviction_policy_changes_total", "Times that another policy was put in office.", report.changes, true},
      {"freshet_eviction_sampled_requests_total", "Requests that the estimates are made of.", report.sampled_requests, true},
      {"freshet_eviction_sample_dropped_total", "Accesses of sampled keys that the estimates lack.", report.dropped, true},
      {"freshet_eviction_shadow_bytes", "Bytes that the estimates are made in.", report.bytes, false},
  };
  add_rows(rows, out);
  auto ratios = family("freshet_eviction_estimated_miss_ratio", "What a policy would miss, at a size.", MetricType::Gauge);
  for (const auto& policy : report.policies) {
    for (const auto& point : policy.curve) {
      ratios.metric.push_back(labelled("policy", policy.name));
      ratios.metric.back().label.push_back({"capacity_bytes", std::to_string(point.capacity_bytes)});
      ratios.metric.back().gauge.value = point.estimate.object_miss_ratio;
    }
  }
  out.push_back(std::move(ratios));
}

void add_eviction(cache::Engine& engine, const cache::EngineStats& stats, std::vector<MetricFamily>& out) {
  auto info = family("freshet_eviction_policy_info", "The policy in office, and the setting.", MetricType::Gauge);
  info.metric.push_back(labelled("policy", stats.policy));
  info.metric.back().label.push_back({"setting", std::string(stats.policy_setting)});
  info.metric.back().gauge.value = 1;
  out.push_back(std::move(info));
  if (const auto report = engine.eviction_report()) add_estimates(*report, out);
}

void add_stream(cache::Engine& engine, const consistency::FollowerStats& stats, std::vector<MetricFamily>& out) {
  const auto status = engine.stream_status();
  const Row rows[] = {
      {"freshet_stream_up", "Whether the change stream is followed.", stats.streaming, false},
      {"freshet_stream_lag_bytes", "The database's newest known position less the stream's.", stats.lag_bytes, false},
      {"freshet_stream_reconnects_total", "Times that the stream was begun again.", status.reconnects, true},
      {"freshet_stream_slots_lost_total", "Replication slots gone, given up or invalid.", status.slots_lost, true},
      {"freshet_stream_transactions_total", "Transactions received.", status.transactions, true},
      {"freshet_stream_row_changes_total", "Row changes received.", status.row_changes, true},
      {"freshet_held_transactions", "Transactions received and not yet seen visible.", stats.held_transactions, false},
      {"freshet_held_bytes", "Bytes of their changes.", stats.held_bytes, false},
      {"freshet_probes_total", "Probes sent to the database.", stats.probes, true},
      {"freshet_nudges_total", "Empty transactions committed to bring the log's end.", stats.nudges, true},
      {"freshet_observed_hits_total", "Waiting reads of observed collections answered from memory.", stats.hits, true},
      {"freshet_observed_fills_total", "Keys of observed collections read from the database.", stats.fills, true},
      {"freshet_observed_fill_statements_total", "Statements that read them.", stats.fill_statements, true},
      {"freshet_observed_fills_not_cached_total", "Fills whose value was not kept.", stats.fills_not_cached, true},
      {"freshet_passed_through_total", "Reads that the database answered by itself.", stats.passed_through, true},
      {"freshet_stale_refusals_total", "Reads refused: nothing was as fresh as asked.", stats.stale_refusals, true},
      {"freshet_busy_refusals_total", "Reads refused: too many were waiting.", stats.busy_refusals, true},
      {"freshet_changes_applied_total", "Changes applied to the cache.", stats.changes_applied, true},
      {"freshet_observed_entries_dropped_total", "Entries that a change dropped.", stats.entries_dropped, true},
      {"freshet_collections_dropped_total", "Times that a whole collection was dropped.", stats.collections_dropped, true},
      {"freshet_waiting_reads", "Reads that wait for a probe.", stats.waiting_reads, false},
      {"freshet_waiting_fills", "Keys that wait to be read from the database.", stats.waiting_fills, false},
      {"freshet_statements_in_flight", "Statements on the database, of fills.", stats.statements_in_flight, false},
  };
  add_rows(rows, out);
  const double lag = stats.lag == base::kForever ? std::numeric_limits<double>::infinity()
                                                 : static_cast<double>(stats.lag) / static_cast<double>(base::kSecond);
  out.push_back(single("freshet_stream_lag_seconds", "How long ago the cache was last proven to equal the database.",
                       MetricType::Gauge, lag));
  auto info = family("freshet_stream_info", "The replication slot and the publication in use.", MetricType::Gauge);
  info.metric.push_back(labelled("slot", status.slot));
  info.metric.back().label.push_back({"publication", status.publication});
  info.metric.back().gauge.value = 1;
  out.push_back(std::move(info));
}

void add_tracking(const TrackingStats& stats, std::vector<MetricFamily>& out) {
  const Row rows[] = {
      {"freshet_tracking_clients", "Clients that track what they read.", stats.clients, false},
      {"freshet_tracked_keys", "Keys remembered for them.", stats.keys, false},
      {"freshet_tracked_bytes", "Bytes that those take, about.", stats.bytes, false},
      {"freshet_invalidations_total", "Keys told, once for each client.", stats.invalidations, true},
      {"freshet_invalidation_flushes_total", "Times that a client was told to drop everything.", stats.flushes, true},
      {"freshet_tracked_evicted_total", "Keys told because the table was full.", stats.evicted, true},
  };
  add_rows(rows, out);
}

void add_server(Server& server, const ServerTotals& totals, std::vector<MetricFamily>& out) {
  const auto counter = [&](const char* name, const char* help, std::uint64_t value) {
    out.push_back(single(name, help, MetricType::Counter, static_cast<double>(value)));
  };
  const auto gauge = [&](const char* name, const char* help, double value) {
    out.push_back(single(name, help, MetricType::Gauge, value));
  };
  counter("freshet_connections_total", "Connections taken.", totals.connections);
  counter("freshet_connections_rejected_total", "Connections turned away: too many clients.", totals.connections_rejected);
  counter("freshet_protocol_errors_total", "Connections closed for bytes that are not the protocol.",
          totals.protocol_errors);
  counter("freshet_limit_closes_total", "Connections closed for passing a memory limit.", totals.limit_closes);
  counter("freshet_input_bytes_total", "Bytes received from clients.", totals.input_bytes);
  counter("freshet_output_bytes_total", "Bytes sent to clients.", totals.output_bytes);
  counter("freshet_recorded_accesses_total", "Accesses sent to connections that record.", totals.recorded_accesses);
  counter("freshet_recording_dropped_total", "Accesses that they could not take.", totals.recording_dropped);
  gauge("freshet_recordings", "Connections that record.", static_cast<double>(server.recording_count()));
  counter("freshet_unknown_commands_total", "Commands that are not offered.", totals.unknown_commands);
  gauge("freshet_connected_clients", "Clients connected.", server.clients());
  gauge("freshet_client_buffer_bytes", "Bytes of clients' large buffers.",
        static_cast<double>(server.client_memory_bytes()));
  gauge("freshet_uptime_seconds", "Seconds since the start.",
        static_cast<double>(base::now() - server.started_at()) / static_cast<double>(base::kSecond));
}

void add_commands(const CommandTable& commands, const ServerTotals& totals, std::vector<MetricFamily>& out) {
  auto calls = family("freshet_commands_total", "Commands executed.", MetricType::Counter);
  auto failed = family("freshet_command_errors_total", "Commands answered with an error.", MetricType::Counter);
  for (std::size_t i = 0; i < totals.commands.size(); ++i) {
    const auto& sum = totals.commands[i];
    if (sum.calls + sum.rejected == 0) continue;
    const auto name = commands.all()[i].name;
    calls.metric.push_back(labelled("command", name));
    calls.metric.back().counter.value = static_cast<double>(sum.calls);
    failed.metric.push_back(labelled("command", name));
    failed.metric.back().counter.value = static_cast<double>(sum.failed + sum.rejected);
  }
  out.push_back(std::move(calls));
  out.push_back(std::move(failed));
}

ClientMetric histogram(Server& server, LatencyHistogram WorkerCounters::*which, const char* waited) {
  auto metric = labelled("waited", waited);
  std::uint64_t count = 0, sum_ns = 0;
  for (int i = 0; i < LatencyHistogram::kBuckets; ++i) {
    for (const auto& worker : server.workers()) count += (worker->counters().*which).bucket(i);
    const bool last = i + 1 == LatencyHistogram::kBuckets;
    metric.histogram.bucket.push_back(
        {count, last ? std::numeric_limits<double>::infinity() : LatencyHistogram::bound_seconds(i)});
  }
  for (const auto& worker : server.workers()) sum_ns += (worker->counters().*which).sum_ns();
  metric.histogram.sample_count = count;
  metric.histogram.sample_sum = static_cast<double>(sum_ns) * 1e-9;
  return metric;
}

}  // namespace

class MetricsSource final : public prometheus::Collectable {
 public:
  explicit MetricsSource(Server& server) : server_(server) {}

  std::vector<MetricFamily> Collect() const override {
    std::vector<MetricFamily> out;
    const auto totals = server_.totals();
    const auto stats = server_.engine().stats();
    add_engine(stats, out);
    add_eviction(server_.engine(), stats, out);
    add_stream(server_.engine(), stats.observed, out);
    add_tracking(server_.tracking().stats(), out);
    add_server(server_, totals, out);
    add_commands(server_.commands(), totals, out);
    auto durations = family("freshet_command_duration_seconds",
                            "From taking a command up to its reply; waited: for storage.", MetricType::Histogram);
    durations.metric.push_back(histogram(server_, &WorkerCounters::immediate, "no"));
    durations.metric.push_back(histogram(server_, &WorkerCounters::waited, "yes"));
    out.push_back(std::move(durations));
    return out;
  }

 private:
  Server& server_;
};

Metrics::Metrics() = default;
Metrics::~Metrics() = default;

Result<std::unique_ptr<Metrics>> Metrics::start(Server& server, std::string_view listen) {
  const auto endpoint = parse_endpoint(listen);
  if (!endpoint) return endpoint.error();
  std::unique_ptr<Metrics> metrics(new Metrics);
  metrics->source_ = std::make_shared<MetricsSource>(server);
  const std::string address = endpoint->host.empty() ? std::to_string(endpoint->port) : endpoint->to_text();
  try {  // The library reports a port in use by an exception.
    metrics->exposer_ = std::make_unique<prometheus::Exposer>(address, 1);
  } catch (const std::exception& failure) {
    return Error::of(ErrorCode::unavailable, "cannot serve metrics on " + endpoint->to_text() + ": " + failure.what(),
                     "choose another address or port for metrics");
  }
  metrics->exposer_->RegisterCollectable(metrics->source_);
  const auto ports = metrics->exposer_->GetListeningPorts();
  metrics->port_ = static_cast<std::uint16_t>(ports.empty() ? endpoint->port : ports.front());
  return metrics;
}

}  // namespace freshet::server
