// Work that may take a while, off the caller's thread, where only the latest state counts: a task that has not begun when
// the next one is given is dropped. One thread, while there is something to do. May use the standard library.
#pragma once

#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace freshet::base {

class LatestTask {
 public:
  LatestTask() = default;
  LatestTask(const LatestTask&) = delete;
  LatestTask& operator=(const LatestTask&) = delete;
  ~LatestTask() { stop(); }

  // Runs `task` when the one at work, if there is one, is over. Waits for nothing. Thread-safe. False after stop(), when
  // nothing runs any more.
  bool run(std::function<void()> task) {
    const std::lock_guard hold(mutex_);
    if (stopped_) return false;
    next_ = std::move(task);
    if (std::exchange(at_work_, true)) return true;
    thread_ = std::jthread([this] { work(); });  // The thread before has let go of the mutex for the last time.
    return true;
  }

  // The task at work is over when this returns, and no other begins. Not from a task.
  void stop() {
    std::jthread last;
    {
      const std::lock_guard hold(mutex_);
      stopped_ = true;
      next_ = {};
      last = std::move(thread_);
    }
  }

 private:
  void work() {
    for (;;) {
      std::function<void()> task;
      {
        const std::lock_guard hold(mutex_);
        task = std::exchange(next_, {});
        if (!task) {
          at_work_ = false;
          return;
        }
      }
      task();
    }
  }

  std::mutex mutex_;  // Of all that follows.
  std::function<void()> next_;
  bool at_work_ = false;
  bool stopped_ = false;
  std::jthread thread_;
};

}  // namespace freshet::base
