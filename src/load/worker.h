// One thread of the load: an epoll loop over its connections, which sends requests and counts the answers.
//
// Closed loop: each connection sends a pipeline's worth of requests at once, and the next ones when all are answered, as
// client libraries do. Open loop: requests fall due by a Schedule; each goes to the next connection that has fewer than
// `pipeline` unanswered, and waits for one if none has; its latency counts from when it was due.
//
// What is counted: errors, whenever they come; answers that come from `start` on until the end; latencies of requests that
// were sent (closed) or due (open) in that time, also if the answer comes later, up to kDrainMax after the end. Those that
// never got one, or were never sent, are counted with the time that they had waited until then: a stall at the end shows
// too.
// May use protocol. run() is the only thing called on the worker's own thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "load/memcached.h"
#include "load/reply_skimmer.h"
#include "load/requests.h"
#include "load/schedule.h"
#include "load/tally.h"
#include "protocol/buffer.h"

namespace freshet::load {

inline constexpr base::Nanoseconds kDrainMax = 5 * base::kSecond;
inline constexpr std::size_t kReceiveBytes = 64 * 1024;
// Of one connection: while so much waits to be sent nothing is added, so that large values make smaller pipelines.
inline constexpr std::size_t kUnsentBytesMax = std::size_t{1} << 20;
inline constexpr int kEventsMax = 128;  // Taken from epoll at a time.

// The time that all workers of a round measure. The end may be moved forward while they run.
struct Window {
  base::Nanoseconds start = 0;
  std::atomic<base::Nanoseconds> end{base::kForever};
};

using AnySkimmer = std::variant<ReplySkimmer, memcached::Skimmer>;
// Of a target that speaks `protocol`, and is asked for `batch` keys at a time.
AnySkimmer skimmer_for(Protocol protocol, std::uint32_t batch);

class Worker {
 public:
  // Takes the sockets over. `skimmer`: fresh, for each of them. `wake` becomes readable when the window's end has been
  // moved.
  Worker(std::span<const int> sockets, std::uint32_t pipeline, std::unique_ptr<RequestSource> requests,
         const AnySkimmer& skimmer, std::optional<Schedule> schedule, const Window& window, int wake);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void run();
  // Once run() has returned.
  const Tally& tally() const { return tally_; }

 private:
  // Requests of one moment, the oldest first answered.
  struct Run {
    base::Nanoseconds due;
    std::uint32_t requests;
  };
  struct Connection {
    explicit Connection(const AnySkimmer& fresh) : skimmer(fresh) {}

    int socket = -1;
    protocol::Buffer out;
    AnySkimmer skimmer;
    std::vector<Run> runs;       // A ring.
    std::size_t first_run = 0;
    std::size_t runs_held = 0;
    std::uint32_t in_flight = 0;
    bool wants_write = false;
    bool dirty = false;          // Something to send was added in this pass.
  };
  // Answers of one receive, in the order they came, that are not settled yet.
  struct Answers {
    std::uint32_t replies = 0;
    std::uint64_t operations = 0;
    std::uint64_t misses = 0;
  };

  bool over(base::Nanoseconds now);
  void mark_cpu(base::Nanoseconds now, base::Nanoseconds end);
  void wait(base::Nanoseconds now);
  void handle(std::uint32_t index, std::uint32_t events);
  void receive(Connection& connection);
  void settle(Connection& connection, Answers& answers, base::Nanoseconds now);
  // Takes `replies` answered requests off the connection's runs; `with_latency`: and records them.
  void take_runs(Connection& connection, std::uint32_t replies, base::Nanoseconds now, bool with_latency);
  void record_latency(base::Nanoseconds due, base::Nanoseconds now, std::uint32_t requests);
  void push_run(Connection& connection, Run run);
  void send_pipeline(Connection& connection, base::Nanoseconds now);
  void send_due(base::Nanoseconds now);
  Connection* next_free();
  void flush(Connection& connection);
  void watch(Connection& connection, bool for_write);
  void lose(Connection& connection, std::string_view why);
  // At the end: what was never answered, and what was due and never sent.
  void count_unanswered();
  void count_unsent();

  const std::uint32_t pipeline_;
  const std::unique_ptr<RequestSource> requests_;
  std::optional<Schedule> schedule_;
  const Window& window_;
  const int wake_;
  int poll_ = -1;
  std::vector<Connection> connections_;
  std::vector<Connection*> dirty_;
  std::vector<char> input_;
  std::size_t next_connection_ = 0;
  std::uint64_t in_flight_ = 0;   // Of all connections.
  std::size_t open_ = 0;          // Connections.
  bool no_room_ = false;          // Open loop: a request is due, and no connection takes it.
  bool exhausted_ = false;        // No more requests.
  bool draining_ = false;         // The window has ended.
  bool all_sent_ = false;         // Open loop: what was due before the end has had its last chance.
  base::Nanoseconds cpu_at_start_ = -1;
  base::Nanoseconds cpu_at_end_ = -1;
  Tally tally_;
};

}  // namespace freshet::load
