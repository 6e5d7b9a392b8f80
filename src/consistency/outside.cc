// Rows that somebody whom this node does not know writes, or may write: nothing of them stays cached.
#include "consistency/guarded_collection.h"

namespace freshet::consistency {

// What is in flight first: it cannot be cached once its entry has been dropped.
void GuardedCollection::void_where(base::FunctionRef<bool(std::string_view key)> concerns) {
  for (auto& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    ++shard.writes_begun;
    shard.for_each([&](const std::string& key, KeyOperations& operations) {
      if (concerns(key)) begin_outside_write(operations);
    });
  }
  table_.erase_if([&](const memory::Entry& entry) { return concerns(entry.key()); });
}

// The cells are marked already. What begins from now on sees that; what is in flight is found in its shard; and what came in
// between, and was cached after all, leaves the table last.
void GuardedCollection::open_to_others(const CellSet& cells) {
  void_where([&](std::string_view key) {
    return is_row(key) && cells[static_cast<std::size_t>(base::cell_of(base::slot_of(key)))];
  });
}

void GuardedCollection::drop_bypassed(const std::string& key) {
  const auto hash = base::hash_of(key);
  auto& shard = shard_of(hash);
  std::lock_guard lock(shard.mutex);
  ++shard.writes_begun;
  if (auto* operations = shard.find(key)) begin_outside_write(*operations);
  table_.erase(key, hash);
}

void GuardedCollection::drop_bypassed_of(std::string_view collection) {
  void_where([&](std::string_view key) { return storage::prefix_of(key) == collection; });
}

}  // namespace freshet::consistency
