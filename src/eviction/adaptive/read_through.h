// For tests: a table that reads through, of the size that shadow/habits.h is made for. May use memory, eviction and
// eviction/shadow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/slot.h"
#include "eviction/policies.h"
#include "eviction/shadow/habits.h"
#include "memory/table.h"

namespace freshet::eviction::adaptive {

inline std::string_view bytes_of(const std::uint64_t& key) { return {reinterpret_cast<const char*>(&key), sizeof(key)}; }

// What is missed comes in. By one thread at a time.
class ReadThrough {
 public:
  explicit ReadThrough(const TablePolicy& policy) : table_(options_of(policy)) {}

  memory::Table& table() { return table_; }
  void read(std::uint64_t key) {
    ++requests_;
    const std::uint64_t hash = base::hash_of(bytes_of(key));
    if (table_.visit(bytes_of(key), hash, [](const memory::Entry&) {})) return;
    ++misses_;
    table_.insert({.key = bytes_of(key), .hash = hash, .value = value_});
  }
  std::uint64_t requests() const { return requests_; }
  std::uint64_t misses() const { return misses_; }

 private:
  static constexpr std::size_t kValueBytes = 40;

  static memory::TableOptions options_of(const TablePolicy& policy) {
    memory::TableOptions options;
    constexpr std::size_t kPolicyBytes = 34;  // LRU's: as many objects should fit with that.
    options.capacity_bytes =
        shadow::kHabitCapacity * (memory::Table::bytes_of(sizeof(std::uint64_t), kValueBytes) + kPolicyBytes);
    options.shards = 1;
    options.policy = policy.make;
    return options;
  }

  const std::string value_ = std::string(kValueBytes, 'v');
  memory::Table table_;
  std::uint64_t requests_ = 0;
  std::uint64_t misses_ = 0;
};

}  // namespace freshet::eviction::adaptive
