// The table's policies over the same made-up traffic: what each misses, keeps and takes, in a full table. Keys by Zipf's law
// (0.9) over some times as many as fit, values of five sizes in powers of two; what is missed comes in. Counted over the
// second half of the requests.
//
// Run: table_policies_bench [--shards N] [--shard-mib N] [--value-bytes MOST] [--requests N] [--policy NAME ...]
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

  std::size_t capacity_bytes() const { return shards * (shard_mib << 20); }
  std::size_t value_bytes(std::uint64_t key) const { return value_bytes_max >> base::Random(key).below(kSizes); }
  std::uint64_t keys() const {
    std::size_t all = 0;
    for (unsigned i = 0; i < kSizes; ++i) all += value_bytes_max >> i;
    return kTimesWhatFits * capacity_bytes() / (all / kSizes + memory::Table::bytes_of(20, 0));
  }
};

void run(const Traffic& traffic, const eviction::TablePolicy& policy) {
  memory::TableOptions options;
  options.capacity_bytes = traffic.capacity_bytes();
  options.shards = traffic.shards;
  options.policy = policy.make;
  memory::Table table(std::move(options));
  base::Random random(kSeed);
  const base::Zipf zipf(traffic.keys(), kZipf);
  const std::string value(traffic.value_bytes_max, 'v');
  std::uint64_t misses = 0;
  const base::Nanoseconds begun = base::now();
  for (std::uint64_t i = 0; i < traffic.requests; ++i) {
    const std::uint64_t number = zipf.draw(random);
    const std::string key = fmt::format("key:{:016x}", number);
    const std::uint64_t hash = base::hash_of(key);
    if (table.visit(key, hash, [](const memory::Entry&) {})) continue;
    misses += i >= traffic.requests / 2 ? 1 : 0;
    table.insert({.key = key, .hash = hash, .value = std::string_view(value).substr(0, traffic.value_bytes(number))});
  }
  const double ns = static_cast<double>(base::now() - begun) / static_cast<double>(traffic.requests);
  const memory::TableStats stats = table.stats();
  const auto entries = static_cast<double>(stats.entries);
  const auto beside = static_cast<double>(stats.bytes - stats.entry_bytes - stats.index_bytes);
  fmt::print("{:14} {:8.4f} {:12} {:10.1f} {:8.1f} {:8.0f}\n", policy.name,
             static_cast<double>(misses) / static_cast<double>(traffic.requests / 2), stats.entries,
             beside / entries, 100 * beside / static_cast<double>(stats.bytes), ns);
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
  CLI11_PARSE(app, count, arguments);
  fmt::print("{:14} {:>8} {:>12} {:>10} {:>8} {:>8}\n", "", "misses", "entries", "bytes each", "% of all", "ns");
  for (const eviction::TablePolicy& policy : eviction::table_policies()) {
    if (names.empty() || std::ranges::find(names, policy.name) != names.end()) run(traffic, policy);
  }
  return 0;
}

}  // namespace
}  // namespace freshet

int main(int count, char** arguments) { return freshet::main_of(count, arguments); }
