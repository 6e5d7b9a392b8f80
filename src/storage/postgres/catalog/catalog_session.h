// A session for looking things up in the catalog, one statement after the other, on a thread that may wait. Another thread
// can end the waiting. May use libpq.
#pragma once

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "freshet/result.h"
#include "storage/postgres/libpq.h"

namespace freshet::storage::postgres {

// Ends waits, from any thread: what waits returns, and waits no more.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  void raise();
  bool is_raised() const { return raised_.load(std::memory_order_acquire); }
  int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
  std::atomic<bool> raised_{false};
};

class CatalogSession {
 public:
  struct Outcome {
    Rows rows;       // Null if it failed.
    SqlError error;  // state is empty if the connection is what failed.
    bool ok() const { return rows != nullptr; }
    // A cell of the first row; empty if there is no row.
    std::string value(int column = 0) const;
  };

  CatalogSession(ConnectionParameters parameters, Interrupt& interrupt, base::Nanoseconds connect_timeout,
                 base::Nanoseconds statement_timeout)
      : parameters_(std::move(parameters)), interrupt_(interrupt), connect_timeout_(connect_timeout),
        answer_timeout_(statement_timeout + statement_timeout / 4) {}

  // Connects if there is no connection, and runs `session_sql` once it is made.
  Result<void> ensure_connected(const std::string& session_sql);
  bool is_connected() const { return pq_ != nullptr; }
  void disconnect() { pq_.reset(); }

  // Texts both ways. A connection that failed is gone afterwards.
  Outcome run(const std::string& sql, const std::vector<std::string>& parameters = {});
  // The description of the statement: PQnparams, PQnfields and so on.
  Outcome describe(const std::string& sql);

 private:
  // False: interrupted, or the deadline passed.
  bool wait(short events, base::Nanoseconds deadline);
  Outcome collect();
  Outcome broken(std::string why);

  const ConnectionParameters parameters_;
  Interrupt& interrupt_;
  const base::Nanoseconds connect_timeout_;
  const base::Nanoseconds answer_timeout_;
  ConnectionPointer pq_;
};

}  // namespace freshet::storage::postgres
