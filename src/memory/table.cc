// The table over its shards. See memory/table.h.
#include "memory/table.h"

#include <bit>
#include <cassert>

namespace freshet::memory {

Table::Table(TableOptions options)
    : shard_count_(options.shards),
      shard_shift_(63 - static_cast<unsigned>(std::countr_zero(options.shards))),
      value_bytes_max_(options.value_bytes_max),
      capacity_bytes_(options.capacity_bytes),
      shards_(std::make_unique<Shard[]>(options.shards)) {
  assert(std::has_single_bit(options.shards) && options.policy);
  const std::size_t shard_bytes = options.capacity_bytes / shard_count_;
  for (unsigned i = 0; i < shard_count_; ++i) shards_[i].start(shard_bytes, options.policy(shard_bytes));
}

Table::~Table() = default;

EntryRef Table::pin(std::string_view key, std::uint64_t hash) {
  EntryRef pinned;
  visit(key, hash, [&](const Entry& entry) { pinned = &entry; });
  return pinned;
}

bool Table::insert(const NewEntry& entry) {
  Leaving leaving;
  Shard& shard = shard_of(entry.hash);
  const std::size_t entry_bytes_max = capacity_bytes_.load(std::memory_order_relaxed) / shard_count_ / kEntriesAShardMin;
  const bool too_large = entry.value.size() > value_bytes_max_ ||
                         entry.key.size() + entry.value.size() > Entry::kPayloadBytesMax ||
                         Entry::footprint_of(entry.key.size(), entry.value.size()) > entry_bytes_max;
  if (too_large) {
    shard.refuse(entry.key, entry.hash, leaving);
    return false;
  }
  return shard.insert(*Entry::make(entry), leaving);
}

bool Table::erase(std::string_view key, std::uint64_t hash) {
  Leaving leaving;
  return shard_of(hash).erase(key, hash, leaving);
}

std::size_t Table::erase_if(base::FunctionRef<bool(const Entry&)> leaves) {
  std::size_t left = 0;
  for (unsigned i = 0; i < shard_count_; ++i) {
    Leaving leaving;
    left += shards_[i].erase_if(leaves, leaving);
  }
  return left;
}

void Table::set_capacity(std::size_t bytes) {
  std::lock_guard hold(changes_);
  capacity_bytes_.store(bytes, std::memory_order_relaxed);
  for (unsigned i = 0; i < shard_count_; ++i) {
    Leaving leaving;
    shards_[i].set_capacity(bytes / shard_count_, leaving);
  }
}

void Table::set_policy(const PolicyFactory& make) {
  std::lock_guard hold(changes_);
  const std::size_t shard_bytes = capacity_bytes_.load(std::memory_order_relaxed) / shard_count_;
  for (unsigned i = 0; i < shard_count_; ++i) {
    Leaving leaving;
    shards_[i].set_policy(make(shard_bytes), leaving);
  }
}

TableStats Table::stats() const {
  TableStats total;
  total.capacity_bytes = capacity_bytes_.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < shard_count_; ++i) {
    const ShardStats shard = shards_[i].stats();
    total.entries += shard.entries;
    total.bytes += shard.bytes;
    total.inserted += shard.inserted;
    total.evicted += shard.evicted;
    total.erased += shard.erased;
    total.too_large += shard.too_large;
    total.declined += shard.declined;
  }
  return total;
}

}  // namespace freshet::memory
