// From a socket's peer to the listening sockets' inodes (/proc/net/tcp, tcp6), from those to who holds them (/proc/PID/fd).
#include "load/target_process.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace freshet::load {
namespace {

constexpr std::string_view kRemedy = "name it with --target-pid or --vs-pid";
constexpr std::string_view kListening = "0A";
constexpr pid_t kPidMax = 4 * 1024 * 1024;  // Linux numbers no process above.

// The kernel's tables write addresses as 32-bit words of the machine's own order.
std::string words_of(const void* bytes, std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; i += 4) {
    std::uint32_t word;
    std::memcpy(&word, static_cast<const char*>(bytes) + i, sizeof word);
    text += fmt::format("{:08X}", word);
  }
  return text;
}

// The forms in which a socket that listens for this address may stand in the tables, each with its port.
std::set<std::string> listening_forms(const sockaddr_storage& address) {
  const std::string any_v6(32, '0'), mapped = words_of("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  std::set<std::string> forms;
  std::uint16_t port = 0;
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    const auto own = words_of(&v4.sin_addr, 4);
    port = ntohs(v4.sin_port);
    forms = {own, "00000000", mapped + own, any_v6};
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    port = ntohs(v6.sin6_port);
    forms = {words_of(&v6.sin6_addr, 16), any_v6};
  }
  std::set<std::string> with_port;
  for (const auto& form : forms) with_port.insert(fmt::format("{}:{:04X}", form, port));
  return with_port;
}

std::set<std::string> listening_inodes(const std::set<std::string>& forms) {
  std::set<std::string> inodes;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream file(table);
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
      std::istringstream words(line);
      std::string number, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      words >> number >> local >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >> inode;
      if (state == kListening && forms.count(local) > 0) inodes.insert(inode);
    }
  }
  return inodes;
}

bool holds_one(const std::filesystem::path& process, const std::set<std::string>& sockets) {
  std::error_code error;
  for (auto descriptor = std::filesystem::directory_iterator(process / "fd", error);
       !error && descriptor != std::filesystem::directory_iterator(); descriptor.increment(error)) {
    std::error_code gone;  // It may be closed meanwhile.
    if (sockets.count(std::filesystem::read_symlink(descriptor->path(), gone).string()) > 0) return true;
  }
  return false;
}

std::vector<pid_t> holders_of(const std::set<std::string>& inodes) {
  std::set<std::string> sockets;
  for (const auto& inode : inodes) sockets.insert(fmt::format("socket:[{}]", inode));
  std::vector<pid_t> pids;
  std::error_code error;
  for (const auto& process : std::filesystem::directory_iterator("/proc", error)) {
    const auto name = process.path().filename().string();
    pid_t pid = 0;
    const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (code != std::errc() || end != name.data() + name.size() || pids.size() >= kListenersMax) continue;
    if (holds_one(process.path(), sockets)) pids.push_back(pid);
  }
  return pids;
}

bool same_address(const sockaddr_storage& a, const sockaddr_storage& b) {
  if (a.ss_family != b.ss_family) return false;
  if (a.ss_family == AF_INET) {
    const auto& one = reinterpret_cast<const sockaddr_in&>(a);
    return one.sin_addr.s_addr == reinterpret_cast<const sockaddr_in&>(b).sin_addr.s_addr;
  }
  const auto& one = reinterpret_cast<const sockaddr_in6&>(a);
  return std::memcmp(&one.sin6_addr, &reinterpret_cast<const sockaddr_in6&>(b).sin6_addr, sizeof one.sin6_addr) == 0;
}

}  // namespace

Result<TargetProcess> TargetProcess::behind(int socket) {
  sockaddr_storage own{}, peer{};
  socklen_t own_size = sizeof own, peer_size = sizeof peer;
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&own), &own_size) != 0 ||
      getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0 || !same_address(own, peer)) {
    return Error::of(ErrorCode::unsupported, "the target is not on this machine: its CPU time is not known here");
  }
  auto pids = holders_of(listening_inodes(listening_forms(peer)));
  if (pids.empty()) {
    return Error::of(ErrorCode::unavailable,
                     "the target's process cannot be seen from here (is it another user's, or in a container?)",
                     std::string(kRemedy));
  }
  return TargetProcess(std::move(pids));
}

Result<TargetProcess> TargetProcess::of_pid(pid_t pid) {
  TargetProcess process({pid});
  if (auto time = process.cpu_time(); !time) return std::move(time).error();
  return process;
}

Result<base::Nanoseconds> TargetProcess::cpu_time() const {
  base::Nanoseconds sum = 0;
  for (const pid_t pid : pids_) {
    clockid_t clock;
    timespec time;
    if (pid <= 0 || pid > kPidMax || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
      return Error::of(ErrorCode::unavailable, fmt::format("there is no process {} whose CPU time can be read", pid),
                       std::string(kRemedy));
    }
    sum += time.tv_sec * base::kSecond + time.tv_nsec;
  }
  return sum;
}

}  // namespace freshet::load
