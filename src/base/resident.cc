// See base/resident.h.
#include "base/resident.h"

#include <unistd.h>

#include <cstdio>

namespace freshet::base {

std::size_t resident_bytes() {
  std::size_t total = 0, resident = 0;
  if (std::FILE* const file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu %zu", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace freshet::base
