// The questions of `freshet doctor` about the server, its roles, slots and settings. Those about collections stand in
// doctor_collections.cc.
#include "storage/postgres/doctor/doctor.h"

#include <fmt/format.h>

#include <charconv>

#include "storage/postgres/catalog/commit_settings.h"
#include "storage/postgres/doctor/doctor_session.h"

namespace freshet::storage::postgres {
namespace {

Finding fine(std::string what) { return {Verdict::fine, std::move(what), {}, {}}; }

std::int64_t number(const std::string& text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

void examine_server(DoctorSession& session, std::vector<Finding>& findings) {
  const auto version = number(session.value("SELECT current_setting('server_version_num')"));
  const auto shown = session.value("SELECT current_setting('server_version')");
  if (version < kServerVersionMin) {
    findings.push_back({Verdict::broken, fmt::format("the server is PostgreSQL {}; Freshet follows 15 and later", shown), {},
                        {}});
  } else {
    findings.push_back(fine("the server is PostgreSQL " + shown));
  }
  if (session.value("SELECT pg_is_in_recovery()") == "t") {
    findings.push_back({Verdict::broken, "this server is a standby: what it shows lags behind the primary, and differs", {},
                        "point storage.url at the primary; with several hosts in it, Freshet looks for the primary"});
  }
  const auto encoding = session.value("SELECT current_setting('server_encoding')");
  if (encoding != "UTF8") {
    findings.push_back({Verdict::advice, fmt::format("the database's encoding is {}: its texts become UTF-8", encoding), {},
                        {}});
  }
}

void examine_wal(DoctorSession& session, std::vector<Finding>& findings) {
  const auto level = session.value("SELECT current_setting('wal_level')");
  if (level == "logical") {
    findings.push_back(fine("wal_level is logical"));
  } else {
    findings.push_back({Verdict::broken, fmt::format("wal_level is {}; the change stream needs logical", level),
                        {"ALTER SYSTEM SET wal_level = 'logical';"}, "as a superuser; then restart PostgreSQL"});
  }
  const auto keep = session.value("SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'");
  if (keep == "-1") {
    findings.push_back({Verdict::advice,
                        "max_slot_wal_keep_size is unlimited: if a follower dies for good, its slot retains log until the "
                        "disk is full (a running Freshet gives its slot up at stream.retained_wal_max)",
                        {"ALTER SYSTEM SET max_slot_wal_keep_size = '16GB';", "SELECT pg_reload_conf();"},
                        "as a superuser"});
  } else {
    findings.push_back(fine(fmt::format("max_slot_wal_keep_size is {} MB", keep)));
  }
}

void examine_limits(DoctorSession& session, const ObservedOptions& options, std::vector<Finding>& findings) {
  const auto slots = number(session.value("SELECT current_setting('max_replication_slots')"));
  const auto used = number(session.value("SELECT count(*) FROM pg_replication_slots"));
  const auto own = number(session.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", {options.slot}));
  if (used - own >= slots) {
    findings.push_back({Verdict::broken, fmt::format("all {} replication slots are in use", slots),
                        {fmt::format("ALTER SYSTEM SET max_replication_slots = {};", slots + 4)},
                        "as a superuser; then restart PostgreSQL, or drop a slot that nobody needs"});
  } else {
    findings.push_back(fine(fmt::format("{} of {} replication slots are free", slots - used, slots)));
  }
  const auto senders = number(session.value("SELECT current_setting('max_wal_senders')"));
  const auto sending = number(session.value("SELECT count(*) FROM pg_stat_replication"));
  if (sending >= senders && own == 0) {
    findings.push_back({Verdict::broken, fmt::format("all {} WAL senders are in use", senders),
                        {fmt::format("ALTER SYSTEM SET max_wal_senders = {};", senders + 4)},
                        "as a superuser; then restart PostgreSQL"});
  }
}

void examine_role(DoctorSession& session, std::vector<Finding>& findings) {
  const auto role = session.value("SELECT current_user");
  const auto may = session.value("SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user");
  if (may == "t") {
    findings.push_back(fine(fmt::format("role {} may replicate", role)));
  } else {
    findings.push_back({Verdict::broken, fmt::format("role {} may not replicate", role),
                        {fmt::format("ALTER ROLE {} REPLICATION;", session.value("SELECT quote_ident(current_user)"))},
                        "as a superuser; managed services have a role to grant instead (rds_replication, cloudsqlreplica)"});
  }
}

// A follower confirms only what has become visible, and a commit that waits for the follower never does.
void examine_standbys(DoctorSession& session, std::vector<Finding>& findings) {
  const auto names = session.value("SELECT current_setting('synchronous_standby_names')");
  if (names.find('*') == names.npos && names.find("freshet") == names.npos) return;
  findings.push_back({Verdict::broken,
                      fmt::format("synchronous_standby_names is {}: commits would wait for Freshet, which waits for them",
                                  names),
                      {"ALTER SYSTEM SET synchronous_standby_names = 'name, name';", "SELECT pg_reload_conf();"},
                      "as a superuser, with the names of your standbys"});
}

void examine_commit(DoctorSession& session, std::vector<Finding>& findings) {
  if (session.value(("SELECT " + asynchronous_commits_sql()).c_str()) == "f") {
    findings.push_back(fine("writers commit synchronously: probes ask for the flushed position"));
    return;
  }
  findings.push_back({Verdict::advice,
                      "synchronous_commit is off by default for the server, a database, a role or a subscription: probes "
                      "ask for the insert position, and every linearizable read that waits costs a small commit",
                      {}, "a session that sets it to off by itself, where the default is on, is outside the promise"});
}

void examine_slot(DoctorSession& session, const ObservedOptions& options, std::vector<Finding>& findings) {
  const auto found = session.row(
      "SELECT coalesce(plugin, ''), coalesce(wal_status, ''), active::text, coalesce(database, ''), "
      "coalesce(pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn)), '') "
      "FROM pg_replication_slots WHERE slot_name = $1", {options.slot});
  if (found.empty()) {
    if (options.slot_managed) return findings.push_back(fine("the replication slot will be made at start"));
    return findings.push_back({Verdict::broken, fmt::format("there is no replication slot \"{}\"", options.slot),
                               {fmt::format("SELECT pg_create_logical_replication_slot('{}', 'pgoutput');", options.slot)},
                               {}});
  }
  const bool usable = found[0] == "pgoutput" && found[1] != "lost" && found[3] == session.value("SELECT current_database()");
  if (!usable) {
    findings.push_back({options.slot_managed ? Verdict::advice : Verdict::broken,
                        fmt::format("replication slot \"{}\" cannot be used (plugin {}, status {}, database {})",
                                    options.slot, found[0], found[1], found[3]),
                        {fmt::format("SELECT pg_drop_replication_slot('{}');", options.slot)},
                        options.slot_managed ? "Freshet makes it anew at start" : "then create it again"});
    return;
  }
  findings.push_back(fine(fmt::format("replication slot \"{}\" exists, {}, and retains {} of log", options.slot,
                                      found[2] == "true" ? "in use" : "not in use", found[4])));
}

}  // namespace

std::vector<Finding> examine(const ObservedOptions& options) {
  std::vector<Finding> findings;
  auto opened = DoctorSession::open(options);
  if (!opened) {
    return {{Verdict::broken, opened.error().what, {}, "see that the server runs, and that storage.url names it"}};
  }
  auto& session = **opened;
  findings.push_back(fine("the database can be reached"));
  examine_server(session, findings);
  examine_wal(session, findings);
  examine_limits(session, options, findings);
  examine_role(session, findings);
  examine_standbys(session, findings);
  examine_commit(session, findings);
  examine_slot(session, options, findings);
  examine_collections(session, options, findings);
  examine_guarded(session, options, findings);
  if (const auto failure = session.failure(); !failure.empty()) {
    findings.push_back({Verdict::broken, "a question could not be asked: " + failure, {}, {}});
  }
  return findings;
}

}  // namespace freshet::storage::postgres
