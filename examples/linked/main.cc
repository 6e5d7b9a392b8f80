// A cache inside the application: orders are counted and a product is read, a thousand times from memory, never stale.
//
//   linked [STORAGE]   "embedded" (the default; data in ./linked-data), or a connection string of PostgreSQL's
#include <array>
#include <iostream>
#include <string_view>

#include "freshet/cache.h"

namespace {

int report(const freshet::Error& error) {
  std::cerr << "linked: " << error.what << "\n" << error.remedy << "\n";
  return 1;
}

// How many of `reads` reads of a key were answered from memory.
int hits_of(const freshet::Cache& cache, std::string_view key, int reads) {
  std::array<char, 256> buffer;
  int hits = 0;
  for (int i = 0; i < reads; ++i) {
    const auto hit = cache.try_get(key, buffer);  // No I/O, no allocation.
    hits += hit.hit == freshet::Hit::present;
  }
  return hits;
}

}  // namespace

int main(int count, char** arguments) {
  freshet::Options options;
  if (count > 1) options.storage = arguments[1];
  options.data_directory = "linked-data";
  options.memory_bytes = 64 << 20;
  auto opened = freshet::Cache::open(options);
  if (!opened) return report(opened.error());
  freshet::Cache& cache = **opened;

  // Acknowledged means durable, and visible to every later read.
  if (auto put = cache.put("product:17", "a pound of nails").get(); !put) return report(put.error());
  const auto product = cache.get("product:17").get();
  if (!product) return report(product.error());
  std::cout << "product:17 is " << product->bytes << "\n";
  std::cout << hits_of(cache, "product:17", 1000) << " of 1000 reads from memory\n";

  // Computed in storage: several processes may do so at once.
  const auto orders = cache.increment("orders").get();
  if (!orders) return report(orders.error());
  std::cout << "order number " << *orders << "\n";

  // Only if nobody wrote since we read.
  const auto changed = cache.compare_and_set("product:17", product->version, "a pound of screws").get();
  if (!changed) return report(changed.error());
  const auto again = cache.compare_and_set("product:17", product->version, "a pound of glue").get();
  std::cout << "a second change from the same version: " << (again ? "written" : name_of(again.error().code)) << "\n";
  return 0;
}
