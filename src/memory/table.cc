// The table over its shards. See memory/table.h.
#include "memory/table.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace freshet::memory {

Table::Table(TableOptions options)
    : shard_count_(options.shards),
      shard_shift_(63 - static_cast<unsigned>(std::countr_zero(options.shards))),
      value_bytes_max_(options.value_bytes_max),
      capacity_bytes_(options.capacity_bytes),
      pool_(std::make_shared<SegmentPool>(segment_bytes_for(options.capacity_bytes / options.shards))),
      shards_(std::make_unique<Shard[]>(options.shards)) {
  assert(std::has_single_bit(options.shards) && options.policy);
  const std::size_t shard_bytes = options.capacity_bytes / shard_count_;
  for (unsigned i = 0; i < shard_count_; ++i) shards_[i].start(pool_, shard_bytes, options.policy(shard_bytes));
}

Table::~Table() = default;

std::size_t Table::segment_bytes_for(std::size_t shard_bytes) {
  const std::size_t part = std::bit_floor(shard_bytes / kSegmentsAShard);
  return std::clamp(part, SegmentPool::kSegmentBytesMin, SegmentPool::kSegmentBytesMax);
}

bool Table::insert(const NewEntry& entry) {
  Shard& shard = shard_of(entry.hash);
  const std::size_t bytes = bytes_of(entry.key.size(), entry.value.size());
  const std::size_t entry_bytes_max = capacity_bytes_.load(std::memory_order_relaxed) / shard_count_ / kEntriesAShardMin;
  const bool fits = entry.value.size() <= value_bytes_max_ && bytes <= entry_bytes_max && segments::Record::can_hold(
                        entry.key.size(), entry.value.size(), entry.expires_at_ms);
  if (!fits) {
    shard.refuse(entry.key, entry.hash);
    return false;
  }
  const bool taken = shard.insert(entry);
  // One that the policy declined was asked for all the same.
  if (is_sampled(entry.hash)) tell({entry.written ? AccessKind::written : AccessKind::read, entry.hash, bytes});
  return taken;
}

bool Table::erase(std::string_view key, std::uint64_t hash) {
  const bool erased = shard_of(hash).erase(key, hash);
  if (erased && is_sampled(hash)) tell({AccessKind::erased, hash, 0});
  return erased;
}

std::size_t Table::erase_if(base::FunctionRef<bool(const Entry&)> leaves) {
  std::size_t left = 0;
  for (unsigned i = 0; i < shard_count_; ++i) left += shards_[i].erase_if(leaves);
  return left;
}

void Table::set_capacity(std::size_t bytes) {
  std::lock_guard hold(changes_);
  capacity_bytes_.store(bytes, std::memory_order_relaxed);
  const std::size_t shard_bytes = bytes / shard_count_;
  const std::size_t wanted = segment_bytes_for(shard_bytes), has = pool_->segment_bytes();
  const bool moves = wanted * kSegmentStretch <= has || has * kSegmentStretch <= wanted;
  if (moves) pool_ = std::make_shared<SegmentPool>(wanted);
  for (unsigned i = 0; i < shard_count_; ++i) shards_[i].set_capacity(shard_bytes, pool_);
}

void Table::set_policy(const PolicyFactory& make) {
  std::lock_guard hold(changes_);
  const std::size_t shard_bytes = capacity_bytes_.load(std::memory_order_relaxed) / shard_count_;
  for (unsigned i = 0; i < shard_count_; ++i) {
    const ShardPolicy ends_here = shards_[i].set_policy(make(shard_bytes));  // Without the lock.
  }
}

void Table::listen(AccessListener* listener, base::KeySample sample) {
  if (listener) listener_.store(listener, std::memory_order_release);
  sample_threshold_.store(listener ? sample.threshold() : 0, std::memory_order_relaxed);
  if (!listener) listener_.store(nullptr, std::memory_order_release);
}

void Table::tell(const KeyAccess& access) const {
  if (AccessListener* const listener = listener_.load(std::memory_order_acquire)) listener->on_access(access);
}

std::vector<PolicyFact> Table::describe_policy() const {
  std::vector<PolicyFact> all;
  std::vector<unsigned> told;  // By how many shards; as many numbers as facts.
  for (unsigned i = 0; i < shard_count_; ++i) {
    for (const PolicyFact& fact : shards_[i].describe_policy()) {
      const auto known = std::ranges::find(all, fact.name, &PolicyFact::name);
      if (known == all.end()) {
        all.push_back(fact);
        told.push_back(1);
        continue;
      }
      ++told[static_cast<std::size_t>(known - all.begin())];
      const bool greatest = fact.together == PolicyFact::Together::greatest;
      known->value = greatest ? std::max(known->value, fact.value) : known->value + fact.value;
    }
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].together == PolicyFact::Together::mean) all[i].value /= told[i];
  }
  return all;
}

TableStats Table::stats() const {
  TableStats total;
  total.capacity_bytes = capacity_bytes_.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < shard_count_; ++i) {
    const ShardStats shard = shards_[i].stats();
    total.entries += shard.entries;
    total.bytes += shard.bytes;
    total.entry_bytes += shard.entry_bytes;
    total.index_bytes += shard.index_bytes;
    total.policy_bytes += shard.policy_bytes;
    total.inserted += shard.inserted;
    total.evicted += shard.evicted;
    total.erased += shard.erased;
    total.too_large += shard.too_large;
    total.declined += shard.declined;
  }
  return total;
}

}  // namespace freshet::memory
