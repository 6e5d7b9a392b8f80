// The processes behind a target on this machine, and the processor time that they took. May use the operating system only.
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/clock.h"
#include "freshet/result.h"

namespace freshet::load {

// Processes that may listen at one address together.
inline constexpr std::size_t kListenersMax = 1024;

class TargetProcess {
 public:
  // The processes that listen at the address which this connected socket leads to, if that is one of this machine's.
  // Errors: unsupported (another machine), unavailable (the process cannot be seen, for example in another container).
  static Result<TargetProcess> behind(int socket);
  static Result<TargetProcess> of_pid(pid_t pid);

  const std::vector<pid_t>& pids() const { return pids_; }
  // What they have taken until now, all threads, user and system. Error unavailable: one has ended.
  Result<base::Nanoseconds> cpu_time() const;

 private:
  explicit TargetProcess(std::vector<pid_t> pids) : pids_(std::move(pids)) {}

  std::vector<pid_t> pids_;
};

}  // namespace freshet::load
