// Finds the holder of RocksDB's LOCK file in /proc/locks. The file itself must not be opened for that: closing it would drop
// this process's own lock on it, which POSIX ties to the process and not to the descriptor.
#include "storage/embedded/directory_lock.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdio>
#include <fstream>
#include <sstream>

namespace freshet::storage::embedded {
namespace {

// "08:01:1234", as /proc/locks names a file: device numbers in hex, then the inode. Empty if there is no such file.
std::string name_in_locks(const std::string& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) != 0) return {};
  char device[32];
  std::snprintf(device, sizeof device, "%02x:%02x:", major(file.st_dev), minor(file.st_dev));
  return device + std::to_string(file.st_ino);
}

}  // namespace

bool is_lock_error(const std::string& message) {
  return message.find("lock hold by current process") != std::string::npos ||
         (message.find("lock") != std::string::npos && message.find("/LOCK") != std::string::npos);
}

std::string holder_of(const std::string& directory, const std::string& message) {
  if (message.find("lock hold by current process") != std::string::npos) return "this process";
  const auto name = name_in_locks(directory + "/LOCK");
  std::ifstream locks("/proc/locks");
  // A line: "1: POSIX  ADVISORY  WRITE 123 08:01:1234 0 EOF".
  for (std::string line; !name.empty() && std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, mode, access, file;
    long process = 0;
    if (!(words >> number >> kind >> mode >> access >> process >> file) || file != name || process <= 0) continue;
    std::string command;
    std::getline(std::ifstream("/proc/" + std::to_string(process) + "/comm"), command);
    return "process " + std::to_string(process) + (command.empty() ? "" : " (" + command + ")");
  }
  return "another process";
}

}  // namespace freshet::storage::embedded
