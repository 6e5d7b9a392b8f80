// A connection to PostgreSQL for the load's SQL clients: blocking, one thread each. Server and network may hold a call for a
// named time, and no longer. May use base and libpq.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "freshet/result.h"

struct pg_conn;
struct pg_result;

namespace freshet::checker {

// What a statement was answered.
class SqlAnswer {
 public:
  explicit SqlAnswer(pg_result* result) : result_(result) {}

  bool ok() const;
  std::string state() const;    // The SQLSTATE of an error; empty: the connection broke.
  std::string message() const;  // Of an error: its first line.
  std::string_view tag() const;  // "COMMIT", "UPDATE 1".
  int affected() const;
  int rows() const;
  std::optional<std::string_view> field(int row, int column) const;  // Nothing: NULL.

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

class SqlConnection {
 public:
  explicit SqlConnection(std::string url);
  ~SqlConnection();
  SqlConnection(const SqlConnection&) = delete;
  SqlConnection& operator=(const SqlConnection&) = delete;

  // Opens it if it is not open; an error says why the server cannot be reached.
  Result<void> open();
  bool is_open() const;
  // False until open() was called, and after close().
  bool was_opened() const { return connection_ != nullptr; }
  void close();

  SqlAnswer run(const std::string& sql, std::initializer_list<std::string_view> parameters = {});
  // Parameters and fields as PostgreSQL's binary formats.
  SqlAnswer run_binary(const std::string& sql, std::initializer_list<std::string_view> parameters);
  // Sends a statement and closes the connection without waiting for its answer.
  void send_and_close(const std::string& sql);

 private:
  SqlAnswer execute(const std::string& sql, std::initializer_list<std::string_view> parameters, int format);

  const std::string url_;
  pg_conn* connection_ = nullptr;
};

// An error if it is a standby, whose reads lag.
Result<void> refuse_standby(SqlConnection& connection);

}  // namespace freshet::checker
