// Errors and connection strings of libpq.
#include "storage/postgres/libpq.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace freshet::storage::postgres {
namespace {

struct Default {
  const char* keyword;
  const char* value;
};
// A peer that vanished is noticed by the kernel well within a minute, also while data is unacknowledged.
constexpr Default kDefaults[] = {{"keepalives_idle", "5"},   {"keepalives_interval", "2"}, {"keepalives_count", "3"},
                                 {"tcp_user_timeout", "10000"}, {"connect_timeout", "5"},     {"client_encoding", "UTF8"}};

bool has(const ConnectionParameters& parameters, std::string_view keyword) {
  return std::any_of(parameters.begin(), parameters.end(), [&](const auto& p) { return p.first == keyword; });
}

bool names_several_hosts(const ConnectionParameters& parameters) {
  return std::any_of(parameters.begin(), parameters.end(), [](const auto& p) {
    return (p.first == "host" || p.first == "hostaddr") && p.second.find(',') != std::string::npos;
  });
}

}  // namespace

bool succeeded(const PGresult* result) {
  const auto status = PQresultStatus(result);
  return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

std::string one_line(const char* text) {
  std::string line = text == nullptr ? "" : text;
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  std::replace_if(line.begin(), line.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return line;
}

namespace {

std::string field_of(const PGresult* result, int field) {
  const char* text = PQresultErrorField(result, field);
  return text == nullptr ? std::string() : one_line(text);
}

// A parameter that is no value of its type is named in the context, by "$" and its number in every language.
int parameter_in(std::string_view context) {
  const auto at = context.find('$');
  return at == context.npos ? 0 : std::atoi(std::string(context.substr(at + 1, 5)).c_str());
}

}  // namespace

SqlError sql_error_of(const PGresult* result) {
  SqlError error;
  error.state = field_of(result, PG_DIAG_SQLSTATE);
  error.detail = field_of(result, PG_DIAG_MESSAGE_DETAIL);
  error.hint = field_of(result, PG_DIAG_MESSAGE_HINT);
  error.column = field_of(result, PG_DIAG_COLUMN_NAME);
  error.constraint = field_of(result, PG_DIAG_CONSTRAINT_NAME);
  error.parameter = parameter_in(field_of(result, PG_DIAG_CONTEXT));
  const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  error.message = one_line(primary != nullptr ? primary : PQresultErrorMessage(result));
  const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  error.fatal = severity == nullptr || std::strcmp(severity, "ERROR") != 0;
  return error;
}

bool leaves_outcome_unknown(const SqlError& error) {
  return error.fatal || error.state.empty() || error.state == sqlstate::kCompletionUnknown || error.state.starts_with("08");
}

std::string message_of(PGconn* connection) { return one_line(PQerrorMessage(connection)); }

Result<ConnectionParameters> connection_parameters(const std::string& url, const std::string& application_name) {
  char* message = nullptr;
  PQconninfoOption* options = PQconninfoParse(url.c_str(), &message);
  if (options == nullptr) {
    auto error = Error::of(ErrorCode::invalid_argument, "the PostgreSQL connection string is wrong: " + one_line(message),
                           "Write it as postgres://user@host:port/database or as libpq's keywords.");
    PQfreemem(message);
    return error;
  }
  ConnectionParameters parameters;
  for (auto* option = options; option->keyword != nullptr; ++option) {
    if (option->val == nullptr || std::strcmp(option->keyword, "application_name") == 0) continue;
    parameters.emplace_back(option->keyword, option->val);
  }
  PQconninfoFree(options);
  for (const auto& [keyword, value] : kDefaults) {
    if (!has(parameters, keyword)) parameters.emplace_back(keyword, value);
  }
  if (names_several_hosts(parameters) && !has(parameters, "target_session_attrs")) {
    parameters.emplace_back("target_session_attrs", "primary");
  }
  parameters.emplace_back("application_name", application_name);
  return parameters;
}

ParameterArrays::ParameterArrays(const ConnectionParameters& parameters) {
  for (const auto& [keyword, value] : parameters) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
}

Error error_of(const SqlError& error, const char* doing) {
  const auto what = fmt::format("{} failed in PostgreSQL ({}): {}", doing, error.state, error.message);
  const auto is = [&](const char* state) { return error.state == state; };
  const auto class_is = [&](const char* prefix) { return error.state.starts_with(prefix); };
  if (is(sqlstate::kGuardMismatch)) return Error::of(ErrorCode::guard_mismatch, what);
  if (is(sqlstate::kWrongIsolation)) return Error::of(ErrorCode::internal, what);
  if (is(sqlstate::kOtherFleet)) {
    return Error::of(ErrorCode::invalid_argument, what,
                     "Give this deployment that fleet's name to join it, or a database of its own. If that fleet is gone "
                     "for good and none of its programs runs, an administrator may hand the database over: "
                     "UPDATE freshet.meta SET fleet = NULL.");
  }
  if (class_is("40") || is(sqlstate::kLockNotAvailable) || is(sqlstate::kQueryCanceled) || class_is("53")) {
    return Error::of(ErrorCode::busy, what, "It was rolled back; try again.");
  }
  if (is(sqlstate::kReadOnly)) {
    return Error::of(ErrorCode::unavailable, what, "Point Freshet at the primary: this server is read-only.");
  }
  if (is(sqlstate::kNoPrivilege)) {
    return Error::of(ErrorCode::unsupported, what, "Grant this role what the schema's SQL names for it.");
  }
  if (class_is("3F") || is("42P01") || is("42883")) {
    return Error::of(ErrorCode::unavailable, what, "Schema freshet is incomplete: run its SQL.");
  }
  if (class_is("22") || class_is("54")) return Error::of(ErrorCode::invalid_argument, what);
  if (class_is("08") || class_is("57") || class_is("58") || class_is("55") || is(sqlstate::kNoSuchStatement) ||
      is(sqlstate::kStalePlan)) {
    return Error::of(ErrorCode::unavailable, what);
  }
  return Error::of(ErrorCode::internal, what);
}

}  // namespace freshet::storage::postgres
