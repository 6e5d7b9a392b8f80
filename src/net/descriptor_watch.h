// Watches a file descriptor on a loop. The handle that libuv needs outlives the watch until the loop has let go of it.
//
// Made, used and destroyed on the loop's thread; `ready` may stop or destroy the watch. May use base.
#pragma once

#include <uv.h>

#include <functional>

#include "net/loop.h"

namespace freshet::net {

class DescriptorWatch {
 public:
  // `status`: 0, or libuv's error. `events`: of UV_READABLE and UV_WRITABLE.
  using Ready = std::function<void(int status, int events)>;

  DescriptorWatch(Loop& loop, Ready ready) : loop_(loop), ready_(std::move(ready)) {}
  ~DescriptorWatch() { stop(); }
  DescriptorWatch(const DescriptorWatch&) = delete;
  DescriptorWatch& operator=(const DescriptorWatch&) = delete;

  // Watches for these events from now on; 0: for none. Until stop() it is always the same descriptor. 0, or libuv's error:
  // then nothing is watched.
  int watch(int descriptor, int events);
  // No call of `ready` comes any more; the descriptor may be closed.
  void stop();

 private:
  struct Handle;

  Loop& loop_;
  const Ready ready_;
  Handle* handle_ = nullptr;
  int events_ = 0;
};

}  // namespace freshet::net
