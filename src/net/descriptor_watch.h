// Watches a file descriptor on a loop. The handle that libuv needs outlives the watch until the loop has let go of it.
//
// What libuv sees is a duplicate. It knows descriptors by their numbers, and libpq closes a broken connection's by itself,
// before the watch can be stopped: another one may have got the number by then, on the same loop, and would be refused
// (EEXIST) or, once the watch is stopped, never be heard of again.
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
  // No call of `ready` comes any more. The descriptor may have been closed before.
  void stop();

 private:
  struct Handle;

  Loop& loop_;
  const Ready ready_;
  Handle* handle_ = nullptr;
  int events_ = 0;
};

}  // namespace freshet::net
