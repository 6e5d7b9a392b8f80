// One connection to PostgreSQL on an event loop: connects without blocking, prepares its statements, pipelines calls (each
// its own transaction, with one sync), and connects again by itself, for ever, with jittered backoff.
//
// Everything happens on the loop's thread. May use libpq and net.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "net/descriptor_watch.h"
#include "net/loop.h"
#include "storage/postgres/backoff.h"
#include "storage/postgres/binary.h"
#include "storage/postgres/history.h"
#include "storage/postgres/libpq.h"

namespace freshet::storage::postgres {

struct Statement {
  const char* name;
  const char* sql;
  std::vector<Oid> types;
  // Prepared by each connection when it is first sent there, instead of at its start: for statements that come and go. Names
  // are never used again for another text; the empty name is prepared each time.
  bool late = false;
};

// So many late statements a session keeps; then it is replaced by a new one.
inline constexpr std::size_t kLateStatementsMax = 512;

// A statement of a transaction, with its parameters.
struct Step {
  const Statement* statement;
  Parameters parameters;
};

// What became of the transaction that was sent. Exactly one of the three.
struct Reply {
  Rows rows;                      // It is committed: the last statement's rows.
  std::vector<Rows> earlier;      // With them: those of the statements before it.
  std::optional<SqlError> error;  // The server refused a statement, and rolled all back;
  std::size_t refused = 0;        // which.
  std::string lost;               // No answer: it may have been committed, or may still be. Why.
};

class Connection {
 public:
  struct Options {
    ConnectionParameters parameters;
    // Run once after connecting; one row, in text: the server process's number, whether the server is a standby, its
    // timeline, its system. What follows is at session().
    std::string session_sql;
    std::vector<const Statement*> statements;
    bool accept_standby = false;
    // Shared by the connections that must not fall back behind each other; may be null.
    std::shared_ptr<History> history;
    base::Nanoseconds connect_timeout = 5 * base::kSecond;
    base::Nanoseconds stall_timeout = 12 * base::kSecond;
    base::Nanoseconds backoff_min = 20 * base::kMillisecond;
    base::Nanoseconds backoff_max = 2 * base::kSecond;
  };

  class Observer {
   public:
    // Calls may be sent from now on.
    virtual void connected(Connection& connection) = 0;
    // An attempt failed (was_ready false), or the connection was lost and the calls in flight have had their replies. It
    // is tried again.
    virtual void disconnected(Connection& connection, bool was_ready, const std::string& why) = 0;

   protected:
    ~Observer() = default;
  };

  // Begins to connect.
  Connection(net::Loop& loop, Options options, Observer& observer);
  // Calls in flight get their replies (lost), the observer nothing.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  using Done = std::function<void(Reply)>;

  bool is_ready() const { return state_ == State::ready && !retiring_; }
  std::size_t in_flight() const { return in_flight_.size(); }
  // When the statement was sent that has waited longest for its answer; base::kForever if there is none.
  base::Nanoseconds oldest_sent() const { return in_flight_.empty() ? base::kForever : in_flight_.front().sent; }
  int server_process() const { return server_process_; }
  // The row that session_sql gave, while ready.
  const std::vector<std::string>& session() const { return session_; }
  // Whether an answer that was made on this timeline is of the newest history that any connection has seen.
  bool is_current(std::string_view timeline) const;

  // Only while ready. `done` runs later, once.
  void send(const Statement& statement, const Parameters& parameters, Done done);
  // The same for several statements, which are one transaction.
  void send(const std::vector<Step>& steps, Done done);
  // Takes no more calls, and connects again once those in flight have their replies: for sessions that work no longer.
  void retire() { retiring_ = true; }

 private:
  enum class State : std::uint8_t { waiting, connecting, preparing, ready };
  struct InFlight {
    Done done;
    base::Nanoseconds sent;
    Reply reply;
    bool has_result = false;
    // What the server will answer, in order: a late statement's preparation, by its name, or a statement's result.
    std::deque<std::optional<std::string>> expected = {};
  };

  void connect();
  void step_connect(PostgresPollingStatusType status);
  void prepare();
  void take_session(const PGresult* rows);
  void finish_preparing();
  void begin(Done done);
  bool add(const Statement& statement, const Parameters& parameters);
  void end(bool sent);
  bool prepare_late(const Statement& statement);
  void on_io(int status, int events);
  void watch(int events);
  void read_results();
  void take_result(Rows rows);
  void take_call_result(InFlight& call, Rows rows);
  void flush();
  void drop(const std::string& why);
  void check_stall();
  static void notice(void* self, const PGresult* result);

  const Options options_;
  Observer& observer_;
  Backoff backoff_;
  net::Timer connect_timer_;   // The next attempt, or the end of this one.
  net::Timer stall_timer_;
  net::DescriptorWatch watch_;
  State state_ = State::waiting;
  ConnectionPointer pq_;
  std::deque<InFlight> in_flight_;
  std::string prepare_error_;
  bool commit_in_doubt_ = false;
  bool retiring_ = false;
  int server_process_ = 0;
  std::vector<std::string> session_;
  std::set<std::string, std::less<>> late_;  // Late statements that this session has, or is about to have.
  std::uint64_t history_number_ = 0;
  base::Nanoseconds ready_since_ = 0;
};

}  // namespace freshet::storage::postgres
