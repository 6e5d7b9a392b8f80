// The engine as the commands of a transaction see it: keys as the transaction has read them, with what its own commands have
// made of them. Nothing is written before the end: key-value pairs are computed here, changes of rows are kept in order, and
// whoever waits for what the table makes of them is answered when the transaction has been committed.
//
// Every call is answered on the caller's thread: at once, or by answer(). Not thread-safe. May use cache.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cache/engine.h"

namespace freshet::cache {

class TransactionEngine final : public Engine {
 public:
  // `readings`: of every key that its commands name; those of observed collections are as they were read. `engine` outlives
  // it.
  TransactionEngine(Engine& engine, std::map<std::string, Reading, std::less<>> readings);

  // What is to be written, in order. Ends the commands: what is called from now on is refused.
  std::vector<Mutation> take_writes();
  // What became of that, in the same order: answers whoever waits.
  void answer(storage::WriteReply reply);
  // Nothing was written: nobody will be answered.
  void forget() { pending_.clear(); }

  Lookup try_get(std::string_view key, base::Nanoseconds now, base::FunctionRef<void(const HitView&)> visit) override;
  Lookup try_get_at(std::string_view key, const ReadOptions& options, base::Nanoseconds now,
                    base::FunctionRef<void(const HitView&)> visit) override;
  Lookup try_copy(std::string_view, std::span<char>, memory::EntryCopy&) override { return Lookup::miss; }
  std::size_t try_copy_many(std::span<CopyRequest>) override { return 0; }
  memory::EntryRef try_pin(std::string_view, base::Nanoseconds) override { return nullptr; }
  void get(std::string_view key, const ReadOptions& options, Callback<Reading> done) override;
  void get_many(std::vector<std::string> keys, const ReadOptions& options, Callback<std::vector<Reading>> done) override;
  void prefetch(std::vector<std::string>) override {}
  void write(std::vector<Mutation> mutations, bool all_or_nothing, base::Nanoseconds deadline,
             Callback<storage::WriteReply> done) override;
  void update(std::string key, Decide decide, base::Nanoseconds deadline, Callback<UpdateOutcome> done) override;
  // Not within a transaction: each answers with an error.
  void begin(std::vector<std::string>, base::Nanoseconds, Callback<std::shared_ptr<Transaction>> done) override;
  void scan(std::uint64_t, std::size_t, base::Nanoseconds, Callback<storage::ScanReply> done) override;
  void count(base::Nanoseconds, Callback<storage::KeyCount> done) override;
  void token(base::Nanoseconds, Callback<std::string> done) override;
  void wait(std::string, base::Nanoseconds, Callback<void> done) override;

  // The engine's own.
  std::size_t evict(std::string_view key) override { return engine_.evict(key); }
  std::size_t evict_if(base::FunctionRef<bool(std::string_view key)> leaves) override { return engine_.evict_if(leaves); }
  std::optional<std::size_t> evict_collection(std::string_view name) override { return engine_.evict_collection(name); }
  // What was guarded when the transaction began is so for it until it ends.
  CollectionKind kind_of(std::string_view key) const override {
    return guarded_rows(key) ? CollectionKind::guarded_row : engine_.kind_of(key);
  }
  const storage::RowCollection* guarded_rows(std::string_view key) const override { return engine_.guarded_rows(key); }
  const storage::RowCollection* rows_of_value(std::string_view key, std::string_view value) const override {
    return engine_.rows_of_value(key, value);
  }
  const storage::RowCollection* rows_of_shape(std::string_view key, const storage::RowShape* shape) const override {
    return engine_.rows_of_shape(key, shape);
  }
  storage::RowShapeRef shape_of(std::string_view key) const override { return engine_.shape_of(key); }
  std::vector<std::string> collections() const override { return engine_.collections(); }
  void watch(consistency::ChangeWatcher* watcher) override { engine_.watch(watcher); }
  storage::StreamStatus stream_status() override { return engine_.stream_status(); }
  std::int64_t database_now_ms() const override { return engine_.database_now_ms(); }
  std::vector<std::pair<std::string, std::string>> explain(std::string_view key) override { return engine_.explain(key); }
  EngineStats stats() const override { return engine_.stats(); }
  ownership::OwnershipStatus ownership_status() const override { return engine_.ownership_status(); }
  void set_memory(std::size_t bytes) override { engine_.set_memory(bytes); }
  Result<void> set_policy(std::string_view name) override { return engine_.set_policy(name); }
  std::shared_ptr<const eviction::adaptive::Report> eviction_report() const override { return engine_.eviction_report(); }
  std::vector<memory::PolicyFact> describe_policy() const override { return engine_.describe_policy(); }
  void release() override {}

 private:
  using Answer = std::function<void(storage::WriteReply&)>;

  bool is_row(std::string_view key) const { return guarded_rows(key) != nullptr; }
  // The row has been changed: only the table knows what it is now.
  bool is_unknown(std::string_view key) const { return changed_rows_.contains(key); }
  const Reading* known(std::string_view key) const;
  // As conditions see it: past its deadline it is absent.
  KeyState state_of(const std::string& key) const;
  Result<MutationOutcome> change_pair(const Mutation& mutation);
  // Nothing: the mutation is to be made; else what is known without asking.
  std::optional<MutationOutcome> decide_row(const Mutation& mutation) const;
  std::size_t add_row(Mutation mutation);
  bool all_hold(const std::vector<Mutation>& mutations) const;
  Reading reading_of(const std::string& key, const KeyState& state) const;

  Engine& engine_;
  std::map<std::string, Reading, std::less<>> readings_;
  std::set<std::string, std::less<>> changed_pairs_;
  std::map<std::string, std::size_t, std::less<>> changed_rows_;  // The last of its writes.
  std::vector<Mutation> rows_;
  std::set<std::size_t> told_again_;  // Of these writes: a later command reads what they made.
  std::vector<Answer> pending_;    // Of commands that wait for what the table makes of their rows.
  std::size_t pairs_ = 0;      // Writes of pairs, which come before those of rows.
  bool ended_ = false;
};

}  // namespace freshet::cache
