// Processor time that processes have taken so far, from /proc: what a request costs where several programs share the
// processors, and other programs take some of them. Ticks of 10 ms: for runs of a second or more.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace freshet {

struct ProcessTimes {
  int parent = 0;
  double seconds = 0;     // User and system, of all its threads,
  double ended = 0;       // and of children that have ended.
};

// Zero for a process that is gone.
inline ProcessTimes times_of(const std::string& process) {
  std::ifstream file("/proc/" + process + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto name_end = text.rfind(')');
  if (name_end == text.npos) return {};
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  ProcessTimes times;
  fields >> skipped >> times.parent;
  for (int field = 5; field < 14; ++field) fields >> skipped;
  double user = 0, system = 0, ended_user = 0, ended_system = 0;
  fields >> user >> system >> ended_user >> ended_system;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  times.seconds = (user + system) / ticks;
  times.ended = (ended_user + ended_system) / ticks;
  return times;
}

inline double cpu_seconds_of(int process) { return times_of(std::to_string(process)).seconds; }

// With its children, living and ended.
inline double cpu_seconds_of_family(int parent) {
  const auto own = times_of(std::to_string(parent));
  double seconds = own.seconds + own.ended;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != name.npos) continue;
    const auto child = times_of(name);
    if (child.parent == parent) seconds += child.seconds;
  }
  return seconds;
}

}  // namespace freshet
