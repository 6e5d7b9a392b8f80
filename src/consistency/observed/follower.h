// Observed collections: anybody writes to the database, and this follows its change stream. The algorithms of DESIGN's
// section 4 (visible-first, probe, fill, liveness, fingerprint, staleness clock); docs/CONSISTENCY.md carries the argument.
//
// One thread, the loop's, owns everything that changes: held changes, fills, probes, and every insertion of an observed
// entry into the table. Other threads read the table and the staleness clock, and hand over reads that must wait.
//
// May use memory, storage, net. Thread-safe where nothing else is said. Callbacks run on the loop's thread and must not
// block.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/function_ref.h"
#include "consistency/protections.h"
#include "consistency/session_token.h"
#include "memory/table.h"
#include "net/loop.h"
#include "storage/observed.h"

namespace freshet::consistency {

// What cached entries of a collection rest on: alive until something drops the whole collection. An entry's witness.
class CollectionEpoch final : public memory::Witness {
 public:
  CollectionEpoch(storage::CollectionId collection, storage::RowShapeRef shape)
      : Witness(memory::WitnessKind::epoch), collection_(collection), shape_(std::move(shape)) {}
  storage::CollectionId collection() const { return collection_; }
  const storage::RowShapeRef& shape() const { return shape_; }
  bool is_live() const { return live_.load(std::memory_order_acquire); }
  void end() { live_.store(false, std::memory_order_release); }

 private:
  const storage::CollectionId collection_;
  const storage::RowShapeRef shape_;
  std::atomic<bool> live_{true};
};

// How fresh a read must be.
struct ReadPromise {
  storage::Level level = storage::Level::linearizable;
  base::Nanoseconds bound = 0;   // Level::bounded.
  SessionToken token;            // Level::session.

  // What is in memory keeps it only by a proof that was asked for after the read began.
  bool needs_new_proof() const {
    return level == storage::Level::linearizable || level == storage::Level::snapshot;
  }
  friend bool operator==(const ReadPromise&, const ReadPromise&) = default;
};

struct ObservedAnswer {
  bool present = false;
  std::string value;             // storage/row.h
  storage::RowShapeRef shape;
  bool from_memory = false;
  base::Nanoseconds age = 0;     // How long ago it was last proven to equal the database; 0: as of the read.
  storage::Lsn position = 0;     // Of the newest probe or fill that proves it: a token at least as new as the value.
};

struct ObservedKey {
  storage::CollectionId collection = 0;
  std::string key;
};

struct FollowerLimits {
  base::Nanoseconds probe_interval_min = 200 * base::kMicrosecond;  // Between sending two probes.
  base::Nanoseconds nudge_after = 2 * base::kMillisecond;          // Flush-position probes that the stream has not reached.
  base::Nanoseconds clock_period = 5 * base::kMillisecond;         // The staleness clock's probes while bounded reads come,
  base::Nanoseconds clock_idle_after = base::kSecond;              // up to so long after the last,
  base::Nanoseconds clock_idle_period = 250 * base::kMillisecond;  // and otherwise (held changes must settle).
  int stream_patience_part = 4;          // After this part of a read's deadline the database answers instead of the stream.
  int fill_statements_max = 4;           // In flight at once, collections in turn.
  std::size_t waiting_fills_max = 100'000;       // Keys that wait to be sent; more reads are refused: busy.
  std::size_t waiting_reads_max = 1'000'000;     // Reads that wait for a probe; more are refused: busy.
  std::size_t held_bytes_max = 64 << 20; // Of images of held changes; beyond it keys only, then whole collections.
  std::size_t held_keys_max = 4'000'000; // Hashes of keys; beyond it whole collections.
  int outdated_rounds_max = 3;           // A schema that is not as described, each time anew: then its error is the answer.
  int snapshot_rounds_max = 3;           // Then a snapshot read goes to storage in one statement.
};

struct FollowerStats {
  std::uint64_t hits = 0;               // Served from memory by the follower (waiting levels).
  std::uint64_t fills = 0, fill_statements = 0, joined_fills = 0, fills_cached = 0, fills_not_cached = 0;
  std::uint64_t probes = 0, nudges = 0, passed_through = 0, stale_refusals = 0, busy_refusals = 0;
  std::uint64_t changes_applied = 0, changes_ignored = 0, entries_dropped = 0, collections_dropped = 0;
  std::uint64_t held_transactions = 0, held_bytes = 0, waiting_reads = 0, waiting_fills = 0, statements_in_flight = 0;
  bool streaming = false;
  base::Nanoseconds lag = 0;            // Now less the moment that the staleness clock proves.
  std::uint64_t lag_bytes = 0;          // The newest probe's position less the stream's.
  storage::Lsn position = 0;
};

// Hears what left or changed in observed collections, for client-side caching. On the loop's thread; must be quick.
class ChangeWatcher {
 public:
  virtual void on_changed(std::string_view key) = 0;
  virtual void on_collection_changed(std::string_view collection) = 0;
  // The stream was interrupted, or more: nothing that was told before holds.
  virtual void on_everything_changed() = 0;

 protected:
  ~ChangeWatcher() = default;
};

class Follower final {
 public:
  // Makes the storage on the loop's thread. To end: stop(), then destroy the loop, then this object.
  using MakeStorage = std::function<std::unique_ptr<storage::ObservedStorage>(net::Loop&)>;
  Follower(memory::Table& table, net::Loop& loop, MakeStorage make_storage, std::vector<storage::CollectionSpec> specs,
           ObservedProtections protections = {}, FollowerLimits limits = {});
  ~Follower();
  // Answers every open read and destroys the storage. No calls after it.
  void stop();

  // Of a collection that is, or was, served here.
  const storage::CollectionSpec& spec(storage::CollectionId collection) const;
  // Those that are served now.
  std::vector<storage::CollectionId> collections() const;

  // Follows these as well, though nobody is served from them yet. Answers once they are complete in the stream, so that
  // they can be cached; errors: the fault of one, deadline_exceeded, out_of_range (kObservedCollectionsMax).
  void follow(const std::vector<storage::CollectionSpec>& specs, base::Nanoseconds deadline, storage::Callback<void> done);
  // These and no others are served from now on; others are not followed any more, and what is cached of them goes. They
  // were followed before. One thread at a time; blocks shortly.
  void serve(const std::vector<storage::CollectionSpec>& specs);

  // Nullopt: the key belongs to no observed collection.
  std::optional<storage::CollectionId> collection_of(std::string_view key) const;

  // For hits on the caller's thread, without I/O: the age with which `entry` (of an observed collection, and read after this
  // call began) keeps the promise at `now`; nullopt: read() must decide. Never for linearizable and snapshot.
  std::optional<base::Nanoseconds> age_if_fresh(const memory::Entry& entry, const ReadPromise& promise,
                                                base::Nanoseconds now) const;

  // Answers in the order of the keys; the first error answers for all. For Level::snapshot all are of one moment.
  using ReadDone = std::function<void(Result<std::vector<ObservedAnswer>>)>;
  void read(std::vector<ObservedKey> keys, ReadPromise promise, base::Nanoseconds deadline, ReadDone done);

  // A token that includes every write acknowledged before the call.
  void token(base::Nanoseconds deadline, storage::Callback<SessionToken> done);
  // Waits until the cache includes what the token names.
  void wait(SessionToken token, base::Nanoseconds deadline, storage::Callback<void> done);

  // Drops cached data and voids the fills in flight. Blocks shortly. How many entries left.
  std::size_t evict(std::string_view key);
  std::size_t evict_collection(storage::CollectionId collection);
  std::size_t evict_if(base::FunctionRef<bool(std::string_view key)> leaves);

  // At most one watcher; nullptr ends it, and returns once no call runs.
  void watch(ChangeWatcher* watcher);

  // Name and text, in order, for people. Blocks shortly.
  std::vector<std::pair<std::string, std::string>> explain(std::string_view key);
  FollowerStats stats() const;
  storage::StreamStatus stream_status();
  // The shape of a collection now; null while it is unknown or faulty.
  storage::RowShapeRef shape_of(storage::CollectionId collection) const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace freshet::consistency
