// Clients of engines in this process that write and read a few keys at full speed, all of it recorded for the checkers.
//
// Keys of even number hold unique values and are deleted, those of odd number count or grow. After a while every key is
// replaced by a fresh one, so that histories stay short enough to search.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "cache/engine.h"
#include "checker/history/judge.h"
#include "recorded_client.h"

namespace freshet::testing {

struct LoadOptions {
  std::uint64_t seed = 1;
  int clients = 6;
  int keys = 4;
  int operations_a_key = 300;
  std::uint64_t operations_max = 0;  // The clients stop by themselves after so many; 0: when told.
  base::Nanoseconds read_timeout = base::kSecond;
  base::Nanoseconds write_timeout = 400 * base::kMillisecond;
};

class RecordedLoad {
 public:
  // Which engine an operation on `key` goes to.
  using Route = std::function<cache::Engine&(const std::string& key, base::Random& random)>;

  RecordedLoad(const LoadOptions& options, Route route);
  ~RecordedLoad();

  // Waits until the clients have stopped by themselves, or tells them to.
  void join();
  void stop();
  bool stopped() const { return stopping_; }
  // Waits until so many more operations have been answered as ok; false after `timeout`.
  bool wait_for_progress(std::uint64_t operations, base::Nanoseconds timeout);
  std::uint64_t operations() const { return operations_; }
  // After the end: what the checkers say.
  checker::Judgement judge();

 private:
  void work(std::uint32_t id);
  Pending choose(RecordedClient& client, cache::Engine& engine, const std::string& key, std::uint64_t which,
                 const std::string& value, base::Random& random);

  const LoadOptions options_;
  const Route route_;
  checker::HistoryRecorder recorder_;
  std::atomic<std::uint64_t> operations_{0};
  std::atomic<std::uint64_t> answered_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

// The seed of a test: FRESHET_SEED in the environment, or a fixed one.
std::uint64_t test_seed();
std::uint64_t from_environment(const char* name, std::uint64_t otherwise);
std::string first_report(const checker::Judgement& judgement);

}  // namespace freshet::testing
