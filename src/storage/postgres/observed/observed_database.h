// A database of its own for one test, followed by a storage on a loop. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "net/loop.h"
#include "storage/postgres/observed/postgres_observed_storage.h"
#include "temporary_postgres.h"

namespace freshet::storage::postgres {

using freshet::testing::SqlSession;
using freshet::testing::TemporaryPostgres;

inline constexpr base::Nanoseconds kTestPatience = 20 * base::kSecond;

inline TemporaryPostgres& logical_server() {
  static TemporaryPostgres server({"fsync = off", "wal_level = logical", "max_connections = 200", "max_wal_senders = 20",
                                   "max_replication_slots = 20", "shared_buffers = 64MB"});
  return server;
}

// What the listener heard, and the newest of each thing.
class Heard final : public StreamListener {
 public:
  struct Item {
    Change::Kind kind = Change::Kind::drop;
    CollectionId collection = 0;
    std::string key;
    std::string value;
  };

  void on_stream_started(const StreamStart& start) override {
    note([&] { starts_.push_back(start); });
  }
  void on_begin(Xid, Lsn) override {}
  void on_change(const Change& change) override {
    note([&] { changes_.push_back({change.kind, change.collection, std::string(change.key), std::string(change.value)}); });
  }
  void on_commit(Xid, Lsn end) override {
    note([&] { position_ = std::max(position_, end); });
  }
  void on_position(Lsn received) override {
    note([&] { position_ = std::max(position_, received); });
  }
  void on_stream_broken(const std::string&) override {
    note([&] { ++breaks_; });
  }
  void on_described(const Description& description) override {
    note([&] { descriptions_.push_back(description); });
  }

  // Waits until `holds`; false after a while.
  bool wait(const std::function<bool(const Heard&)>& holds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::nanoseconds(kTestPatience), [&] { return holds(*this); });
  }
  std::vector<Item> take_changes() {
    const std::lock_guard lock(mutex_);
    return std::exchange(changes_, {});
  }
  Description description() {
    const std::lock_guard lock(mutex_);
    return descriptions_.back();
  }

  // Read inside wait() only.
  std::vector<StreamStart> starts_;
  std::vector<Item> changes_;
  std::vector<Description> descriptions_;
  Lsn position_ = 0;
  int breaks_ = 0;

 private:
  template <typename Action>
  void note(Action action) {
    const std::lock_guard lock(mutex_);
    action();
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
};

inline CollectionSpec rows_of(std::string name, std::string table) {
  CollectionSpec spec;
  spec.name = std::move(name);
  spec.table = std::move(table);
  return spec;
}

inline CollectionSpec query_of(std::string name, std::string query) {
  CollectionSpec spec;
  spec.name = std::move(name);
  spec.query = std::move(query);
  return spec;
}

class ObservedDatabase {
 public:
  ObservedDatabase() : url_(logical_server().create_database()) {}
  ~ObservedDatabase() { stop(); }

  const std::string& url() const { return url_; }
  std::vector<TemporaryPostgres::Row> sql(const std::string& text) { return TemporaryPostgres::run(url_, text); }

  ObservedOptions options(std::vector<CollectionSpec> specs) const {
    ObservedOptions options;
    options.url = url_;
    options.specs = std::move(specs);
    options.slot = freshet::testing::database_of(url_) + "_slot";
    return options;
  }

  // Follows, and waits until the stream runs.
  void follow(std::vector<CollectionSpec> specs) { follow(options(std::move(specs))); }
  void follow(const ObservedOptions& wanted) {
    begin(wanted);
    ASSERT_TRUE(heard.wait([](const Heard& h) { return !h.starts_.empty(); })) << status().detail;
  }
  void begin(const ObservedOptions& wanted) {
    loop_ = std::make_unique<net::Loop>("test");
    loop_->run([&] {
      auto opened = PostgresObservedStorage::open(wanted, *loop_);
      ASSERT_TRUE(opened) << opened.error().what;
      storage_ = std::move(*opened);
      storage_->follow(heard);
    });
    ASSERT_TRUE(heard.wait([](const Heard& h) { return !h.descriptions_.empty(); }));
  }
  void stop() {
    if (!loop_) return;
    loop_->run([&] { storage_.reset(); });
    loop_.reset();
  }

  template <typename T>
  Result<T> call(const std::function<void(ObservedStorage&, Callback<T>)>& run) {
    auto promise = std::make_shared<std::promise<Result<T>>>();
    auto future = promise->get_future();
    loop_->post([this, run, promise] {
      auto inside = std::make_shared<bool>(true);
      run(*storage_, [promise, inside](Result<T> reply) {
        EXPECT_FALSE(*inside) << "a callback ran inside its call";
        promise->set_value(std::move(reply));
      });
      *inside = false;
    });
    return future.get();
  }

  Result<FillReply> try_fill(CollectionId collection, std::vector<std::string> keys) {
    return call<FillReply>([=](ObservedStorage& storage, Callback<FillReply> done) {
      storage.fill(collection, keys, base::now() + kTestPatience, std::move(done));
    });
  }
  FillReply fill(CollectionId collection, std::vector<std::string> keys) {
    auto reply = try_fill(collection, std::move(keys));
    EXPECT_TRUE(reply) << reply.error().what;
    return reply ? std::move(*reply) : FillReply();
  }
  FilledValue fill_one(CollectionId collection, const std::string& key) {
    auto reply = fill(collection, {key});
    return reply.values.empty() ? FilledValue() : std::move(reply.values.front());
  }
  // As JSON; "absent", or the error's text and remedy.
  std::string read(CollectionId collection, const std::string& key) {
    const auto value = fill_one(collection, key);
    if (value.error) return value.error->what + " " + value.error->remedy;
    if (!value.present) return "absent";
    return to_json(*heard.description().collections[collection].shape, value.value).value();
  }
  ProbeReply probe() {
    auto reply = call<ProbeReply>([](ObservedStorage& storage, Callback<ProbeReply> done) {
      storage.probe(base::now() + kTestPatience, std::move(done));
    });
    EXPECT_TRUE(reply) << reply.error().what;
    return reply ? std::move(*reply) : ProbeReply();
  }
  std::pair<Identity, Lsn> position() {
    auto reply = call<std::pair<Identity, Lsn>>([](ObservedStorage& storage, Callback<std::pair<Identity, Lsn>> done) {
      storage.position(base::now() + kTestPatience, std::move(done));
    });
    EXPECT_TRUE(reply) << reply.error().what;
    return reply ? *reply : std::pair<Identity, Lsn>();
  }
  void nudge() {
    loop_->run([&] { storage_->nudge(); });
  }
  // Looks everything up again, and waits for it.
  Description reload() {
    std::size_t before = 0;
    heard.wait([&](const Heard& h) {
      before = h.descriptions_.size();
      return true;
    });
    loop_->run([&] { storage_->reload(); });
    EXPECT_TRUE(heard.wait([&](const Heard& h) { return h.descriptions_.size() > before; }));
    return heard.description();
  }
  // Everything that was committed before has been heard.
  void catch_up() {
    const auto target = position().second;
    nudge();
    ASSERT_TRUE(heard.wait([&](const Heard& h) { return h.position_ >= target; }));
  }
  StreamStatus status() {
    StreamStatus status;
    loop_->run([&] { status = storage_->status(); });
    return status;
  }
  void run_on_loop(const std::function<void(ObservedStorage&)>& action) {
    loop_->run([&] { action(*storage_); });
  }

  Heard heard;

 private:
  const std::string url_;
  std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<PostgresObservedStorage> storage_;
};

}  // namespace freshet::storage::postgres
