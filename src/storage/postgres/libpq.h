// libpq's objects as C++ ones, and its errors as values. May use libpq.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "freshet/result.h"

namespace freshet::storage::postgres {

struct ConnectionDeleter {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using ConnectionPointer = std::unique_ptr<PGconn, ConnectionDeleter>;

struct RowsDeleter {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Rows = std::unique_ptr<PGresult, RowsDeleter>;

// What the server said. state: the SQLSTATE, empty if the error is libpq's own. fatal: the server ended the session, which
// proves nothing about the transaction that was committing.
struct SqlError {
  std::string state;
  std::string message;
  bool fatal = false;
  // What it names, if it names something.
  std::string detail = {};
  std::string hint = {};
  std::string column = {};
  std::string constraint = {};
  int parameter = 0;       // Of the statement, from 1.
};

// Whether the error leaves open what became of the transaction: fatal ones, libpq's own, and those that say so.
bool leaves_outcome_unknown(const SqlError& error);

bool succeeded(const PGresult* result);
SqlError sql_error_of(const PGresult* result);
// libpq's message for the connection, as one line.
std::string message_of(PGconn* connection);
// The text without line breaks at its end, those inside replaced by spaces.
std::string one_line(const char* text);

// Connection parameters, as PQconnectStartParams takes them.
using ConnectionParameters = std::vector<std::pair<std::string, std::string>>;

// Takes a connection string or URL apart, adds what Freshet wants where the string is silent (keepalives, the search for a
// primary among several hosts), and sets the application's name.
Result<ConnectionParameters> connection_parameters(const std::string& url, const std::string& application_name);

// Keyword and value arrays over `parameters`, which must outlive them.
struct ParameterArrays {
  explicit ParameterArrays(const ConnectionParameters& parameters);
  std::vector<const char*> keywords;
  std::vector<const char*> values;
};

// What an error means for a call whose transaction the server has rolled back.
Error error_of(const SqlError& error, const char* doing);

// The SQLSTATEs of the functions of schema freshet, and PostgreSQL's that decide something here.
namespace sqlstate {
inline constexpr const char* kGuardMismatch = "FR001";
inline constexpr const char* kWrongIsolation = "FR002";
inline constexpr const char* kOtherFleet = "FR003";
inline constexpr const char* kNothingDone = "FR004";
inline constexpr const char* kSealed = "FR005";
inline constexpr const char* kNotCanonical = "FR006";
inline constexpr const char* kCompletionUnknown = "40003";
inline constexpr const char* kSerializationFailure = "40001";
inline constexpr const char* kDeadlock = "40P01";
inline constexpr const char* kLockNotAvailable = "55P03";
inline constexpr const char* kQueryCanceled = "57014";
inline constexpr const char* kReadOnly = "25006";
inline constexpr const char* kNoSuchStatement = "26000";
inline constexpr const char* kStalePlan = "0A000";
inline constexpr const char* kNoPrivilege = "42501";
}  // namespace sqlstate

}  // namespace freshet::storage::postgres
