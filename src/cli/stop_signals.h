// SIGTERM and SIGINT, and on demand SIGHUP, as events that the main thread waits for. Make one before any other thread
// starts. May use the operating system only.
#pragma once

#include <signal.h>

#include <optional>

#include "base/clock.h"

namespace freshet::cli {

class StopSignals {
 public:
  // Keeps the signals from this thread, and so from those that it starts; and SIGPIPE from everybody.
  // `with_hangup`: SIGHUP is one of them, and stops nothing.
  explicit StopSignals(bool with_hangup = false);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // The first signal; nothing if none came within `wait`. If it is to stop, the next one of these ends the process at once.
  std::optional<int> wait(base::Nanoseconds wait = base::kForever);

  // Readable while a signal waits to be taken, for whoever waits for other things as well.
  int descriptor() const { return descriptor_; }

 private:
  sigset_t signals_;
  int descriptor_ = -1;
};

}  // namespace freshet::cli
