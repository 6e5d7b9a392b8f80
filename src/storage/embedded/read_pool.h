// The threads that read what is not in memory: a bounded queue of jobs, each answered exactly once.
// May use base and storage's interface; knows nothing of RocksDB.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "freshet/result.h"
#include "storage/storage.h"

namespace freshet::storage::embedded {

class ReadPool {
 public:
  ReadPool(int threads, std::size_t queued_max);
  ~ReadPool() { stop(); }
  // Jobs begun are finished, those waiting are answered with `unavailable`, and so are later ones. Called once or more, from
  // one thread.
  void stop();

  // Runs `work` on one of the threads and passes its result to `done`; or passes `done` an error: busy, deadline_exceeded
  // (at once, while it waits, or while it runs), unavailable.
  template <typename T>
  void run(base::Nanoseconds deadline, std::function<Result<T>()> work, Callback<T> done) {
    submit(std::make_shared<TypedJob<T>>(deadline, std::move(work), std::move(done)));
  }

  // Answers the jobs whose deadline has passed. Returns whether jobs are open.
  bool expire(base::Nanoseconds now);

 private:
  struct Job {
    explicit Job(base::Nanoseconds until) : deadline(until) {}
    virtual ~Job() = default;
    virtual void perform() = 0;                // Keeps its result; touches nothing that fail() touches.
    virtual void answer() = 0;                 // Passes the result on.
    virtual void fail(const Error& error) = 0;

    const base::Nanoseconds deadline;
    bool answered = false;  // Under the pool's mutex: whoever sets it calls answer() or fail().
  };

  template <typename T>
  struct TypedJob final : Job {
    TypedJob(base::Nanoseconds until, std::function<Result<T>()> what, Callback<T> whom)
        : Job(until), work(std::move(what)), done(std::move(whom)) {}
    void perform() override { result.emplace(work()); }
    void answer() override { done(*std::move(result)); }
    void fail(const Error& error) override { done(error); }

    std::function<Result<T>()> work;
    Callback<T> done;
    std::optional<Result<T>> result;
  };

  void submit(std::shared_ptr<Job> job);
  std::optional<Error> enqueue(const std::shared_ptr<Job>& job);
  void serve(std::size_t worker);

  const std::size_t queued_max_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::shared_ptr<Job>> queue_;
  std::vector<std::shared_ptr<Job>> running_;  // One place a thread.
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace freshet::storage::embedded
