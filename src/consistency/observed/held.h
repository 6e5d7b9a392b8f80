// Held changes: what the stream delivered and no snapshot has shown yet. Pure bookkeeping, in commit order.
//
// Memory is bounded. The new image of a row is kept only if somebody may want it (the key is cached or being filled when
// the change arrives) and there is room; else the key alone, if somebody watches; else the key's hash. A hash suffices
// because an entry can only come into the table while the change is held through a fill, and the fill asks (claim): then
// the key is known. Beyond the limit of keys the whole collection counts as changed.
//
// May use storage's words.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "storage/observed.h"

namespace freshet::consistency {

struct KeyChange {
  storage::Change::Kind kind = storage::Change::Kind::drop;  // Never `all`.
  storage::CollectionId collection = 0;
  std::uint64_t hash = 0;
  std::string key;
  std::string value;
};

// Changes together become visible together.
struct HeldTransaction {
  storage::Xid xid = 0;
  storage::Lsn commit = 0;                          // Where the commit record begins, and ends.
  storage::Lsn end = 0;
  std::vector<KeyChange> changes;                   // In their order.
  std::vector<std::uint64_t> hashes;                // Of changed keys that were not cached; ascending once it has committed.
  std::vector<storage::CollectionId> hashed_of;     // The collections of those keys.
  std::vector<storage::CollectionId> collections;   // Of which any key may have changed.
  std::size_t bytes = 0;                            // Of `changes`.

  bool has_hash(std::uint64_t hash) const;
};

// What to keep of a change.
enum class Keep : std::uint8_t { image, key, hash };

struct HeldLimits {
  std::size_t bytes_max = 0;
  std::size_t keys_max = 0;
};

class HeldChanges {
 public:
  explicit HeldChanges(HeldLimits limits) : limits_(limits) {}

  void begin(storage::Xid xid, storage::Lsn commit);
  // What was kept; less than asked for if there is no room. The caller must then see to it that the key is not cached.
  Keep add(const storage::Change& change, std::uint64_t hash, Keep keep);
  // The transaction that began last, whole. Nothing if none has begun.
  bool is_gathering() const { return gathering_; }
  storage::Xid arriving() const { return incoming_.xid; }
  HeldTransaction finish(storage::Lsn end);
  // The stream broke: it will come again, from its begin.
  void abandon();

  // In the order of commits.
  void hold(HeldTransaction transaction);
  std::vector<HeldTransaction> take_shown(const storage::Snapshot& snapshot);
  // The collection is described anew: what is kept of it, and what arrives of transactions that have begun, was made by the
  // old description (a row's image has its columns, a key its parts). Any key of it counts as changed.
  void blur(storage::CollectionId collection);
  void forget();
  // The transaction is no longer held: its part of the limits is free.
  void release(const HeldTransaction& transaction);

  // A fill of the key is about to be cached, and `snapshot` is its own: changes of it that are held as a hash, and that the
  // snapshot does not show, get its key, so that they find the entry. False: that is not possible, so do not cache it.
  bool claim(std::string_view key, std::uint64_t hash, storage::CollectionId collection, const storage::Snapshot& snapshot);

  bool empty() const { return held_.empty(); }
  std::size_t size() const { return held_.size(); }
  std::size_t bytes() const { return bytes_; }
  // Where the first held transaction's commit record begins. Not empty.
  storage::Lsn first_commit() const { return held_.front().commit; }
  bool shows_any(const storage::Snapshot& snapshot) const;

 private:
  // Beyond so many hashes a transaction that is still arriving is not searched.
  static constexpr std::size_t kSearchedMax = 4096;

  void add_key(const storage::Change& change, std::uint64_t hash, Keep keep);
  void add_hash(storage::CollectionId collection, std::uint64_t hash);
  void blur(HeldTransaction& transaction, storage::CollectionId collection);
  bool has_room_for(const storage::Change& change, Keep keep) const;

  const HeldLimits limits_;
  bool gathering_ = false;
  HeldTransaction incoming_;
  std::deque<HeldTransaction> held_;
  std::size_t bytes_ = 0;   // With what is arriving.
  std::size_t keys_ = 0;    // Hashes, likewise.
};

}  // namespace freshet::consistency
