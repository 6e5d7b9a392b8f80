// What many small objects take in the table: keys of 20 bytes, values of 10, by the table's own account and by what the
// process has grown. For bench/small_objects.py, which sets others beside it.
//
// Run: small_objects_bench [OBJECTS]; prints {"account_bytes":N,"rss_bytes":N}.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "base/resident.h"
#include "base/slot.h"
#include "drawn_keys.h"
#include "eviction/policies.h"
#include "memory/table.h"

namespace freshet {
namespace {

constexpr std::uint64_t kObjects = 10'000'000;
constexpr std::size_t kValueBytes = 10;
constexpr std::size_t kCapacityBytes = std::size_t{1} << 30;

int run(std::uint64_t objects) {
  const std::size_t before = base::resident_bytes();
  memory::TableOptions options;
  options.capacity_bytes = kCapacityBytes;
  options.policy = eviction::table_policy(eviction::kDefaultPolicy)->make;
  memory::Table table(std::move(options));
  const memory::WitnessRef witness(new Deadline);
  const std::string value(kValueBytes, 'v');
  for (std::uint64_t i = 0; i < objects; ++i) {
    const Key key(i);
    const auto hash = base::hash_of(key.view());
    table.insert({.key = key.view(), .hash = hash, .value = value, .version = i, .witness = witness});
  }
  const memory::TableStats stats = table.stats();
  if (stats.entries != objects) {
    fmt::print(stderr, "{} of {} objects are there\n", stats.entries, objects);
    return 1;
  }
  fmt::print("{{\"account_bytes\":{},\"rss_bytes\":{}}}\n", stats.bytes, base::resident_bytes() - before);
  return 0;
}

}  // namespace
}  // namespace freshet

int main(int count, char** arguments) {
  return freshet::run(count > 1 ? std::strtoull(arguments[1], nullptr, 10) : freshet::kObjects);
}
