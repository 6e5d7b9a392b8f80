// What reading, writing and resolving share: construction, clocks, statistics.
#include "consistency/guarded_collection.h"

namespace freshet::consistency {

GuardedCollection::GuardedCollection(memory::Table& table, storage::Storage& storage, net::Loop& loop,
                                     Protections protections, CollectionLimits limits)
    : table_(table),
      storage_(storage),
      loop_(loop),
      protections_(protections),
      limits_(limits),
      guards_(storage, loop, protections, limits.guards) {
  // Entries of a lost slice prove nothing any more: they go, off the thread that told of the change. The table may hold
  // other collections' entries too, with witnesses of their own.
  guards_.on_removed([this] {
    loop_.post([this] {
      const auto now = base::now();
      table_.erase_if([this, now](const memory::Entry& entry) {
        return entry.witness()->kind() == memory::WitnessKind::slice && !is_proven(entry, now);
      });
      if (loss_listener_) loss_listener_();
    });
  });
}

void GuardedCollection::follow(ownership::Ownership& ownership) {
  follow_database_clock();
  OutsideWriters::Listener listener{[this](const CellSet& cells) { open_to_others(cells); },
                                    [this] { if (outside_listener_) outside_listener_(); }};
  outside_ = std::make_unique<OutsideWriters>(storage_, loop_, guards_, protections_, limits_.outside, std::move(listener));
  ownership.listen([this](const ownership::AssignmentChange& change) {
    guards_.on_assignment_change(change);
    outside_->on_assignment_change(change);
  });
}

void GuardedCollection::stop() {
  stopped_ = true;
  stop_clearing();
  guards_.stop();
  if (outside_) outside_->stop();
}

std::int64_t GuardedCollection::database_now_ms() const {
  const auto offset = clock_offset_ms_.load(std::memory_order_relaxed);
  return offset == kClockUnknown ? base::wall_ms() : base::now() / base::kMillisecond + offset;
}

// The answer is older than its arrival, so each sample is a lower bound of the database's clock, and the highest is the
// best; a much lower one means that the clock was set back.
void GuardedCollection::note_database_clock(std::int64_t database_ms) {
  if (database_ms == 0) return;
  const auto sample = database_ms - base::now() / base::kMillisecond - 1;
  const auto known = clock_offset_ms_.load(std::memory_order_relaxed);
  if (known != kClockUnknown && sample <= known && sample > known - kClockStepMs) return;
  clock_offset_ms_.store(sample, std::memory_order_relaxed);
}

// Reads bring the clock along; a node that serves everything from memory asks for it.
void GuardedCollection::follow_database_clock() {
  if (stopped_) return;
  storage_.health(base::now() + limits_.clock_period, [this](Result<storage::Health> health) {
    if (health) note_database_clock(health->database_ms);
    loop_.after(limits_.clock_period, [this] { follow_database_clock(); });
  });
}

std::optional<GuardedCollection::WriteMark> GuardedCollection::write_mark(std::string_view key) {
  const auto guard = guard_of(key);
  const auto slot = base::slot_of(key);
  if (!guard || is_open_to_others(key, slot) || is_retired(key) || is_unsealed(key)) return std::nullopt;
  auto& shard = shard_of(base::hash_of(key));
  std::lock_guard lock(shard.mutex);
  return WriteMark{guard->slice(), shard.writes_begun, outside_mark(key, slot)};
}

CollectionStats GuardedCollection::stats() const {
  const auto load = [](const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); };
  CollectionStats stats;
  stats.misses = load(counters_.misses);
  stats.joined_fills = load(counters_.joined_fills);
  stats.fills_cached = load(counters_.fills_cached);
  stats.fills_not_cached = load(counters_.fills_not_cached);
  stats.writes = load(counters_.writes);
  stats.writes_cached = load(counters_.writes_cached);
  stats.guard_mismatches = load(counters_.guard_mismatches);
  stats.unknown_outcomes = load(counters_.unknown_outcomes);
  stats.unknown_resolved = load(counters_.unknown_resolved);
  stats.held_writes = load(counters_.held_writes);
  stats.guards = guards_.stats();
  if (outside_) stats.outside = outside_->stats();
  for (auto& shard : const_cast<std::array<OperationShard, kShards>&>(shards_)) {
    std::lock_guard lock(shard.mutex);
    stats.operations_in_flight += shard.size();
  }
  return stats;
}

}  // namespace freshet::consistency
