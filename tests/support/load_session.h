// A client of PostgreSQL for loads that live through its crashes: connects again when it must, and tells whether a
// transaction that failed was rolled back, or may have been committed. One thread's own. May use libpq.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <vector>

namespace freshet::testing {

class LoadSession {
 public:
  explicit LoadSession(std::string url) : url_(std::move(url)) {}

  struct Outcome {
    bool ok = false;
    bool lost = false;          // No answer: a commit that was sent may have happened.
    std::string error;
    std::uint64_t rows_touched = 0;
    std::vector<std::vector<std::string>> rows;
  };
  // One statement, or several that are one transaction. Connects first if needed; false from connect() makes it lost, with
  // nothing sent.
  Outcome run(const std::string& sql);
  // Connects if it is not connected. False: the server is out of reach.
  bool connect();
  // Leaves a transaction that failed.
  void roll_back();

 private:
  struct Close {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  const std::string url_;
  std::unique_ptr<PGconn, Close> connection_;
};

}  // namespace freshet::testing
