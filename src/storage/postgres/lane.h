// A lane: a few connections that serve one kind of call (reads, writes, guards, administration) from one bounded queue, so
// that no kind starves another. Each call has a deadline and is finished exactly once.
//
// admit() and would_hold_back() from any thread; everything else on the loop's thread. May use net and storage.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/postgres/connection.h"
#include "storage/postgres/deadlines.h"

namespace freshet::storage::postgres {

// The end of a call: rows, or an error. state: the SQLSTATE, if the server refused it.
struct Answer {
  Rows rows;
  std::optional<Error> error;
  std::string state;
};

// What to do with a call that was sent and got no answer.
enum class OnLoss : std::uint8_t {
  unknown,  // A write: it may have been applied. Never sent again here.
  fail,     // Unavailable.
  resend,   // It changes nothing: sent again, kResendsMax times.
};

struct Call {
  virtual ~Call() = default;

  enum class State : std::uint8_t { fresh, queued, sent, finished };

  const char* doing = "";               // For messages: "a write".
  const Statement* statement = nullptr;
  Parameters parameters;
  std::size_t bytes = 0;                // What it holds of the queue's bytes.
  base::Nanoseconds deadline = base::kForever;
  OnLoss on_loss = OnLoss::fail;
  bool tells_timeline = false;          // The first column is the server's timeline: an old primary's answer is a lost one,
  bool standby_may_answer = false;      // and so is a standby's, unless this is set.
  std::function<void(Answer)> done;

  // The lane's.
  State state = State::fresh;
  int attempts = 0;
  Connection* connection = nullptr;     // While sent.
  std::list<std::shared_ptr<Call>>::iterator place;
  std::optional<Deadlines::Id> timer;
};
using CallPointer = std::shared_ptr<Call>;

// How often a call is sent again after a deadlock or a serialization failure, which are known to be rolled back.
inline constexpr int kRolledBackRetriesMax = 8;
// How often a call that changes nothing is sent again when its connection is lost.
inline constexpr int kResendsMax = 2;
// After so many failed attempts a connection, and none that worked, the calls that wait are told instead of waiting on.
inline constexpr int kFailedAttemptsMax = 2;
// A connection that owes an answer for so long gets new calls only if all do.
inline constexpr base::Nanoseconds kSuspectAfter = 500 * base::kMillisecond;

class Lane : protected Connection::Observer {
 public:
  struct Options {
    int connections = 1;
    std::size_t in_flight_max = 1;        // Statements a connection.
    std::size_t queue_max = 1;            // Calls waiting to be sent,
    std::size_t queue_bytes_max = 1;      // and their bytes; one call alone may exceed them.
    Connection::Options connection;
  };

  Lane(net::Loop& loop, Deadlines& deadlines, Options options);
  virtual ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // Takes a place in the queue; false if it is full. What is admitted must be submitted.
  bool admit(const Call& call);
  std::size_t queue_max() const { return options_.queue_max; }
  // Whether the call, which is admitted, would only be held back now: the lane fetches it later. From any thread.
  virtual bool would_hold_back(const Call&) const { return false; }
  void submit(CallPointer call);
  // Ends a call early; its reply will be discarded.
  void finish(Call& call, Answer answer);
  // Finishes every call: those sent as lost. Nothing can be submitted any more.
  void close();

 protected:
  // Sends something from the front of the queue, which is not empty.
  virtual void dispatch(Connection& connection);

  void connected(Connection& connection) override;
  void disconnected(Connection& connection, bool was_ready, const std::string& why) override;

  // How many statements a connection may have in flight to be sent the first call of the queue.
  virtual std::size_t in_flight_max() const { return options_.in_flight_max; }

  // Whether what waits is not to be sent yet. Who says so pumps all later.
  virtual bool holds_back() const { return false; }
  // After a reply: sends what may be sent now.
  virtual void go_on() { pump(); }

  // Takes the first call, or this one, off the queue to send it.
  CallPointer take();
  void take(CallPointer call);
  void send(const CallPointer& call, Connection& connection);
  virtual void on_reply(const CallPointer& call, Connection& connection, Reply reply);
  const CallPointer& first() const { return queue_.front(); }
  const std::list<CallPointer>& queue() const { return queue_; }
  bool has_waiting() const { return !queue_.empty(); }
  // In the queue, or admitted and on their way there. From any thread.
  std::size_t waiting() const { return waiting_; }
  // The server refused it, and rolled it back.
  void refuse(const CallPointer& call, Connection& connection, const SqlError& error);
  // Gives the connection up if the error says that its session works no longer.
  static void judge_session(Connection& connection, const SqlError& error);
  // Puts a call that was sent, and is known to have changed nothing, back to the front of the queue.
  void queue_again(const CallPointer& call);
  void lose(const CallPointer& call, const std::string& why);
  // An old primary's answer, or a standby's.
  void distrust(const CallPointer& call, Connection& connection);
  void pump();
  // Whatever holds_back() says.
  void pump_all();

 private:
  Connection* pick();
  bool send_first();
  bool is_trustworthy(const Call& call, const Connection& connection, const PGresult* rows) const;
  void on_deadline(const CallPointer& call);
  void leave_queue(Call& call);
  Error unavailable(const Call& call, const std::string& why) const;

  Deadlines& deadlines_;
  const Options options_;
  std::list<CallPointer> queue_;
  std::atomic<std::size_t> waiting_ = 0;
  std::atomic<std::size_t> waiting_bytes_ = 0;
  bool down_ = false;    // No connection, and attempts have failed.
  int failed_attempts_ = 0;
  bool closed_ = false;
  std::string last_failure_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace freshet::storage::postgres
