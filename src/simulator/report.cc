// See simulator/report.h.
#include "simulator/report.h"

#include <fmt/format.h>

#include "base/text.h"

namespace freshet::simulator {
namespace {

constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};

}  // namespace

std::string size_text(std::uint64_t bytes) {
  auto number = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; number >= 1024 && unit + 1 < std::size(kUnits); ++unit) number /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.{}f} {}", number, number < 10 ? 2 : 1, kUnits[unit]);
}

std::string table_of(const Workload& workload, std::span<const Outcome> outcomes) {
  const std::string sampled = workload.sample_rate() < 1 ? fmt::format(", sampled at {}", workload.sample_rate()) : "";
  std::string text = fmt::format("{}: {} requests, {} objects, {} in all{}\n\n", workload.name(),
                                 base::with_commas(workload.lookups()), base::with_commas(workload.objects()),
                                 size_text(workload.bytes_of_objects()), sampled);
  text += fmt::format("{:<12} {:>11} {:>12} {:>12} {:>12} {:>12} {:>14}\n", "policy", "size", "object miss", "byte miss",
                      "M requests/s", "peak", "policy's own");
  const KnownPolicy* before = nullptr;
  for (const Outcome& outcome : outcomes) {
    if (before != nullptr && before != outcome.policy) text += '\n';
    text += fmt::format("{:<12} {:>11} {:>12.4f} {:>12.4f} {:>12.1f} {:>12} {:>14}\n",
                        before == outcome.policy ? "" : outcome.policy->title, size_text(outcome.size_bytes),
                        outcome.object_miss_ratio, outcome.byte_miss_ratio, outcome.requests_per_s / 1e6,
                        size_text(outcome.peak_bytes), size_text(outcome.overhead_bytes));
    before = outcome.policy;
  }
  return text;
}

std::string json_of(const Workload& workload, std::span<const Outcome> outcomes) {
  std::string text;
  for (const Outcome& outcome : outcomes) {
    text += fmt::format(
        "{{\"trace\":{},\"policy\":{},\"size_bytes\":{},\"requests\":{},\"object_miss_ratio\":{:.6f},"
        "\"byte_miss_ratio\":{:.6f},\"requests_per_s\":{:.0f},\"peak_bytes\":{}}}\n",
        base::quote_json(workload.name()), base::quote_json(outcome.policy->name), outcome.size_bytes, outcome.requests,
        outcome.object_miss_ratio, outcome.byte_miss_ratio, outcome.requests_per_s, outcome.peak_bytes);
  }
  return text;
}

}  // namespace freshet::simulator
