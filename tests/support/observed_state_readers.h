// Readers of keys whose states one writer writes down (observed_states.h): through engines at `linearizable` one key at a
// time, at `snapshot` all of them at once, and by plain SELECT, so that the bookkeeping is tried against the database
// itself.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cache/engine.h"
#include "observed_states.h"

namespace freshet::testing {

class ObservedStateReaders {
 public:
  struct Options {
    std::uint64_t seed = 1;
    std::vector<std::string> keys;
    // A reading as the states spell it; "" for an absent key.
    std::function<std::string(const cache::Reading& reading)> text;
    // The SELECT that gives the same text for a key, in one row and column; nothing: no SQL reader.
    std::function<std::string(const std::string& key)> sql;
    bool snapshots = false;
    base::Nanoseconds read_timeout = base::kSecond;
  };
  ObservedStateReaders(Options options, std::string url, std::vector<cache::Engine*> engines, const ObservedStates& states);
  ~ObservedStateReaders();
  void stop();

  struct Counts {
    std::uint64_t reads = 0, hits = 0, failed = 0, snapshots = 0, sql = 0;
  };
  Counts counts() const;
  std::vector<std::string> anomalies() const;
  // What reads failed with, each text once, with digits as '#'.
  std::map<std::string, std::uint64_t> errors() const;

 private:
  void read_keys(cache::Engine& engine, std::uint64_t seed);
  void read_snapshots(cache::Engine& engine);
  void select_keys();
  void judge(const char* how, std::size_t acknowledged, const ObservedStates::State& seen);
  void fail(const Error& error);

  const Options options_;
  const std::string url_;
  const ObservedStates& states_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> reads_{0}, hits_{0}, failed_{0}, snapshots_{0}, sql_{0};
  mutable std::mutex mutex_;
  std::vector<std::string> anomalies_;
  std::map<std::string, std::uint64_t> errors_;
  std::vector<std::thread> threads_;
};

// One read, waited for.
Result<std::vector<cache::Reading>> read_now(cache::Engine& engine, std::vector<std::string> keys, cache::Level level,
                                             base::Nanoseconds timeout = base::kSecond);

}  // namespace freshet::testing
