// Asking, one question at a time. See storage/postgres/doctor/doctor_session.h.
#include "storage/postgres/doctor/doctor_session.h"

namespace freshet::storage::postgres {

Result<std::unique_ptr<DoctorSession>> DoctorSession::open(const ObservedOptions& options) {
  auto parameters = connection_parameters(options.url, "freshet doctor");
  if (!parameters) return std::move(parameters).error();
  std::unique_ptr<DoctorSession> session(new DoctorSession(*std::move(parameters), options));
  if (const auto connected = session->session_.ensure_connected("SELECT 1"); !connected) {
    return Error::of(ErrorCode::unavailable, "the database cannot be reached: " + connected.error().what);
  }
  return session;
}

std::vector<DoctorSession::Row> DoctorSession::rows(const char* sql, const std::vector<std::string>& parameters) {
  const auto outcome = session_.run(sql, parameters);
  std::vector<Row> found;
  if (!outcome.ok()) {
    if (failure_.empty()) failure_ = outcome.error.message;
    return found;
  }
  const auto* const result = outcome.rows.get();
  for (int i = 0; i < PQntuples(result); ++i) {
    Row row;
    for (int column = 0; column < PQnfields(result); ++column) row.emplace_back(PQgetvalue(result, i, column));
    found.push_back(std::move(row));
  }
  return found;
}

DoctorSession::Row DoctorSession::row(const char* sql, const std::vector<std::string>& parameters) {
  auto all = rows(sql, parameters);
  return all.empty() ? Row() : std::move(all.front());
}

std::string DoctorSession::value(const char* sql, const std::vector<std::string>& parameters) {
  const auto first = row(sql, parameters);
  return first.empty() ? std::string() : first.front();
}

}  // namespace freshet::storage::postgres
