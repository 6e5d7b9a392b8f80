// The event loop over libuv.
#include "net/loop.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>

namespace freshet::net {
namespace {

// libuv fails here only when the process is out of descriptors or memory; there is no loop to report it on.
void must(int status) {
  if (status < 0) {
    fprintf(stderr, "freshet: event loop: %s\n", uv_strerror(status));
    std::abort();
  }
}

// libuv's timers count milliseconds; rounding up never fires early.
std::uint64_t to_ms(base::Nanoseconds ns) {
  return ns <= 0 ? 0 : static_cast<std::uint64_t>((ns - 1) / base::kMillisecond + 1);
}

}  // namespace

Loop::Loop(std::string name) {
  must(uv_loop_init(&loop_));
  must(uv_async_init(&loop_, &wake_, [](uv_async_t* handle) { static_cast<Loop*>(handle->data)->drain(); }));
  wake_.data = this;
  must(uv_timer_init(&loop_, &due_));
  due_.data = this;
  thread_ = std::thread([this, name = std::move(name)] { main(name); });
}

Loop::~Loop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  uv_async_send(&wake_);
  thread_.join();
  must(uv_loop_close(&loop_));
}

void Loop::main(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  uv_run(&loop_, UV_RUN_DEFAULT);
}

void Loop::post(std::function<void()> task) {
  bool wake;
  {
    std::lock_guard lock(mutex_);
    wake = tasks_.empty();
    tasks_.push_back(std::move(task));
  }
  if (wake) uv_async_send(&wake_);
}

void Loop::run(std::function<void()> task) {
  if (on_thread()) return task();
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  post([&] {
    task();
    std::lock_guard lock(mutex);
    done = true;
    changed.notify_one();
  });
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return done; });
}

void Loop::drain() {
  // Tasks posted while these run are taken by the next wake-up: I/O gets its turn in between.
  std::vector<std::function<void()>> tasks;
  bool stopping;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
    stopping = stopping_;
  }
  for (auto& task : tasks) task();
  if (!stopping) return;
  std::lock_guard lock(mutex_);
  if (tasks_.empty()) {
    uv_close(reinterpret_cast<uv_handle_t*>(&due_), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
  } else {
    uv_async_send(&wake_);
  }
}

void Loop::after(base::Nanoseconds delay, std::function<void()> task) {
  const auto due = base::deadline_after(base::now(), delay);
  post([this, due, task = std::move(task)]() mutable {
    const bool first = later_.empty() || due < later_.begin()->first;
    later_.emplace(due, std::move(task));
    if (first) arm();
  });
}

void Loop::arm() {
  if (later_.empty()) return;
  const auto wait = std::max<base::Nanoseconds>(later_.begin()->first - base::now(), 0);
  uv_update_time(&loop_);
  uv_timer_start(
      &due_, [](uv_timer_t* timer) { static_cast<Loop*>(timer->data)->run_due(); }, to_ms(wait), 0);
}

void Loop::run_due() {
  const auto now = base::now();
  while (!later_.empty() && later_.begin()->first <= now) {
    auto task = std::move(later_.begin()->second);
    later_.erase(later_.begin());
    task();
  }
  arm();
}

struct Timer::State {
  uv_timer_t timer;
  std::function<void()> fire;
};

Timer::Timer(Loop& loop) : state_(new State) {
  must(uv_timer_init(loop.uv(), &state_->timer));
  state_->timer.data = state_;
}

Timer::~Timer() {
  uv_timer_stop(&state_->timer);
  uv_close(reinterpret_cast<uv_handle_t*>(&state_->timer),
           [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
}

void Timer::start(base::Nanoseconds delay, std::function<void()> fire, base::Nanoseconds period) {
  state_->fire = std::move(fire);
  uv_update_time(state_->timer.loop);
  uv_timer_start(
      &state_->timer,
      [](uv_timer_t* timer) {
        // A copy: the callback may restart or destroy the timer.
        auto callback = static_cast<State*>(timer->data)->fire;
        callback();
      },
      to_ms(delay), to_ms(period));
}

void Timer::stop() { uv_timer_stop(&state_->timer); }

}  // namespace freshet::net
