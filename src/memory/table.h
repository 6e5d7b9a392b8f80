// The table of cached entries: sharded by hash, bounded by bytes, callable from any thread. Each shard has one small lock;
// a hit holds it for the look-up and the visit.
//
// Memory knows nothing of consistency: who may be served is judged by whoever visits, from the entry's witness. Who leaves
// when memory is full is asked of a policy (memory/policy.h), which the eviction room implements.
// May use base only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "memory/entry.h"
#include "memory/policy.h"
#include "memory/witness.h"

namespace freshet::memory {

// What is to be cached. The table copies the bytes.
struct NewEntry {
  std::string_view key;
  std::uint64_t hash = 0;  // base::hash_of(key)
  bool present = true;     // False: the key is known to be absent.
  std::string_view value;
  std::uint64_t version = 0;
  std::int64_t expires_at_ms = 0;
  WitnessRef witness;
};

struct TableOptions {
  std::size_t capacity_bytes = 1ull << 30;  // Everything counted: entries with their headers, and the index.
  unsigned shards = 256;                    // A power of two.
  std::size_t value_bytes_max = 1ull << 20; // Larger values are not taken.
  PolicyFactory policy;                     // Makes one policy a shard.
};

struct TableStats {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t capacity_bytes = 0;
  std::uint64_t inserted = 0;
  std::uint64_t evicted = 0;    // By the policy, for room.
  std::uint64_t erased = 0;
  std::uint64_t too_large = 0;  // Not taken.
};

class Table {
 public:
  explicit Table(TableOptions options);
  ~Table();

  // Calls visit(const Entry&) under the shard's lock and counts an access. Returns whether the key was found.
  template <typename Visit>
  bool visit(std::string_view key, std::uint64_t hash, Visit&& visit);
  // The entry, kept alive for as long as the caller holds it; null if absent. Counts an access.
  EntryRef pin(std::string_view key, std::uint64_t hash);
  // Caches an entry in place of the key's earlier one, evicting others for room. False if it is too large.
  bool insert(const NewEntry& entry);
  bool erase(std::string_view key, std::uint64_t hash);
  // Erases every entry for which `leaves` holds; one shard at a time. Returns how many left.
  std::size_t erase_if(base::FunctionRef<bool(const Entry&)> leaves);
  // Brings what the index holds for `hash` towards the processor's cache: for batches.
  void prefetch(std::uint64_t hash) const;
  void set_capacity(std::size_t bytes);
  TableStats stats() const;
};

}  // namespace freshet::memory
