// Running a load's statements. See load_session.h.
#include "load_session.h"

#include <cstdlib>

namespace freshet::testing {

bool LoadSession::connect() {
  if (connection_ && PQstatus(connection_.get()) == CONNECTION_OK) return true;
  const char* names[] = {"dbname", "connect_timeout", "tcp_user_timeout", "application_name", nullptr};
  const char* values[] = {url_.c_str(), "2", "5000", "load", nullptr};
  connection_.reset(PQconnectdbParams(names, values, 1));
  if (PQstatus(connection_.get()) == CONNECTION_OK) return true;
  connection_.reset();
  return false;
}

LoadSession::Outcome LoadSession::run(const std::string& sql) {
  Outcome outcome;
  if (!connect()) {
    outcome.error = "not connected";
    return outcome;
  }
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection_.get(), sql.c_str()), &PQclear);
  const auto status = PQresultStatus(result.get());
  outcome.ok = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
  if (!outcome.ok) {
    const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
    const std::string code = state == nullptr ? "" : state;
    // Class 57P is the server going down, which says nothing about a commit under way.
    outcome.lost = code.empty() || code.starts_with("57P") || code == "40003";
    outcome.error = code + " " + PQerrorMessage(connection_.get());
    if (outcome.lost) connection_.reset();
    return outcome;
  }
  outcome.rows_touched = std::strtoull(PQcmdTuples(result.get()), nullptr, 10);
  for (int i = 0; i < PQntuples(result.get()); ++i) {
    auto& row = outcome.rows.emplace_back();
    for (int column = 0; column < PQnfields(result.get()); ++column) row.emplace_back(PQgetvalue(result.get(), i, column));
  }
  return outcome;
}

void LoadSession::roll_back() {
  if (connection_ && PQtransactionStatus(connection_.get()) != PQTRANS_IDLE) run("ROLLBACK");
}

}  // namespace freshet::testing
