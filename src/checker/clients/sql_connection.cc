// SQL by libpq.
#include "checker/clients/sql_connection.h"

#include <libpq-fe.h>

#include <array>
#include <charconv>
#include <vector>

namespace freshet::checker {
namespace {

// Server and network may not hold a client for longer. A statement may wait for rows that others have locked.
constexpr const char* kConnectSeconds = "2";
constexpr const char* kSilenceMs = "5000";
constexpr const char* kStatementLimit = "-c statement_timeout=5000";

std::string first_line(const char* text) {
  const std::string_view whole(text);
  return std::string(whole.substr(0, whole.find('\n')));
}

}  // namespace

void SqlAnswer::Clear::operator()(pg_result* result) const { PQclear(result); }

bool SqlAnswer::ok() const {
  const ExecStatusType status = PQresultStatus(result_.get());
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

std::string SqlAnswer::state() const {
  const char* state = PQresultErrorField(result_.get(), PG_DIAG_SQLSTATE);
  return state != nullptr ? state : "";
}

std::string SqlAnswer::message() const { return first_line(PQresultErrorMessage(result_.get())); }

std::string_view SqlAnswer::tag() const { return PQcmdStatus(result_.get()); }

int SqlAnswer::affected() const {
  const std::string_view text = PQcmdTuples(result_.get());
  int count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return count;
}

int SqlAnswer::rows() const { return PQntuples(result_.get()); }

std::optional<std::string_view> SqlAnswer::field(int row, int column) const {
  if (PQgetisnull(result_.get(), row, column) != 0) return std::nullopt;
  return std::string_view(PQgetvalue(result_.get(), row, column),
                          static_cast<std::size_t>(PQgetlength(result_.get(), row, column)));
}

SqlConnection::SqlConnection(std::string url) : url_(std::move(url)) {}

SqlConnection::~SqlConnection() { close(); }

bool SqlConnection::is_open() const { return connection_ != nullptr && PQstatus(connection_) == CONNECTION_OK; }

void SqlConnection::close() {
  PQfinish(connection_);
  connection_ = nullptr;
}

Result<void> SqlConnection::open() {
  if (is_open()) return {};
  close();
  const std::array<const char*, 6> names{"connect_timeout", "tcp_user_timeout", "application_name",
                                         "options",         "dbname",           nullptr};
  const std::array<const char*, 6> values{kConnectSeconds, kSilenceMs, "freshet check", kStatementLimit, url_.c_str(),
                                          nullptr};
  connection_ = PQconnectdbParams(names.data(), values.data(), 1);
  // What a server says while it goes away is nobody's answer.
  if (connection_ != nullptr) PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);
  if (is_open()) return {};
  return Error::of(ErrorCode::unavailable, "cannot connect by SQL: " + first_line(PQerrorMessage(connection_)),
                   "see that --via-sql names the database behind the target");
}

SqlAnswer SqlConnection::run(const std::string& sql, std::initializer_list<std::string_view> parameters) {
  return execute(sql, parameters, 0);
}

SqlAnswer SqlConnection::run_binary(const std::string& sql, std::initializer_list<std::string_view> parameters) {
  return execute(sql, parameters, 1);
}

SqlAnswer SqlConnection::execute(const std::string& sql, std::initializer_list<std::string_view> parameters, int format) {
  const std::vector<std::string> texts(parameters.begin(), parameters.end());  // Each ends with the zero that libpq wants.
  std::vector<const char*> values;
  std::vector<int> lengths;
  const std::vector<int> formats(texts.size(), format);
  for (const std::string& text : texts) {
    values.push_back(text.c_str());
    lengths.push_back(static_cast<int>(text.size()));
  }
  return SqlAnswer(PQexecParams(connection_, sql.c_str(), static_cast<int>(texts.size()), nullptr, values.data(),
                                lengths.data(), formats.data(), format));
}

void SqlConnection::send_and_close(const std::string& sql) {
  if (PQsendQuery(connection_, sql.c_str()) == 1) PQflush(connection_);
  close();
}

Result<void> refuse_standby(SqlConnection& connection) {
  const SqlAnswer recovery = connection.run("SELECT pg_is_in_recovery()");
  if (!recovery.ok() || recovery.rows() != 1 || recovery.field(0, 0) != "t") return {};
  return Error::of(ErrorCode::invalid_argument, "--via-sql names a standby, whose reads lag", "name the primary");
}

}  // namespace freshet::checker
