// The engine over any storage and any ownership: what Engine::open composes for production, and what tests compose from
// their doubles.
//
// May use every room above cache.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/striped_counter.h"
#include "cache/engine.h"
#include "consistency/guarded_collection.h"
#include "net/loop.h"

namespace freshet::cache {

using consistency::stopping;

struct EngineParts {
  std::unique_ptr<storage::Storage> storage;
  std::unique_ptr<ownership::Ownership> ownership;
  consistency::Protections protections;
  consistency::CollectionLimits limits;
};

class ComposedEngine final : public Engine {
 public:
  ComposedEngine(const EngineOptions& options, EngineParts parts);
  ~ComposedEngine() override;

  Lookup try_get(std::string_view key, base::Nanoseconds now, base::FunctionRef<void(const HitView&)> visit) override;
  memory::EntryRef try_pin(std::string_view key, base::Nanoseconds now) override;
  void get(std::string_view key, const ReadOptions& options, Callback<Reading> done) override;
  void get_many(std::vector<std::string> keys, const ReadOptions& options, Callback<std::vector<Reading>> done) override;
  void prefetch_hit(std::string_view key) override { table_.prefetch(base::hash_of(key)); }
  void prefetch(std::vector<std::string> keys) override;
  void write(std::vector<Mutation> mutations, bool all_or_nothing, base::Nanoseconds deadline,
             Callback<storage::WriteReply> done) override;
  void update(std::string key, Decide decide, base::Nanoseconds deadline, Callback<UpdateOutcome> done) override;
  void scan(std::uint64_t cursor, std::size_t limit, base::Nanoseconds deadline, Callback<storage::ScanReply> done) override;
  void count(base::Nanoseconds deadline, Callback<storage::KeyCount> done) override;
  std::size_t evict(std::string_view key) override;
  std::size_t evict_if(base::FunctionRef<bool(std::string_view key)> leaves) override;
  std::int64_t database_now_ms() const override { return collection_->database_now_ms(); }
  std::vector<std::pair<std::string, std::string>> explain(std::string_view key) override;
  EngineStats stats() const override;
  ownership::OwnershipStatus ownership_status() const override { return ownership_->status(); }
  storage::Storage& storage() override { return *storage_; }
  void set_memory(std::size_t bytes) override { table_.set_capacity(bytes); }
  void release() override;

 private:
  struct Gathering;
  struct Update;

  // What every call is told once release() was called.
  base::Nanoseconds read_deadline(base::Nanoseconds asked) const;
  base::Nanoseconds write_deadline(base::Nanoseconds asked) const;
  bool serve_from_memory(std::string_view key, const ReadOptions& options, base::Nanoseconds now, Reading& reading);
  bool is_fresh_enough(const memory::Entry& entry, const ReadOptions& options, base::Nanoseconds now,
                       base::Nanoseconds& age) const;
  void attempt(const std::shared_ptr<Update>& update);
  void decide_and_write(const std::shared_ptr<Update>& update);
  void keep_present(storage::ScanReply reply, base::Nanoseconds deadline, Callback<storage::ScanReply> done);

  const EngineOptions options_;
  memory::Table table_;
  std::unique_ptr<storage::Storage> storage_;
  std::unique_ptr<ownership::Ownership> ownership_;
  std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<consistency::GuardedCollection> collection_;
  base::StripedCounter hits_;
  std::atomic<bool> released_{false};
};

}  // namespace freshet::cache
