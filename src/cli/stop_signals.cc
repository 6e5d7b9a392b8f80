// Blocked signals, taken by sigtimedwait.
#include "cli/stop_signals.h"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace freshet::cli {

StopSignals::StopSignals(bool with_hangup) {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  if (with_hangup) sigaddset(&signals_, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  descriptor_ = signalfd(-1, &signals_, SFD_CLOEXEC | SFD_NONBLOCK);
}

StopSignals::~StopSignals() { ::close(descriptor_); }

std::optional<int> StopSignals::wait(base::Nanoseconds wait) {
  // A year and no longer: not every kernel adds a larger time to its own clock without overflow.
  constexpr base::Nanoseconds kYear = 365 * 24 * 3600 * base::kSecond;
  const base::Nanoseconds end = base::deadline_after(base::now(), wait);
  while (true) {
    const base::Nanoseconds left = std::clamp<base::Nanoseconds>(end - base::now(), 0, kYear);
    const timespec timeout{left / base::kSecond, left % base::kSecond};
    const int signal = sigtimedwait(&signals_, nullptr, &timeout);
    if (signal < 0 && base::now() < end) continue;  // Interrupted, or a year is over.
    if (signal < 0) return std::nullopt;
    if (signal == SIGHUP) return signal;
    // Their usual effect, even if they were ignored when the process began (a shell's background job).
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
    return signal;
  }
}

}  // namespace freshet::cli
