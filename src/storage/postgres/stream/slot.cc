// Slots by name: quoting, the decision what to do with one, and dropping it at the end.
#include "storage/postgres/stream/slot.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cstdlib>

#include "storage/postgres/output_settings.h"

namespace freshet::storage::postgres {
namespace {

constexpr const char* kNoSuchObject = "42704";
constexpr int kPollMsMax = 100;

std::string quoted(std::string_view text, char quote) {
  std::string result(1, quote);
  for (const char c : text) result.append(c == quote ? 2 : 1, c);
  return result + quote;
}
std::string literal(std::string_view text) { return quoted(text, '\''); }
std::string name(std::string_view text) { return quoted(text, '"'); }

bool true_at(const PGresult* rows, int column) { return *PQgetvalue(rows, 0, column) == 't'; }

// A blocking session's small needs: until the socket is ready, or the deadline.
bool wait_for(PGconn* connection, bool readable, base::Nanoseconds deadline) {
  const auto left = std::max<base::Nanoseconds>(0, deadline - base::now());
  pollfd descriptor{PQsocket(connection), static_cast<short>(readable ? POLLIN : POLLOUT), 0};
  poll(&descriptor, 1, static_cast<int>(std::min<base::Nanoseconds>(left / base::kMillisecond + 1, kPollMsMax)));
  return left > 0;
}

bool connect(PGconn* connection, base::Nanoseconds deadline) {
  auto status = PGRES_POLLING_WRITING;
  while (status == PGRES_POLLING_WRITING || status == PGRES_POLLING_READING) {
    if (!wait_for(connection, status == PGRES_POLLING_READING, deadline)) return false;
    status = PQconnectPoll(connection);
  }
  return status == PGRES_POLLING_OK;
}

// The command's result; null if it did not come in time.
Rows run(PGconn* connection, const std::string& sql, base::Nanoseconds deadline) {
  Rows last;
  if (PQsendQuery(connection, sql.c_str()) != 1) return last;
  for (;;) {
    while (PQisBusy(connection) == 1) {
      if (!wait_for(connection, true, deadline) || PQconsumeInput(connection) != 1) return nullptr;
    }
    Rows rows(PQgetResult(connection));
    if (!rows) return last;
    last = std::move(rows);
  }
}

SlotStep fail(std::string why) { return {SlotStep::Kind::fail, std::move(why)}; }

SlotStep make_again(const StreamOptions& options, std::string why) {
  if (options.managed) return {SlotStep::Kind::drop, std::move(why)};
  return fail(fmt::format("{}. Freshet does not manage it: run SELECT pg_drop_replication_slot({}), then {}", why,
                          literal(options.slot),
                          fmt::format("SELECT pg_create_logical_replication_slot({}, 'pgoutput')", literal(options.slot))));
}

}  // namespace

// On a standby there is no insert position; CASE keeps the function from being called.
std::string facts_sql(const StreamOptions& options) {
  return fmt::format(
      "SELECT pg_catalog.pg_is_in_recovery(), {0}, "
      "(SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'), "
      "EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = {1}), "
      "s.slot_name IS NOT NULL, s.plugin = 'pgoutput' AND s.database = pg_catalog.current_database() AND NOT s.temporary, "
      "s.restart_lsn IS NULL OR s.wal_status = 'lost', COALESCE(s.active_pid, 0), s.confirmed_flush_lsn, "
      "CASE WHEN NOT pg_catalog.pg_is_in_recovery() "
      "THEN pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), s.restart_lsn) END, {3}, "
      "CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.substr(pg_catalog.pg_walfile_name("
      "pg_catalog.pg_current_wal_insert_lsn()), 1, 8) ELSE '' END "
      "FROM (VALUES (1)) one LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name = {2}",
      kStartedAtSql, literal(options.publication), literal(options.slot), kMemorySinceSql);
}

Result<ServerFacts> read_facts(const PGresult* rows) {
  if (PQntuples(rows) != 1 || PQnfields(rows) != 12) {
    return Error::of(ErrorCode::internal, "the server's answer about its replication slots has another form");
  }
  ServerFacts facts;
  facts.standby = true_at(rows, 0);
  facts.started_at = PQgetvalue(rows, 0, 1);
  facts.sender_timeout = std::atoll(PQgetvalue(rows, 0, 2)) * base::kMillisecond;
  facts.publication_exists = true_at(rows, 3);
  facts.slot_exists = true_at(rows, 4);
  facts.slot_usable = true_at(rows, 5);
  facts.slot_lost = true_at(rows, 6);
  facts.slot_process = std::atoi(PQgetvalue(rows, 0, 7));
  if (const std::string_view confirmed = PQgetvalue(rows, 0, 8); !confirmed.empty()) {
    const auto position = parse_lsn(confirmed);
    if (!position) return position.error();
    facts.slot_confirmed = *position;
  }
  facts.slot_lag_bytes = std::strtoull(PQgetvalue(rows, 0, 9), nullptr, 10);
  facts.memory_since = PQgetvalue(rows, 0, 10);
  facts.timeline = PQgetvalue(rows, 0, 11);
  return facts;
}

SlotStep next_step(const StreamOptions& options, const ServerFacts& facts, const SlotMemory& memory) {
  if (facts.standby) return fail("this server is a standby: point Freshet at the primary");
  if (!facts.publication_exists) {
    return fail(fmt::format("there is no publication {0}: run CREATE PUBLICATION {0} FOR TABLE …",
                            name(options.publication)));
  }
  if (!facts.slot_exists) {
    if (options.managed) return {SlotStep::Kind::create, {}};
    return fail(fmt::format("there is no replication slot {}, and Freshet does not manage it: run SELECT "
                            "pg_create_logical_replication_slot({}, 'pgoutput')", options.slot, literal(options.slot)));
  }
  if (!facts.slot_usable) {
    return fail(fmt::format("the replication slot {} is no permanent one for pgoutput in this database: give Freshet "
                            "another name", options.slot));
  }
  if (facts.slot_process != 0) {
    if (facts.slot_process == memory.last_process) return {SlotStep::Kind::end_old_session, {}};
    return fail(fmt::format("the replication slot {} is read by the server process {}: each Freshet needs a slot of its own",
                            options.slot, facts.slot_process));
  }
  if (facts.slot_lost) {
    return make_again(options, fmt::format("the replication slot {} is invalid: the server has removed log that it needed",
                                           options.slot));
  }
  if (memory.give_up) return make_again(options, fmt::format("the replication slot {} was given up", options.slot));
  if (options.managed && !memory.started && facts.slot_lag_bytes > options.reuse_lag_bytes_max) {
    return make_again(options, fmt::format("the replication slot {} of before retains {} bytes of log, more than the {} up "
                                           "to which it is used again", options.slot, facts.slot_lag_bytes,
                                           options.reuse_lag_bytes_max));
  }
  return {SlotStep::Kind::start, {}};
}

std::string create_slot_command(const StreamOptions& options) {
  return fmt::format("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput NOEXPORT_SNAPSHOT", name(options.slot));
}

std::string drop_slot_command(const StreamOptions& options, bool wait) {
  return fmt::format("DROP_REPLICATION_SLOT {}{}", name(options.slot), wait ? " WAIT" : "");
}

std::string start_command(const StreamOptions& options, Lsn from) {
  return fmt::format("START_REPLICATION SLOT {} LOGICAL {} (proto_version '1', publication_names {}{})", name(options.slot),
                     text_of_lsn(from), literal(name(options.publication)), options.messages ? ", messages 'true'" : "");
}

std::string end_session_sql(const StreamOptions& options, int process) {
  return fmt::format("SELECT pg_catalog.pg_terminate_backend(active_pid) FROM pg_catalog.pg_replication_slots "
                     "WHERE slot_name = {} AND active_pid = {}", literal(options.slot), process);
}

Result<void> drop_slot(const ConnectionParameters& parameters, const StreamOptions& options, int own_process,
                       base::Nanoseconds deadline) {
  const auto failed = [&](const std::string& why) {
    return Error::of(ErrorCode::unavailable, fmt::format("the replication slot {} is still there: {}", options.slot, why),
                     fmt::format("Run SELECT pg_drop_replication_slot({}), or it retains log for ever.",
                                 literal(options.slot)));
  };
  const ParameterArrays arrays(parameters);
  const ConnectionPointer connection(PQconnectStartParams(arrays.keywords.data(), arrays.values.data(), 0));
  if (!connection || PQstatus(connection.get()) == CONNECTION_BAD || !connect(connection.get(), deadline)) {
    return failed(connection ? message_of(connection.get()) : "out of memory");
  }
  if (own_process != 0) run(connection.get(), end_session_sql(options, own_process), deadline);
  const auto dropped = run(connection.get(), drop_slot_command(options, true), deadline);
  if (!dropped) return failed("the server did not answer in time");
  if (succeeded(dropped.get())) return {};
  const auto error = sql_error_of(dropped.get());
  if (error.state == kNoSuchObject) return {};
  return failed(error.message);
}

}  // namespace freshet::storage::postgres
