// The one writer of the embedded storage: a bounded queue and the commit thread that empties it, group by group.
//
// While one group's log write is being synced, the next group gathers: under load one sync serves many writers. A group is
// bounded in calls and bytes. The mutex guards the queue and the callbacks, never I/O; callbacks run without it.
//
// Once a write of the log has failed, nobody knows what the disk holds: the calls of that group have an unknown outcome,
// every later one (guards too) fails with `unavailable`, and only opening the storage anew ends that.
//
// May use RocksDB and the room's own headers.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "storage/embedded/group.h"
#include "storage/embedded/options.h"
#include "storage/embedded/ticket.h"

namespace freshet::storage::embedded {

// The most calls, and bytes of keys and values, of one group; one call may be larger.
inline constexpr std::size_t kGroupCallsMax = 1024;
inline constexpr std::size_t kGroupBytesMax = 8ull << 20;
// Guards and forgotten tombstones have room of their own beside the writes: a full queue must not stop a guard.
inline constexpr std::size_t kGuardsQueuedMax = 4096;
inline constexpr std::size_t kForgetsQueuedMax = 1024;

class Committer {
 public:
  Committer(Database& database, DatabaseClock& clock, const EmbeddedOptions& options);
  ~Committer() { stop(); }
  // The group in flight is finished, calls that wait are answered with `unavailable`, and so are later ones. Called once or
  // more, from one thread.
  void stop();

  void write(WriteRequest request, Callback<WriteReply> done);
  void set_guard(base::SlotRange range, Token token, base::Nanoseconds deadline, Callback<void> done);
  void forget(std::vector<Tombstone> tombstones);

  // Answers the calls whose deadline has passed. Returns whether calls are open.
  bool expire(base::Nanoseconds now);
  // Relaxed only: syncs what has been acknowledged without.
  void sync();
  bool unsynced() const { return unsynced_.load(); }
  // False once a write has failed.
  bool writable() const { return !failed_.load(); }

 private:
  struct Queued {
    std::size_t writes = 0;
    std::size_t write_bytes = 0;
    std::size_t guards = 0;
    std::size_t forgets = 0;
  };

  // Queues the ticket, or says why not; `done` still stands in it then.
  std::optional<Error> enqueue(std::unique_ptr<Ticket>& ticket);
  std::optional<Error> refusal(Ticket& ticket) const;
  void count(Ticket& ticket, bool in);
  void run();
  void take_group();
  void commit_group();
  void fail(std::string what);
  Error failure();

  Database& database_;
  const std::size_t writes_queued_max_;
  const std::size_t write_bytes_queued_max_;
  CommitState state_;  // The commit thread's.

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::unique_ptr<Ticket>> queue_;
  Tickets in_flight_;  // The vector changes under the mutex; the tickets are the commit thread's.
  Queued queued_;
  bool stopping_ = false;
  std::string failure_;  // What the failed write said, once failed_.
  std::atomic<bool> failed_ = false;
  std::atomic<bool> unsynced_ = false;
  std::thread thread_;
};

}  // namespace freshet::storage::embedded
