// An engine for tests: keys in a map, a part of them "in memory". Answers on a thread of its own; answers can be held back,
// and errors asked for. Observed collections are named by the test, which also changes their rows. Thread-safe. May use
// cache and net; only tests use it.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cache/engine.h"
#include "net/loop.h"

namespace freshet::server {

class FakeEngine final : public cache::Engine {
 public:
  FakeEngine() = default;
  ~FakeEngine() override;

  // From here on answers are kept until release_answers(); each keeps what it was computed as.
  void hold_answers();
  void release_answers();
  std::size_t held_answers() const;
  // From here on answers are given before the call returns, on the caller's thread.
  void answer_at_once();
  // The next reads or writes fail with the error.
  void fail_next(Error error);
  // Forgets what is in memory.
  void drop_cache();
  // Sets a key as if another writer had, in storage only.
  void put_in_storage(std::string key, std::string value, std::int64_t expires_at_ms = 0);
  // An observed collection; its rows are put and changed by put_in_storage, in the form of storage/row.h.
  void observe(std::string collection, std::vector<storage::Column> columns, bool is_query = false);
  // Tells the watcher.
  void change_collection(std::string_view collection);
  void change_everything();
  // The level of the last read that asked for one; "none" before it.
  std::string last_read() const;
  // Moves the database's clock.
  void advance_clock(std::int64_t ms) { clock_offset_ms_ += ms; }
  std::vector<std::string> prefetched() const;

  Lookup try_get(std::string_view key, base::Nanoseconds now, base::FunctionRef<void(const cache::HitView&)> visit) override;
  Lookup try_get_at(std::string_view key, const cache::ReadOptions& options, base::Nanoseconds now,
                    base::FunctionRef<void(const cache::HitView&)> visit) override;
  Lookup try_copy(std::string_view key, std::span<char> buffer, memory::EntryCopy& copied) override;
  std::size_t try_copy_many(std::span<CopyRequest> requests) override;
  memory::EntryRef try_pin(std::string_view key, base::Nanoseconds now) override;
  void get(std::string_view key, const cache::ReadOptions& options, storage::Callback<cache::Reading> done) override;
  void get_many(std::vector<std::string> keys, const cache::ReadOptions& options,
                storage::Callback<std::vector<cache::Reading>> done) override;
  void prefetch(std::vector<std::string> keys) override;
  void write(std::vector<storage::Mutation> mutations, bool all_or_nothing, base::Nanoseconds deadline,
             storage::Callback<storage::WriteReply> done) override;
  void update(std::string key, cache::Decide decide, base::Nanoseconds deadline,
              storage::Callback<cache::UpdateOutcome> done) override;
  void begin(std::vector<std::string> keys, base::Nanoseconds deadline,
             storage::Callback<std::shared_ptr<cache::Transaction>> done) override;
  void scan(std::uint64_t cursor, std::size_t limit, base::Nanoseconds deadline,
            storage::Callback<storage::ScanReply> done) override;
  void count(base::Nanoseconds deadline, storage::Callback<storage::KeyCount> done) override;
  std::size_t evict(std::string_view key) override;
  std::size_t evict_if(base::FunctionRef<bool(std::string_view key)> leaves) override;
  std::optional<std::size_t> evict_collection(std::string_view name) override;
  cache::CollectionKind kind_of(std::string_view key) const override;
  storage::RowShapeRef shape_of(std::string_view key) const override;
  std::vector<std::string> collections() const override;
  void token(base::Nanoseconds deadline, storage::Callback<std::string> done) override;
  void wait(std::string token, base::Nanoseconds deadline, storage::Callback<void> done) override;
  void watch(consistency::ChangeWatcher* watcher) override;
  storage::StreamStatus stream_status() override;
  std::int64_t database_now_ms() const override { return base::wall_ms() + clock_offset_ms_; }
  std::vector<std::pair<std::string, std::string>> explain(std::string_view key) override;
  cache::EngineStats stats() const override;
  ownership::OwnershipStatus ownership_status() const override { return {"fake", "", 1, "a test's engine"}; }
  void set_memory(std::size_t) override {}
  Result<void> set_policy(std::string_view) override { return {}; }
  std::shared_ptr<const eviction::adaptive::Report> eviction_report() const override;
  std::vector<memory::PolicyFact> describe_policy() const override;
  void release() override {}

 private:
  using Position = std::pair<std::uint64_t, std::string>;

  void answer(std::function<void()> task);
  std::optional<Error> take_error();
  storage::KeyState* live(const std::string& key);
  cache::Reading read(const std::string& key);
  void note_level(const cache::ReadOptions& options);
  void tell(std::string_view key);
  bool holds(const storage::Mutation& mutation);
  Result<storage::MutationOutcome> apply(const storage::Mutation& mutation);
  void store(const storage::Mutation& mutation, std::string value,
             storage::ValueKind kind = storage::ValueKind::string);

  mutable std::recursive_mutex mutex_;  // An answer given at once may call again.
  std::map<Position, storage::KeyState> keys_;  // In the order of a scan.
  std::set<std::string, std::less<>> cached_;
  std::vector<std::string> prefetched_;
  std::map<std::string, storage::RowShapeRef, std::less<>> observed_;  // By the collection's name.
  consistency::ChangeWatcher* watcher_ = nullptr;
  std::string last_read_ = "none";
  std::deque<std::function<void()>> held_;
  std::deque<Error> errors_;
  bool holding_ = false;
  std::atomic<bool> at_once_{false};
  storage::Version version_ = 0;
  std::uint64_t hits_ = 0;
  std::atomic<std::uint64_t> storage_reads_{0};
  std::atomic<std::int64_t> clock_offset_ms_{0};
  net::Loop loop_{"fake-engine"};  // Last: its thread uses what stands above.
};

}  // namespace freshet::server
