// The observed collections as they stand: epochs, descriptions, faults, and which may be cached. And the start rule. On the
// loop's thread. May use the follower's own words.
#pragma once

#include <optional>
#include <unordered_set>
#include <vector>

#include "consistency/observed/context.h"

namespace freshet::consistency {

// After a replication slot is created, or a table published, transactions that were already committing may never be
// delivered. So, while a transaction from before (its xid is lower than one drawn afterwards) was neither delivered nor is
// shown by a fill's snapshot, that fill caches no absent rows, no query results, and no row that a transaction has marked.
// The running transactions of a first snapshot would not do: a snapshot ends with the newest transaction that has finished,
// and one that waits for a standby may lie behind that end.
class StartRule {
 public:
  // What the stream has told before begin(), as far as that can be lost with what was held, or was not understood.
  struct Told {
    std::optional<storage::Xid> newest;    // Of the transactions that began in the stream.
    std::optional<storage::Xid> arriving;  // It has begun and not ended: its first changes may be missing.
  };
  // `first`: as drawn. 0: unknown; the end of the first snapshot that is taken from now on has to do. It may have been drawn
  // a while ago: a transaction that began since and was told already is from before, too.
  void begin(storage::FullXid first, const Told& told);
  // A snapshot was taken, by a statement sent after begin().
  void learn(const storage::Snapshot& snapshot);
  void delivered(storage::Xid xid);
  // When all from before had finished in the newest snapshot: fills that are sent later show them. kForever: not yet.
  void learn_newest(const storage::Snapshot& newest, base::Nanoseconds now);
  base::Nanoseconds finished_at() const { return finished_at_; }
  // No fill that was sent before that moment is in flight.
  void end();
  // Whether a fill with this snapshot must be careful.
  bool concerns(const storage::Snapshot& snapshot) const;
  bool is_over() const { return over_; }

 private:
  bool over_ = true;
  storage::FullXid first_ = 0;                     // 0: not known yet.
  Told told_;
  std::unordered_set<storage::Xid> delivered_;     // Since begin().
  base::Nanoseconds finished_at_ = base::kForever;
};

class Collections {
 public:
  explicit Collections(Context& context);

  // Whether anything is known of them.
  bool described() const { return described_; }
  // A probe's fingerprint differs: until the next description nothing is served from memory.
  bool doubted() const { return doubted_; }
  void doubt() { doubted_ = true; }
  const storage::Fingerprint& fingerprint() const { return description_.fingerprint; }
  const storage::CollectionDescription& description(storage::CollectionId id) const { return description_.collections[id]; }

  // There are more specifications than before.
  void grow() { states_.resize(context_.specs.size()); }
  std::uint64_t revision() const { return description_.revision; }

  // Takes the new description and ends the epochs of what differs; those collections are returned.
  std::vector<storage::CollectionId> describe(const storage::Description& description);
  // Whatever is cached of it is void.
  void end_epoch(storage::CollectionId id);
  void end_all_epochs();

  // Null while it is unknown or faulty.
  const EpochRef& epoch(storage::CollectionId id) const { return states_[id].epoch; }
  const std::optional<Error>& fault(storage::CollectionId id) const { return states_[id].fault; }
  // Served and filled from now on: the stream is complete for it.
  bool active(storage::CollectionId id) const;
  bool all_active() const;
  // The entry stands on its collection's present epoch.
  bool is_current(const memory::Entry& entry, storage::CollectionId id) const {
    return entry.witness() == states_[id].epoch.get();
  }
  void note_inserted(storage::CollectionId id) { states_[id].used = true; }

 private:
  struct State {
    EpochRef epoch;
    std::optional<Error> fault;
    storage::Fingerprint fingerprint;
    storage::Lsn published = 0;  // R must pass it.
    bool used = false;           // Something was cached in this epoch.
  };

  Context& context_;
  bool described_ = false;
  bool doubted_ = false;
  storage::Description description_;
  std::vector<State> states_;
};

}  // namespace freshet::consistency
