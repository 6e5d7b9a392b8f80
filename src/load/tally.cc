// Sums of tallies.
#include "load/tally.h"

#include <algorithm>

namespace freshet::load {

void Tally::note_error(std::string_view text, std::uint64_t times) {
  errors += times;
  std::string kept(text.substr(0, kErrorBytesMax));
  if (error_texts.size() >= kErrorsToldMax) return;
  if (std::find(error_texts.begin(), error_texts.end(), kept) == error_texts.end()) error_texts.push_back(std::move(kept));
}

void Tally::add_parallel(const Tally& other) {
  operations += other.operations;
  requests += other.requests;
  misses += other.misses;
  errors += other.errors;
  unsent += other.unsent;
  lost_connections += other.lost_connections;
  latency_ns.add(other.latency_ns);
  late_ns.add(other.late_ns);
  generator_cpu_s += other.generator_cpu_s;
  for (const auto& text : other.error_texts) note_error(text, 0);
}

void Tally::add_round(const Tally& other) {
  const bool first = seconds == 0;
  add_parallel(other);
  seconds += other.seconds;
  if (first) target_cpu_s = other.target_cpu_s;
  else if (target_cpu_s && other.target_cpu_s) *target_cpu_s += *other.target_cpu_s;
  else target_cpu_s.reset();
}

std::optional<double> per_second(std::uint64_t count, std::optional<double> seconds) {
  if (!seconds || *seconds <= 0) return std::nullopt;
  return static_cast<double>(count) / *seconds;
}

std::optional<double> quantile_us(const base::Histogram& histogram, double quantile) {
  if (histogram.count() == 0) return std::nullopt;
  return static_cast<double>(histogram.at_quantile(quantile)) / static_cast<double>(base::kMicrosecond);
}

}  // namespace freshet::load
