// The table's policies over the same traffic: what each misses, keeps and takes, in a full table. What is missed comes in;
// counted over the second half of the requests. Made up: keys by Zipf's law (0.9) over some times as many as fit, values of
// five sizes in powers of two. Or a trace, its sizes divided so that a small cache will do.
//
// Run: table_policies_bench [--shards N] [--shard-mib N] [--value-bytes MOST] [--requests N] [--policy NAME ...]
//                           [--trace FILE [--divide-sizes N]] [--facts]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/slot.h"
#include "base/zipf.h"
#include "eviction/policies.h"
#include "memory/table.h"
#include "trace/reader.h"

namespace freshet {
namespace {

constexpr std::uint64_t kSeed = 20261129;
constexpr unsigned kSizes = 5;
constexpr double kZipf = 0.9;
constexpr std::uint64_t kTimesWhatFits = 4;

struct Traffic {
  unsigned shards = 16;
  std::size_t shard_mib = 4;
  std::size_t value_bytes_max = 1024;  // The smallest are a sixteenth of it.
  std::uint64_t requests = 4'000'000;
  std::string trace;
  std::uint32_t divide_sizes = 1;
  bool facts = false;

  std::size_t capacity_bytes() const { return shards * (shard_mib << 20); }
  std::size_t value_bytes(std::uint64_t key) const { return value_bytes_max >> base::Random(key).below(kSizes); }
  std::uint64_t keys() const {
    std::size_t all = 0;
    for (unsigned i = 0; i < kSizes; ++i) all += value_bytes_max >> i;
    return kTimesWhatFits * capacity_bytes() / (all / kSizes + memory::Table::bytes_of(20, 0));
  }
};

struct Request {
  std::uint64_t key;
  std::size_t value_bytes;
};

std::vector<Request> made_up(const Traffic& traffic) {
  base::Random random(kSeed);
  const base::Zipf zipf(traffic.keys(), kZipf);
  std::vector<Request> requests;
  for (std::uint64_t i = 0; i < traffic.requests; ++i) {
    const std::uint64_t key = zipf.draw(random);
    requests.push_back({key, traffic.value_bytes(key)});
  }
  return requests;
}

Result<std::vector<Request>> from_trace(const Traffic& traffic) {
  auto reader = trace::open_trace(traffic.trace, {});
  if (!reader) return reader.error();
  std::vector<Request> requests;
  std::vector<trace::Record> records(1024);
  for (std::size_t count = records.size(); count == records.size();) {
    const auto read = (*reader)->read(records);
    if (!read) return read.error();
    count = *read;
    for (std::size_t i = 0; i < count; ++i) {
      requests.push_back({records[i].key, std::max(1U, records[i].size / traffic.divide_sizes)});
    }
  }
  return requests;
}

void run(const Traffic& traffic, const std::vector<Request>& requests, const eviction::TablePolicy& policy) {
  memory::TableOptions options;
  options.capacity_bytes = traffic.capacity_bytes();
  options.shards = traffic.shards;
  options.policy = policy.make;
  memory::Table table(std::move(options));
  const std::string value(std::ranges::max(requests, {}, &Request::value_bytes).value_bytes, 'v');
  std::uint64_t misses = 0;
  const base::Nanoseconds begun = base::now();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const std::string key = fmt::format("key:{:016x}", requests[i].key);
    const std::uint64_t hash = base::hash_of(key);
    if (table.visit(key, hash, [](const memory::Entry&) {})) continue;
    misses += i >= requests.size() / 2 ? 1 : 0;
    table.insert({.key = key, .hash = hash, .value = std::string_view(value).substr(0, requests[i].value_bytes)});
  }
  const double ns = static_cast<double>(base::now() - begun) / static_cast<double>(requests.size());
  const memory::TableStats stats = table.stats();
  const auto entries = static_cast<double>(stats.entries);
  const auto beside = static_cast<double>(stats.bytes - stats.entry_bytes - stats.index_bytes);
  fmt::print("{:14} {:8.4f} {:12} {:10.1f} {:8.1f} {:8.0f}\n", policy.name,
             static_cast<double>(misses) / static_cast<double>(requests.size() / 2), stats.entries,
             beside / entries, 100 * beside / static_cast<double>(stats.bytes), ns);
  if (!traffic.facts) return;
  for (const memory::PolicyFact& fact : table.describe_policy()) fmt::print("    {} {:.6g}\n", fact.name, fact.value);
}

int main_of(int count, char** arguments) {
  Traffic traffic;
  std::vector<std::string> names;
  CLI::App app("The table's policies over the same traffic.");
  app.add_option("--shards", traffic.shards, "A power of two");
  app.add_option("--shard-mib", traffic.shard_mib, "Of each");
  app.add_option("--value-bytes", traffic.value_bytes_max, "Of the largest");
  app.add_option("--requests", traffic.requests);
  app.add_option("--policy", names, "All, unless named");
  app.add_option("--trace", traffic.trace, "Replayed instead");
  app.add_option("--divide-sizes", traffic.divide_sizes, "The trace's, by so much")->check(CLI::PositiveNumber);
  app.add_flag("--facts", traffic.facts, "What policies say of themselves, too");
  CLI11_PARSE(app, count, arguments);
  const auto requests = traffic.trace.empty() ? Result(made_up(traffic)) : from_trace(traffic);
  if (!requests) {
    fmt::print(stderr, "{}\n", requests.error().what);
    return 1;
  }
  fmt::print("{:14} {:>8} {:>12} {:>10} {:>8} {:>8}\n", "", "misses", "entries", "bytes each", "% of all", "ns");
  for (const eviction::TablePolicy& policy : eviction::table_policies()) {
    if (names.empty() || std::ranges::find(names, policy.name) != names.end()) run(traffic, *requests, policy);
  }
  return 0;
}

}  // namespace
}  // namespace freshet

int main(int count, char** arguments) { return freshet::main_of(count, arguments); }
