// A TCP proxy on the loopback that a test can make misbehave. May use the operating system.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace freshet::testing {

class TcpProxy {
 public:
  enum class Mode : std::uint8_t {
    pass,             // Both ways.
    refuse,           // New connections are closed at once; those open go on.
    // Requests reach the server; its replies are read and thrown away. A connection that has lost one passes none ever
    // after, in no mode: TCP may break, but it leaves nothing out.
    swallow_replies,
    stall,            // Nothing is read, in either direction.
  };

  // Listens on a port of its own and connects to `upstream_port` of this machine.
  explicit TcpProxy(int upstream_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  int port() const { return port_; }
  void set_mode(Mode mode);
  // Where new connections lead to from now on.
  void set_upstream(int port) { upstream_port_ = port; }
  // Cuts every connection now, without a word.
  void cut();
  // Waits until so many bytes of replies have been thrown away in all; false if they do not come.
  [[nodiscard]] bool wait_for_swallowed(std::uint64_t bytes);
  std::uint64_t swallowed() const { return swallowed_; }

 private:
  struct Pair {
    int client = -1;
    int server = -1;
    bool lost_replies = false;
  };

  void main();
  void accept_one();
  // Moves what is there; false if the connection is over.
  bool forward(Pair& pair, bool from_client);
  void wake();

  std::atomic<int> upstream_port_;
  int port_ = 0;
  int listener_ = -1;
  int wake_read_ = -1;
  int wake_write_ = -1;
  std::atomic<Mode> mode_ = Mode::pass;
  std::atomic<std::uint64_t> swallowed_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool cutting_ = false;
  bool stopping_ = false;
  std::vector<Pair> pairs_;  // The thread's own.
  std::thread thread_;
};

}  // namespace freshet::testing
