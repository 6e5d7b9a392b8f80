// A stream on a loop of its own that writes down what it hands on, and a database to stream from. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "storage/postgres/stream/replication_stream.h"
#include "temporary_postgres.h"

namespace freshet::storage::postgres {

using freshet::testing::SqlSession;
using freshet::testing::TemporaryPostgres;

// What was handed on, as text: "begin", "insert t 1 'a' null", "update t key(1 null) to 2 'b'", "commit".
class Recorder final : public StreamHandler {
 public:
  struct Record {
    std::vector<std::string> events;   // Without descriptions.
    std::vector<Started> starts;
    std::vector<std::string> breaks;
    std::vector<std::string> failures;
    std::uint64_t commits = 0;
    std::uint64_t inserts = 0;
    Lsn received = 0;
    Lsn last_commit_end = 0;
  };

  // Keeps no events, only counts.
  void count_only() { count_only_ = true; }

  Record record() const {
    const std::lock_guard lock(mutex_);
    return record_;
  }

  // Waits until the record is as wanted; false if that does not come.
  [[nodiscard]] bool wait(const std::function<bool(const Record&)>& wanted) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return wanted(record_); });
  }

 private:
  void on_started(const Started& started) override {
    note([&] {
      record_.starts.push_back(started);
      if (!started.continuous) record_.received = 0;
    });
  }
  void on_position(Lsn received) override {
    note([&] { record_.received = received; });
  }
  void on_stream_broken(const std::string& why) override {
    note([&] { record_.breaks.push_back(why); });
  }
  void on_start_failed(const std::string& why) override {
    note([&] { record_.failures.push_back(why); });
  }
  void on_message(const pgoutput::Message& message) override {
    note([&] {
      if (const auto* relation = std::get_if<pgoutput::Relation>(&message)) {
        names_[relation->id] = relation->name;
        return;
      }
      if (std::holds_alternative<pgoutput::Type>(message)) return;
      if (const auto* commit = std::get_if<pgoutput::Commit>(&message)) {
        ++record_.commits;
        record_.received = std::max(record_.received, commit->end);
        record_.last_commit_end = commit->end;
      }
      record_.inserts += std::holds_alternative<pgoutput::Insert>(message);
      if (!count_only_) record_.events.push_back(text_of(message));
    });
  }

  void note(const std::function<void()>& what) {
    {
      const std::lock_guard lock(mutex_);
      what();
    }
    changed_.notify_all();
  }

  static std::string text_of(pgoutput::Row row) {
    std::string text;
    for (const auto& cell : row) {
      if (!text.empty()) text += ' ';
      switch (cell.kind) {
        case pgoutput::Cell::Kind::null: text += "null"; break;
        case pgoutput::Cell::Kind::unchanged: text += "unchanged"; break;
        default: text.append("'").append(cell.bytes).append("'");
      }
    }
    return text;
  }
  static std::string text_of(pgoutput::Old old, pgoutput::Row row) {
    if (old == pgoutput::Old::none) return "";
    return (old == pgoutput::Old::key ? "key(" : "full(") + text_of(row) + ") ";
  }
  std::string text_of(const pgoutput::Message& message) {
    if (std::holds_alternative<pgoutput::Begin>(message)) return "begin";
    if (std::holds_alternative<pgoutput::Commit>(message)) return "commit";
    if (const auto* insert = std::get_if<pgoutput::Insert>(&message)) {
      return "insert " + names_[insert->relation] + " " + text_of(insert->row);
    }
    if (const auto* update = std::get_if<pgoutput::Update>(&message)) {
      return "update " + names_[update->relation] + " " + text_of(update->old, update->old_row) + "to " +
             text_of(update->row);
    }
    if (const auto* erased = std::get_if<pgoutput::Delete>(&message)) {
      return "delete " + names_[erased->relation] + " " + text_of(erased->old, erased->old_row);
    }
    if (const auto* truncate = std::get_if<pgoutput::Truncate>(&message)) {
      std::string text = "truncate";
      for (const auto id : truncate->relations) text += " " + names_[id];
      return text;
    }
    return "other";
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Record record_;
  std::map<Oid, std::string> names_;
  bool count_only_ = false;
};

inline std::string quiet_slot_name(const std::string& url) { return "slot_" + freshet::testing::database_of(url); }

inline StreamOptions stream_options(const std::string& url) {
  StreamOptions options;
  auto parameters = connection_parameters(url, "freshet:test:stream");
  EXPECT_TRUE(parameters);
  options.parameters = *parameters;
  options.publication = "Test \"pub\"";
  options.slot = quiet_slot_name(url);
  EXPECT_TRUE(ReplicationStream::check(options));
  return options;
}

class RecordedStream {
 public:
  explicit RecordedStream(StreamOptions options) : loop_("test-stream") {
    loop_.run([&] { stream_ = std::make_unique<ReplicationStream>(loop_, std::move(options), recorder_); });
  }
  ~RecordedStream() {
    loop_.run([&] { stream_.reset(); });
  }

  Recorder& recorder() { return recorder_; }
  Recorder::Record record() const { return recorder_.record(); }
  [[nodiscard]] bool wait(const std::function<bool(const Recorder::Record&)>& wanted) const {
    return recorder_.wait(wanted);
  }
  [[nodiscard]] bool wait_started(std::size_t times = 1) const {
    return wait([&](const auto& record) { return record.starts.size() >= times; });
  }
  // Until everything that was committed before `position` has come.
  [[nodiscard]] bool wait_received(Lsn position) const {
    return wait([&](const auto& record) { return record.received >= position; });
  }
  ReplicationStatus status() {
    ReplicationStatus status;
    loop_.run([&] { status = stream_->status(); });
    return status;
  }
  void confirm(Lsn position) {
    loop_.run([&] { stream_->confirm(position); });
  }
  void give_up(const std::string& why) {
    loop_.run([&] { stream_->give_up(why); });
  }
  net::Loop& loop() { return loop_; }

 private:
  net::Loop loop_;
  Recorder recorder_;
  std::unique_ptr<ReplicationStream> stream_;
};

// A database with a publication of all its tables.
class StreamDatabase {
 public:
  StreamDatabase() : StreamDatabase(TemporaryPostgres::shared()) {}
  explicit StreamDatabase(TemporaryPostgres& server) : server_(server), url_(server.create_database()), session_(url_) {
    run("CREATE PUBLICATION \"Test \"\"pub\"\"\" FOR ALL TABLES");
  }

  const std::string& url() const { return url_; }
  TemporaryPostgres& server() { return server_; }
  std::vector<TemporaryPostgres::Row> run(const std::string& sql) {
    auto outcome = session_.run(sql);
    EXPECT_TRUE(outcome.ok) << sql << ": " << outcome.message;
    return outcome.rows;
  }
  std::string value(const std::string& sql) {
    const auto rows = run(sql);
    return rows.empty() ? "" : rows[0][0];
  }
  // A position behind everything that was committed before, made known to the stream by a change after it.
  Lsn position() {
    const auto lsn = parse_lsn(value("SELECT pg_current_wal_insert_lsn()"));
    EXPECT_TRUE(lsn);
    run("SELECT pg_logical_emit_message(true, 'freshet', '')");
    return lsn ? *lsn : 0;
  }
  std::string slot() const { return quiet_slot_name(url_); }
  bool has_slot() { return value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '" + slot() + "'") == "1"; }
  // Ends the stream's server process; waits until it is gone.
  void end_stream_session() {
    run("SELECT pg_terminate_backend(active_pid, 20000) FROM pg_replication_slots WHERE slot_name = '" + slot() +
        "' AND active_pid IS NOT NULL");
  }

 private:
  TemporaryPostgres& server_;
  std::string url_;
  SqlSession session_;
};

}  // namespace freshet::storage::postgres
