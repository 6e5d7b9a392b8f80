// The server cannot change under a session: its identity is read once, when the session begins.
#include "storage/postgres/observed/session_lane.h"

#include <fmt/format.h>

#include <utility>

#include "storage/postgres/output_settings.h"

namespace freshet::storage::postgres {
namespace {

enum SessionColumn : int { kProcess, kStandby, kTimeline, kSystem, kStartedAt };

Identity identity_of(const Connection& connection) {
  const auto& session = connection.session();
  return {session[kSystem], session[kTimeline], session[kStartedAt]};
}

}  // namespace

void SessionLane::dispatch(Connection& connection) {
  const auto call = std::static_pointer_cast<SessionCall>(take());
  call->connection = &connection;
  connection.send(*call->statement, call->parameters, [this, call, &connection](Reply reply) {
    if (reply.error) {
      refuse(call, connection, *reply.error);
    } else if (!reply.rows) {
      lose(call, reply.lost);
    } else if (!connection.is_current(connection.session()[kTimeline])) {
      distrust(call, connection);
    } else {
      call->identity = identity_of(connection);
      call->process = connection.session()[kProcess];
      finish(*call, {std::move(reply.rows), {}, {}});
    }
    pump();
  });
}

std::string session_sql(const std::string& settings) {
  return fmt::format(
      "SELECT pg_catalog.pg_backend_pid()::pg_catalog.text, pg_catalog.pg_is_in_recovery(), CASE WHEN "
      "pg_catalog.pg_is_in_recovery() THEN '' ELSE pg_catalog.substr(pg_catalog.pg_walfile_name("
      "pg_catalog.pg_current_wal_insert_lsn()), 1, 8) END, c.system_identifier::pg_catalog.text, {}, {} "
      "FROM pg_catalog.pg_control_system() c",
      kStartedAtSql, settings);
}

}  // namespace freshet::storage::postgres
