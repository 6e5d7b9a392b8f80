// What is cached of observed collections: the only place that puts their entries into the table and changes them. It
// remembers which snapshot an entry was filled with until the stream has passed the fill, so that changes which that
// snapshot shows are not done twice: doing them would step backwards. On the loop's thread. May use memory, the
// collections.
#pragma once

#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "consistency/observed/collections.h"
#include "consistency/observed/held.h"

namespace freshet::consistency {

using SnapshotRef = std::shared_ptr<const storage::Snapshot>;

// Of one server, a snapshot that was taken later shows all that an earlier one shows.
bool is_newer(const storage::Snapshot& one, const storage::Snapshot& other);

// Hears what goes into entries: snapshot reads want to know.
class EntryListener {
 public:
  virtual void on_entry_changed(std::uint64_t hash, storage::Xid xid) = 0;
  virtual void on_entry_filled(std::uint64_t hash, const storage::Snapshot& snapshot) = 0;

 protected:
  ~EntryListener() = default;
};

class Entries {
 public:
  Entries(Context& context, Collections& collections, EntryListener& listener)
      : context_(context), collections_(collections), listener_(listener) {}

  // Whether the key is cached, and its collection has not been dropped since.
  bool is_cached(storage::CollectionId collection, std::string_view key, std::uint64_t hash) const;
  // The entry, likewise, for a read; null if there is none.
  memory::EntryRef find(storage::CollectionId collection, std::string_view key, std::uint64_t hash) const;

  // A settled change.
  void apply(const KeyChange& change, storage::Xid xid, storage::Lsn end);

  struct Filled {
    storage::CollectionId collection = 0;
    std::string_view key;
    std::uint64_t hash = 0;
    bool present = false;
    std::string_view value;
    SnapshotRef snapshot;
    storage::Lsn position = 0;
    std::vector<storage::Xid> on_top = {};  // Whose changes are in the value, and not in the snapshot.
  };
  // Whether the key is cached now: not if it is too large. What a newer snapshot brought stays.
  bool insert(const Filled& filled);

  // A reader was answered from a fill that is not cached: what is cached must not be older than that, now or when an earlier
  // fill comes in, or reads within a bound would go back.
  void supersede(const std::string& key, std::uint64_t hash, const SnapshotRef& snapshot, storage::Lsn position);

  bool drop(std::string_view key, std::uint64_t hash);
  // The stream has passed `received`: fills before it need not be remembered.
  void passed(storage::Lsn received);
  // Drops the entries whose fill the stream has not passed.
  void drop_unpassed();
  void forget() { recent_.clear(), order_ = {}; }
  std::size_t remembered() const { return recent_.size(); }

 private:
  struct Recent {
    SnapshotRef snapshot;
    storage::Lsn position = 0;
  };
  using Order = std::pair<storage::Lsn, std::string>;

  // Up to where the log is in the entry; nothing if the key is not cached.
  std::optional<storage::Lsn> position_of(storage::CollectionId collection, std::string_view key, std::uint64_t hash) const;
  void put(const KeyChange& change, storage::Lsn position);
  void remember(const std::string& key, const SnapshotRef& snapshot, storage::Lsn position);
  const Recent* recent_of(const std::string& key) const;

  Context& context_;
  Collections& collections_;
  EntryListener& listener_;
  std::unordered_map<std::string, Recent> recent_;
  std::priority_queue<Order, std::vector<Order>, std::greater<>> order_;  // The lowest position first; may be outdated.
};

}  // namespace freshet::consistency
