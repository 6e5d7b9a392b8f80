// See consistency/observed/loop_host.h.
#include "consistency/observed/loop_host.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

namespace freshet::consistency {

LoopHost::LoopHost(net::Loop& loop, memory::Table& table, std::function<void()> alarm)
    : table_(table),
      // The clock is that of base::now().
      timer_(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC)),
      alarm_(std::move(alarm)),
      watch_(loop, [this](int, int) { ring(); }) {
  if (timer_ < 0) throw std::runtime_error("no descriptor is left for a timer");
  watch_.watch(timer_, UV_READABLE);
  sweeper_ = std::thread([this] { sweep_until_stopped(); });
}

LoopHost::~LoopHost() {
  if (timer_ >= 0) stop();
}

void LoopHost::stop() {
  {
    const std::lock_guard hold(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  sweeper_.join();
  watch_.stop();
  close(std::exchange(timer_, -1));
}

void LoopHost::ring() {
  std::uint64_t times = 0;
  if (read(timer_, &times, sizeof times) != sizeof times) return;
  armed_ = base::kForever;
  alarm_();
}

void LoopHost::wake_at(base::Nanoseconds moment) {
  // An alarm that rings too early costs less than setting it again for every event.
  if (timer_ < 0 || (moment >= armed_ && armed_ != base::kForever) || moment == base::kForever) return;
  armed_ = moment;
  // A time of 0 would turn the timer off.
  const base::Nanoseconds at = std::max<base::Nanoseconds>(moment, 1);
  itimerspec when = {};
  when.it_value.tv_sec = at / base::kSecond;
  when.it_value.tv_nsec = at % base::kSecond;
  timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr);
}

void LoopHost::sweep(EpochRef ended) {
  {
    const std::lock_guard hold(mutex_);
    ended_.push_back(std::move(ended));
  }
  changed_.notify_all();
}

void LoopHost::sweep_until_stopped() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait(lock, [this] { return stopping_ || !ended_.empty(); });
    if (stopping_) return;
    std::vector<EpochRef> ended = std::exchange(ended_, {});
    lock.unlock();
    std::sort(ended.begin(), ended.end());
    table_.erase_if([&](const memory::Entry& entry) {
      return std::binary_search(ended.begin(), ended.end(), entry.witness(),
                                [](const auto& one, const auto& other) { return &*one < &*other; });
    });
    ended.clear();
    lock.lock();
    changed_.wait_for(lock, std::chrono::nanoseconds(kSweepPause), [this] { return stopping_; });
  }
}

}  // namespace freshet::consistency
