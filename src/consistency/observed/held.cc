// See consistency/observed/held.h.
#include "consistency/observed/held.h"

#include <algorithm>

namespace freshet::consistency {
namespace {

void add_once(std::vector<storage::CollectionId>& to, storage::CollectionId collection) {
  if (std::find(to.begin(), to.end(), collection) == to.end()) to.push_back(collection);
}

bool has(const std::vector<storage::CollectionId>& in, storage::CollectionId collection) {
  return std::find(in.begin(), in.end(), collection) != in.end();
}

std::size_t cost_of(std::string_view key, std::string_view value) { return sizeof(KeyChange) + key.size() + value.size(); }

std::size_t cost_of(const storage::Change& change, Keep keep) {
  return cost_of(change.key, keep == Keep::image ? change.value : std::string_view());
}

}  // namespace

bool HeldTransaction::has_hash(std::uint64_t hash) const { return std::binary_search(hashes.begin(), hashes.end(), hash); }

void HeldChanges::begin(storage::Xid xid, storage::Lsn commit) {
  abandon();
  incoming_.xid = xid;
  incoming_.commit = commit;
  gathering_ = true;
}

Keep HeldChanges::add(const storage::Change& change, std::uint64_t hash, Keep keep) {
  if (change.kind == storage::Change::Kind::all) {
    add_once(incoming_.collections, change.collection);
    return keep;
  }
  if (has(incoming_.collections, change.collection)) return Keep::hash;
  if (keep != Keep::hash && has_room_for(change, keep)) {
    add_key(change, hash, keep);
    return keep;
  }
  add_hash(change.collection, hash);
  return Keep::hash;
}

bool HeldChanges::has_room_for(const storage::Change& change, Keep keep) const {
  return bytes_ + cost_of(change, keep) <= limits_.bytes_max;
}

void HeldChanges::add_key(const storage::Change& change, std::uint64_t hash, Keep keep) {
  KeyChange kept{change.kind, change.collection, hash, std::string(change.key), {}};
  if (keep == Keep::image) {
    kept.value = change.value;
  } else {
    kept.kind = storage::Change::Kind::drop;
  }
  const std::size_t cost = cost_of(change, keep);
  incoming_.bytes += cost;
  bytes_ += cost;
  incoming_.changes.push_back(std::move(kept));
}

void HeldChanges::add_hash(storage::CollectionId collection, std::uint64_t hash) {
  if (keys_ >= limits_.keys_max) {
    add_once(incoming_.collections, collection);
    return;
  }
  incoming_.hashes.push_back(hash);
  add_once(incoming_.hashed_of, collection);
  ++keys_;
}

HeldTransaction HeldChanges::finish(storage::Lsn end) {
  HeldTransaction whole = std::move(incoming_);
  incoming_ = {};
  gathering_ = false;
  whole.end = end;
  std::sort(whole.hashes.begin(), whole.hashes.end());
  return whole;
}

void HeldChanges::abandon() {
  release(incoming_);
  incoming_ = {};
  gathering_ = false;
}

void HeldChanges::hold(HeldTransaction transaction) { held_.push_back(std::move(transaction)); }

std::vector<HeldTransaction> HeldChanges::take_shown(const storage::Snapshot& snapshot) {
  std::vector<HeldTransaction> shown;
  if (!shows_any(snapshot)) return shown;
  std::deque<HeldTransaction> still;
  for (HeldTransaction& transaction : held_) {
    if (snapshot.shows(transaction.xid)) {
      shown.push_back(std::move(transaction));
    } else {
      still.push_back(std::move(transaction));
    }
  }
  held_ = std::move(still);
  return shown;
}

bool HeldChanges::shows_any(const storage::Snapshot& snapshot) const {
  return std::any_of(held_.begin(), held_.end(), [&](const HeldTransaction& one) { return snapshot.shows(one.xid); });
}

void HeldChanges::blur(storage::CollectionId collection) {
  for (HeldTransaction& transaction : held_) blur(transaction, collection);
  if (gathering_) blur(incoming_, collection);
}

// Hashes stay: they are not told apart by collection, and drop no more than all of it.
void HeldChanges::blur(HeldTransaction& transaction, storage::CollectionId collection) {
  std::size_t freed = 0;
  const auto gone = std::erase_if(transaction.changes, [&](const KeyChange& change) {
    if (change.collection != collection) return false;
    freed += cost_of(change.key, change.value);
    return true;
  });
  transaction.bytes -= freed;
  bytes_ -= freed;
  if (gone > 0 || has(transaction.hashed_of, collection)) add_once(transaction.collections, collection);
}

void HeldChanges::forget() {
  held_.clear();
  abandon();
  bytes_ = 0;
  keys_ = 0;
}

void HeldChanges::release(const HeldTransaction& transaction) {
  bytes_ -= transaction.bytes;
  keys_ -= transaction.hashes.size();
}

bool HeldChanges::claim(std::string_view key, std::uint64_t hash, storage::CollectionId collection,
                        const storage::Snapshot& snapshot) {
  const storage::Change drop{storage::Change::Kind::drop, collection, key, {}};
  const std::size_t cost = cost_of(drop, Keep::key);
  const auto give_key = [&](HeldTransaction& transaction) {
    if (bytes_ + cost > limits_.bytes_max) return false;
    transaction.changes.push_back({drop.kind, collection, hash, std::string(key), {}});
    transaction.bytes += cost;
    bytes_ += cost;
    return true;
  };
  for (HeldTransaction& transaction : held_) {
    if (transaction.has_hash(hash) && !snapshot.shows(transaction.xid) && !give_key(transaction)) return false;
  }
  if (!gathering_ || !has(incoming_.hashed_of, collection) || snapshot.shows(incoming_.xid)) return true;
  if (incoming_.hashes.size() > kSearchedMax) return false;
  const bool changed = std::find(incoming_.hashes.begin(), incoming_.hashes.end(), hash) != incoming_.hashes.end();
  return !changed || give_key(incoming_);
}

}  // namespace freshet::consistency
