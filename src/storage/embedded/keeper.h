// A thread that looks after open calls at a fixed pace, and sleeps without waking while there are none.
// May use the standard library only.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace freshet::storage::embedded {

class Keeper {
 public:
  // Calls `look` every `pace` while it returns true; once it has returned false, not before the next stir().
  Keeper(std::chrono::nanoseconds pace, std::function<bool()> look)
      : pace_(pace), look_(std::move(look)), thread_([this] { run(); }) {}
  ~Keeper() { stop(); }
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // Waits for a look in progress; none follows. Called once or more, from one thread.
  void stop() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      wake_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
  }

  // To be called after a call has been queued. Costs one load unless the thread sleeps.
  void stir() {
    if (!idle_.load() || !idle_.exchange(false)) return;
    std::lock_guard lock(mutex_);
    wake_.notify_one();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      wake_.wait_for(lock, pace_, [this] { return stopping_; });
      if (stopping_) return;
      // Idle is said before the look: a call queued after the look finds it said, and stirs.
      idle_.store(true);
      lock.unlock();
      const bool open = look_();
      lock.lock();
      if (open) {
        idle_.store(false);
      } else {
        wake_.wait(lock, [this] { return stopping_ || !idle_.load(); });
      }
    }
  }

  const std::chrono::nanoseconds pace_;
  const std::function<bool()> look_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::atomic<bool> idle_ = false;
  std::thread thread_;
};

}  // namespace freshet::storage::embedded
