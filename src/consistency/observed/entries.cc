// See consistency/observed/entries.h.
#include "consistency/observed/entries.h"

#include <algorithm>

#include "base/slot.h"

namespace freshet::consistency {

bool is_newer(const storage::Snapshot& one, const storage::Snapshot& other) {
  if (one.xmax() != other.xmax()) return one.xmax() > other.xmax();
  // Both end at the same transaction: the later one has fewer running.
  return one.in_progress().size() < other.in_progress().size();
}

bool Entries::is_cached(storage::CollectionId collection, std::string_view key, std::uint64_t hash) const {
  return position_of(collection, key, hash).has_value();
}

std::optional<storage::Lsn> Entries::position_of(storage::CollectionId collection, std::string_view key,
                                                 std::uint64_t hash) const {
  std::optional<storage::Lsn> position;
  context_.table.inspect(key, hash, [&](const memory::Entry& entry) {
    if (collections_.is_current(entry, collection)) position = entry.version();
  });
  return position;
}

memory::EntryRef Entries::find(storage::CollectionId collection, std::string_view key, std::uint64_t hash) const {
  return context_.table.pin(key, hash,
                            [&](const memory::Entry& entry) { return collections_.is_current(entry, collection); });
}

void Entries::apply(const KeyChange& change, storage::Xid xid, storage::Lsn end) {
  const Recent* const recent = recent_of(change.key);
  if (recent && context_.protections.ignore_what_fill_shows && recent->snapshot->shows(xid)) {
    ++context_.stats.changes_ignored;
    return;
  }
  const auto position = position_of(change.collection, change.key, change.hash);
  if (!position) return;
  listener_.on_entry_changed(change.hash, xid);
  ++context_.stats.changes_applied;
  if (change.kind == storage::Change::Kind::drop) {
    drop(change.key, change.hash);
  } else {
    // A fill may have been later in the log than a change that it did not show.
    put(change, std::max(end, *position));
  }
}

void Entries::put(const KeyChange& change, storage::Lsn position) {
  context_.table.insert({.key = change.key,
                         .hash = change.hash,
                         .present = change.kind == storage::Change::Kind::put,
                         .value = change.value,
                         .version = position,
                         .witness = collections_.epoch(change.collection),
                         .written = true});
}

bool Entries::insert(const Filled& filled) {
  const std::string key(filled.key);
  const Recent* const recent = recent_of(key);
  if (recent && is_newer(*recent->snapshot, *filled.snapshot)) return is_cached(filled.collection, key, filled.hash);
  listener_.on_entry_filled(filled.hash, *filled.snapshot);
  for (const storage::Xid xid : filled.on_top) listener_.on_entry_changed(filled.hash, xid);
  collections_.note_inserted(filled.collection);
  const bool taken = context_.table.insert({.key = key,
                                            .hash = filled.hash,
                                            .present = filled.present,
                                            .value = filled.value,
                                            .version = filled.position,
                                            .witness = collections_.epoch(filled.collection)});
  if (taken) {
    remember(key, filled.snapshot, filled.position);
  } else {
    recent_.erase(key);
  }
  return taken;
}

void Entries::remember(const std::string& key, const SnapshotRef& snapshot, storage::Lsn position) {
  if (position > context_.received) {
    recent_[key] = {snapshot, position};
    order_.emplace(position, key);
  } else {
    recent_.erase(key);
  }
}

void Entries::supersede(const std::string& key, std::uint64_t hash, const SnapshotRef& snapshot, storage::Lsn position) {
  const Recent* const recent = recent_of(key);
  if (recent && is_newer(*recent->snapshot, *snapshot)) return;
  drop(key, hash);
  remember(key, snapshot, position);
}

bool Entries::drop(std::string_view key, std::uint64_t hash) {
  const bool dropped = context_.table.erase(key, hash);
  if (dropped) ++context_.stats.entries_dropped;
  return dropped;
}

void Entries::passed(storage::Lsn received) {
  while (!order_.empty() && order_.top().first <= received) {
    const Order& top = order_.top();
    const auto found = recent_.find(top.second);
    if (found != recent_.end() && found->second.position <= received) recent_.erase(found);
    order_.pop();
  }
}

void Entries::drop_unpassed() {
  for (const auto& [key, recent] : recent_) drop(key, base::hash_of(key));
  forget();
}

const Entries::Recent* Entries::recent_of(const std::string& key) const {
  const auto found = recent_.find(key);
  return found == recent_.end() ? nullptr : &found->second;
}

}  // namespace freshet::consistency
