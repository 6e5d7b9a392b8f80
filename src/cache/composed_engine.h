// The engine over any storage and any ownership: what Engine::open composes for production, and what tests compose from
// their doubles.
//
// May use every room above cache.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/late.h"
#include "base/latest_task.h"
#include "base/striped_counter.h"
#include "cache/engine.h"
#include "consistency/guarded_collection.h"
#include "consistency/observed/bypass_watch.h"
#include "consistency/observed/follower.h"
#include "eviction/adaptive/adaptive_policy.h"
#include "net/loop.h"

namespace freshet::cache {

using consistency::stopping;

// The key-value table's name, where collections are named.
inline constexpr std::string_view kKeyValueCollection = "kv";

// The key belongs to no observed collection, and the key-value table is not offered.
Error no_key_value(std::string_view key);

// What guarded collections need, the key-value table included: both, or neither if there are none.
struct GuardedParts {
  std::unique_ptr<storage::Storage> storage;
  std::unique_ptr<ownership::Ownership> ownership;
};

struct EngineParts : GuardedParts {
  // Makes them later, when a collection becomes guarded; empty: that cannot be. Blocks.
  std::function<Result<GuardedParts>()> make_guarded;
  consistency::Protections protections;
  consistency::CollectionLimits limits;
  // The database of the observed collections (EngineOptions::collections); empty: there can be none. Made when there is one.
  consistency::Follower::MakeStorage make_observed;
  consistency::ObservedProtections observed_protections;
  consistency::FollowerLimits observed_limits;
  // The same database, as the watch over guarded collections follows it; empty: none can be watched.
  consistency::BypassWatch::MakeStorage make_watched;
  eviction::adaptive::AdaptiveOptions adaptive;
};

// What Engine::open composes for these options. Errors: those of opening.
Result<EngineParts> open_parts(const EngineOptions& options);

class ComposedEngine final : public Engine, private consistency::ChangeWatcher {
 public:
  ComposedEngine(const EngineOptions& options, EngineParts parts);
  ~ComposedEngine() override;

  Lookup try_get(std::string_view key, base::Nanoseconds now, base::FunctionRef<void(const HitView&)> visit) override;
  Lookup try_get_at(std::string_view key, const ReadOptions& options, base::Nanoseconds now,
                    base::FunctionRef<void(const HitView&)> visit) override;
  Lookup try_copy(std::string_view key, std::span<char> buffer, memory::EntryCopy& copied) override;
  memory::EntryRef try_pin(std::string_view key, base::Nanoseconds now) override;
  void get(std::string_view key, const ReadOptions& options, Callback<Reading> done) override;
  void get_many(std::vector<std::string> keys, const ReadOptions& options, Callback<std::vector<Reading>> done) override;
  std::size_t try_copy_many(std::span<CopyRequest> requests) override;
  void prefetch_hits(std::span<const std::string_view> keys) override;
  void prefetch(std::vector<std::string> keys) override;
  void write(std::vector<Mutation> mutations, bool all_or_nothing, base::Nanoseconds deadline,
             Callback<storage::WriteReply> done) override;
  void update(std::string key, Decide decide, base::Nanoseconds deadline, Callback<UpdateOutcome> done) override;
  void update_locked(std::string key, Decide decide, base::Nanoseconds deadline, Callback<UpdateOutcome> done) override;
  void begin(std::vector<std::string> keys, base::Nanoseconds deadline,
             Callback<std::shared_ptr<Transaction>> done) override;
  void guard_sql(std::vector<std::string> keys, base::Nanoseconds deadline, base::Nanoseconds limit,
                 Callback<std::shared_ptr<SqlGuard>> done) override;
  void scan(std::uint64_t cursor, std::size_t limit, base::Nanoseconds deadline, Callback<storage::ScanReply> done) override;
  void count(base::Nanoseconds deadline, Callback<storage::KeyCount> done) override;
  std::size_t evict(std::string_view key) override;
  std::size_t evict_if(base::FunctionRef<bool(std::string_view key)> leaves) override;
  std::optional<std::size_t> evict_collection(std::string_view name) override;
  CollectionKind kind_of(std::string_view key) const override;
  const storage::RowCollection* guarded_rows(std::string_view key) const override {
    const auto* const all = rows();
    return all ? all->find(key) : nullptr;
  }
  const storage::RowCollection* rows_of_value(std::string_view key, std::string_view value) const override {
    const auto* const all = rows();
    return all ? all->of_value(key, value) : nullptr;
  }
  const storage::RowCollection* rows_of_shape(std::string_view key, const storage::RowShape* shape) const override {
    const auto* const all = rows();
    return all ? all->of_shape(key, shape) : nullptr;
  }
  void change_collections(std::vector<storage::CollectionSpec> specs, Callback<std::vector<std::string>> done) override;
  storage::RowShapeRef shape_of(std::string_view key) const override;
  std::vector<std::string> collections() const override;
  void token(base::Nanoseconds deadline, Callback<std::string> done) override;
  void wait(std::string token, base::Nanoseconds deadline, Callback<void> done) override;
  void watch(consistency::ChangeWatcher* watcher) override;
  storage::StreamStatus stream_status() override;
  std::int64_t database_now_ms() const override;
  std::vector<std::pair<std::string, std::string>> explain(std::string_view key) override;
  EngineStats stats() const override;
  ownership::OwnershipStatus ownership_status() const override;
  void set_memory(std::size_t bytes) override;
  Result<void> set_policy(std::string_view name) override;
  std::shared_ptr<const eviction::adaptive::Report> eviction_report() const override { return adaptive_.report(); }
  std::vector<memory::PolicyFact> describe_policy() const override { return table_.describe_policy(); }
  void release() override;

 private:
  struct Gathering;
  struct Update;
  class LockedTransaction;
  class LentTransaction;
  // The keys of a transaction: ascending, distinct, each of them guarded.
  std::optional<Error> prepare_keys(std::vector<std::string>& keys) const;

  // On the adaptive policy's thread, or on that of a change.
  void change_policy(const eviction::TablePolicy& policy);
  std::uint64_t hits_and_fills() const;
  // What every call is told once release() was called.
  base::Nanoseconds read_deadline(base::Nanoseconds asked) const;
  base::Nanoseconds write_deadline(base::Nanoseconds asked) const;
  // The key-value table is offered.
  bool has_pairs() const { return collection_ && options_.key_value; }
  const storage::RowCollections* rows() const { return storage_ ? storage_->rows() : nullptr; }
  // Whether this node may read and write the key as one of a guarded collection.
  bool guards(std::string_view key) const { return has_pairs() || guarded_rows(key); }
  // What a state of the key shows.
  void show(std::string_view key, storage::KeyState state, Reading& reading) const;
  // Hits of guarded collections, proven at `now`.
  Lookup try_guarded(std::string_view key, base::Nanoseconds now, base::FunctionRef<void(const HitView&)> visit);
  bool serve_from_memory(std::string_view key, const ReadOptions& options, base::Nanoseconds now, Reading& reading);
  bool is_fresh_enough(const memory::Entry& entry, const ReadOptions& options, base::Nanoseconds now,
                       base::Nanoseconds& age) const;
  Callback<storage::WriteReply> telling_watcher(const std::vector<Mutation>& mutations, Callback<storage::WriteReply> done);
  void start_update(std::string key, Decide decide, base::Nanoseconds deadline, Callback<UpdateOutcome> done, bool locked);
  void attempt(const std::shared_ptr<Update>& update);
  void note_current(Update& update, Reading reading) const;
  void decide_and_write(const std::shared_ptr<Update>& update, const std::shared_ptr<Transaction>& transaction);
  void keep_present(storage::ScanReply reply, base::Nanoseconds deadline, Callback<storage::ScanReply> done);

  // Reads what memory does not have, for the places that `gathering` names.
  void read_guarded(std::vector<std::string> misses, base::Nanoseconds deadline, const std::shared_ptr<Gathering>& gathering,
                    std::shared_ptr<consistency::KeyLocks> locks);
  void read_locked(const std::shared_ptr<LockedTransaction>& transaction, base::Nanoseconds deadline,
                   Callback<std::shared_ptr<Transaction>> done);

  // collection_changes.cc
  void start_guarding(GuardedParts parts);
  void start_following(const std::vector<storage::CollectionSpec>& specs);
  void start_watching(const std::vector<storage::CollectionSpec>& specs);
  class CollectionChange;
  Result<std::vector<std::string>> change_now(const std::vector<storage::CollectionSpec>& specs, bool lenient);
  void begin_change(std::vector<storage::CollectionSpec> specs, bool lenient, Callback<std::vector<std::string>> done);
  void make_changes();
  bool replan_rows();
  Callback<std::vector<Reading>> asking_again(std::vector<std::string> keys, const ReadOptions& options,
                                              std::uint64_t begun, Callback<std::vector<Reading>> done);

  // observed.cc
  // The observed collection that serves the key; nullopt: it is one of a guarded one.
  std::optional<storage::CollectionId> collection_of(std::string_view key) const;
  [[gnu::always_inline]] auto is_current_by(base::Nanoseconds now) const;
  bool observes(std::string_view key) const { return collection_of(key).has_value(); }
  Result<consistency::ReadPromise> promise_of(storage::CollectionId collection, const ReadOptions& options) const;
  // A hit that keeps the promise, if one can be had at once. Calls `take` with the entry and its age.
  using TakeObserved = base::FunctionRef<void(const memory::Entry& entry, base::Nanoseconds age)>;
  Lookup try_observed(std::string_view key, storage::CollectionId collection, const consistency::ReadPromise& promise,
                      base::Nanoseconds now, TakeObserved take);
  struct ObservedMisses;
  std::optional<Error> gather_observed(const std::string& key, storage::CollectionId collection, std::size_t place,
                                       const ReadOptions& options, base::Nanoseconds now, Gathering& gathering,
                                       ObservedMisses& misses);
  void read_observed(ObservedMisses misses, base::Nanoseconds deadline, const std::shared_ptr<Gathering>& gathering);
  struct Collecting;
  std::vector<std::optional<consistency::GuardedCollection::WriteMark>> marks_of(const std::vector<std::string>& keys);
  void collect_observed(const std::shared_ptr<Collecting>& collecting, std::function<void()> then);
  void collect_again(const std::shared_ptr<Collecting>& collecting);
  void get_together(std::vector<std::string> keys, base::Nanoseconds deadline, Callback<std::vector<Reading>> done);
  void drop_bypassed(const std::string& collection, const std::string& key);
  std::string describe_watch() const;
  void on_changed(std::string_view key) override;
  void on_collection_changed(std::string_view collection) override;
  void on_everything_changed() override;
  void on_rows_changed();

  const EngineOptions options_;
  std::atomic<std::size_t> memory_bytes_;                       // As it is to be.
  std::atomic<const eviction::TablePolicy*> chosen_policy_;     // Null: the adaptive policy chooses.
  std::atomic<const eviction::TablePolicy*> policy_;            // That runs, or what is cached is moving to.
  memory::Table table_;
  eviction::adaptive::AdaptivePolicy adaptive_;
  EngineParts parts_;                                           // What is left of them, for collections that change.
  // Each is there from the first moment on when a collection needs it.
  base::Late<storage::Storage> storage_;
  base::Late<ownership::Ownership> ownership_;
  std::unique_ptr<net::Loop> loop_;
  base::Late<consistency::GuardedCollection> collection_;       // Null: no collection is guarded.
  std::unique_ptr<net::Loop> follower_loop_;
  base::Late<consistency::Follower> follower_;                  // Null: there are no observed collections.
  std::unique_ptr<net::Loop> watch_loop_;
  base::Late<consistency::BypassWatch> watch_;                  // Null: no guarded collection is followed.
  std::mutex watcher_mutex_;                                    // Held while the watcher is told.
  consistency::ChangeWatcher* watcher_ = nullptr;
  std::atomic<bool> watched_{false};                            // Spares writes the mutex while nobody watches.
  base::StripedCounter hits_;
  std::atomic<bool> released_{false};
  mutable std::mutex specs_mutex_;
  std::vector<storage::CollectionSpec> specs_;                  // Of the collections as they are now.
  std::atomic<std::uint64_t> collections_changed_{0};           // How often keys have found others who serve them.
  std::atomic<bool> changing_{false};
  std::atomic<bool> is_open_{false};                            // Construction is over.
  std::mutex change_mutex_;
  std::condition_variable change_wake_;                         // A change waits for an answer, or for the end.
  std::atomic<bool> ending_{false};
  struct WaitingChange {
    std::vector<storage::CollectionSpec> specs;
    bool lenient;
    Callback<std::vector<std::string>> done;
  };
  std::deque<WaitingChange> changes_;                           // Each is made when those before it are.
  // The first to end: what moves what is cached, evicts what no longer fits, and changes the collections.
  base::LatestTask policy_change_;
  base::LatestTask memory_change_;
  base::LatestTask collections_change_;
};

}  // namespace freshet::cache
