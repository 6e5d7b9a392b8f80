// The follower's host on a real event loop: time, an alarm that is exact to microseconds (probes follow each other after
// 200 us, and libuv's timers count milliseconds), and the thread that sweeps dropped entries out of the table.
//
// Made, used and stopped on the loop's thread. May use net, memory, and Linux's timerfd.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "consistency/observed/context.h"
#include "net/descriptor_watch.h"

namespace freshet::consistency {

class LoopHost final : public Host {
 public:
  LoopHost(net::Loop& loop, memory::Table& table, std::function<void()> alarm);
  ~LoopHost();

  base::Nanoseconds now() const override { return base::now(); }
  void wake_at(base::Nanoseconds moment) override;
  void sweep(EpochRef ended) override;
  // No alarm comes any more, and the sweeper has ended.
  void stop();

 private:
  // Between two sweeps, each of which walks the whole table.
  static constexpr base::Nanoseconds kSweepPause = base::kSecond;

  void ring();
  void sweep_until_stopped();

  memory::Table& table_;
  int timer_;                  // -1: stopped.
  const std::function<void()> alarm_;
  net::DescriptorWatch watch_;
  base::Nanoseconds armed_ = base::kForever;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<EpochRef> ended_;
  bool stopping_ = false;
  std::thread sweeper_;
};

}  // namespace freshet::consistency
