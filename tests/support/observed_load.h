// Load on observed collections: anybody writes by plain SQL, readers read through engines at every level, and everything is
// judged.
//
//  registers  rows with unique values, written in every way that SQL offers; linearizable reads through the engines and
//             plain SELECTs in one history, for the linearizability checker.
//  counters   rows that only grow: reads at `any`, `bounded` and `session` must not go back for one reader, must lie within
//             their bound, and must include what their token names.
//  accounts   rows with a constant sum: `snapshot` reads of all of them must show it.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "base/slot.h"
#include "cache/engine.h"
#include "checker/history/judge.h"
#include "load_session.h"

namespace freshet::testing {

struct ObservedLoadOptions {
  std::uint64_t seed = 1;
  int writers = 3;
  int readers = 3;
  int sql_readers = 1;
  int keys = 4;
  int operations_a_key = 300;       // Then every register is replaced by a fresh one.
  int accounts = 4;
  bool prepared_transactions = false;
  bool partitioned = false;         // The registers' table, in three parts.
  base::Nanoseconds write_pause = 0;  // Between a writer's transactions, where commits are so cheap that the rest starves.
  base::Nanoseconds bound = 50 * base::kMillisecond;
  base::Nanoseconds read_timeout = base::kSecond;
};

// The collections of the load, and the SQL that makes their tables.
std::vector<storage::CollectionSpec> observed_load_collections();
std::string observed_load_schema(const ObservedLoadOptions& options);

// The text of an error with every number as '#', so that equal ones can be counted.
std::string without_numbers(const std::string& text);

class ObservedLoad {
 public:
  using Engines = std::vector<cache::Engine*>;

  // `url`: the database, for writers and SQL readers.
  ObservedLoad(const ObservedLoadOptions& options, std::string url, Engines engines);
  ~ObservedLoad();

  void stop();
  // Waits until so many more reads through the engines have been answered; false after `timeout`.
  bool wait_for_progress(std::uint64_t reads, base::Nanoseconds timeout);
  // Waits until enough registers were read from memory while somebody committed a write of them: twice what the checker
  // wants to see.
  bool wait_for_contention(base::Nanoseconds timeout) const;

  // After the end.
  checker::Judgement judge();
  std::vector<std::string> anomalies() const;  // Of counters and accounts.
  struct Counts {
    std::uint64_t writes = 0, reads = 0, hits = 0, failed_reads = 0;
    std::uint64_t any = 0, bounded = 0, session = 0, snapshots = 0;
  };
  Counts counts() const;
  // What reads failed with, each text once, with digits as '#'.
  std::map<std::string, std::uint64_t> errors() const;

 private:
  struct Counter;
  // Commits of writes on keys of one hash: those under way, and those that have ended.
  struct Commits {
    std::atomic<std::uint64_t> under_way{0}, ended{0};
  };
  static constexpr std::size_t kCommitStripes = 1024;

  void write_registers(std::uint32_t id);
  void write_register(LoadSession& session, std::uint32_t id, base::Random& random, std::uint64_t turn);
  void transact(LoadSession& session, std::uint32_t id, const std::vector<std::string>& statements,
                std::vector<checker::Operation> operations, const std::string& commit);
  void read_registers(std::uint32_t id);
  void select_registers(std::uint32_t id);
  void write_counters();
  void read_counters(std::uint32_t id);
  void move_money();
  void read_accounts(std::uint32_t id);

  Commits& commits_of(const std::string& key) { return commits_[base::hash_of(key) % kCommitStripes]; }
  std::uint64_t draw_register(base::Random& random);
  void pause_writing() const;
  Result<std::vector<cache::Reading>> get(cache::Engine& engine, std::vector<std::string> keys, cache::ReadOptions options);
  void anomaly(std::string text);

  const ObservedLoadOptions options_;
  const std::string url_;
  const Engines engines_;
  checker::HistoryRecorder recorder_;
  std::vector<std::unique_ptr<Counter>> counters_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> turns_{0}, writes_{0}, reads_{0}, hits_{0}, failed_reads_{0};
  std::atomic<std::uint64_t> any_{0}, bounded_{0}, session_{0}, snapshots_{0}, contended_hits_{0};
  std::array<Commits, kCommitStripes> commits_;
  mutable std::mutex mutex_;
  std::vector<std::string> anomalies_;
  std::map<std::string, std::uint64_t> errors_;
  std::vector<std::thread> threads_;
};

}  // namespace freshet::testing
