// An event loop on a thread of its own: libuv's, with a queue through which other threads hand it work, and timers.
//
// Thread-safety: post(), run(), after() and the destructor from any thread; all else on the loop's own. May use base.
#pragma once

#include <uv.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace freshet::net {

class Timer;

class Loop {
 public:
  // Starts the thread; `name` (at most 15 bytes) shows in ps and top.
  explicit Loop(std::string name);
  // Runs what was posted before, stops, and joins the thread. Handles still open on the loop must have been closed.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs `task` on the loop's thread, in the order of posting. Never runs it inside the call.
  void post(std::function<void()> task);
  // Runs `task` on the loop's thread and waits for it. On the loop's thread itself it runs at once.
  void run(std::function<void()> task);
  // Runs `task` on the loop's thread once `delay` has passed. Tasks whose time has not come when the loop ends are dropped.
  void after(base::Nanoseconds delay, std::function<void()> task);
  bool on_thread() const { return std::this_thread::get_id() == thread_.get_id(); }

  uv_loop_t* uv() { return &loop_; }

 private:
  void main(const std::string& name);
  void drain();
  void run_due();
  void arm();

  uv_loop_t loop_;
  uv_async_t wake_;
  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;
  std::multimap<base::Nanoseconds, std::function<void()>> later_;  // By when they are due; the loop's thread only.
  uv_timer_t due_;
  bool stopping_ = false;
  std::thread thread_;
};

// A one-shot or repeating timer on a loop. Made, used and destroyed on the loop's thread.
class Timer {
 public:
  explicit Timer(Loop& loop);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Calls `fire` after `delay` (rounded up to whole milliseconds), once, or every `period` if that is above 0. Replaces
  // what was set before.
  void start(base::Nanoseconds delay, std::function<void()> fire, base::Nanoseconds period = 0);
  void stop();

 private:
  struct State;
  State* state_;
};

}  // namespace freshet::net
