// Whether writers' commits wait for the flush by default. If some do not, probes ask for the insert position. Pure.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace freshet::storage::postgres {

// What `synchronous_commit` may be without a commit becoming visible before it is flushed; else it is off.
inline constexpr std::string_view kWaitingCommits = "('on', 'local', 'remote_write', 'remote_apply', 'true', 'yes', '1')";

// Boolean: a default of this database is off. Another role's default may be off where this role's own hides the server's:
// then it counts as off. Subscriptions commit by a setting of their own, which is off unless they say otherwise.
inline std::string asynchronous_commits_sql() {
  return fmt::format(R"((SELECT s.setting = 'off'
  OR s.source NOT IN ('default', 'configuration file', 'command line', 'environment variable')
  OR EXISTS (SELECT FROM pg_db_role_setting r, unnest(r.setconfig) c WHERE r.setdatabase IN (0, o.oid)
    AND lower(c) LIKE 'synchronous_commit=%' AND split_part(lower(c), '=', 2) NOT IN {0})
  OR EXISTS (SELECT FROM pg_subscription b WHERE b.subdbid = o.oid AND lower(b.subsynccommit) NOT IN {0})
FROM pg_settings s JOIN pg_database o ON o.datname = current_database() WHERE s.name = 'synchronous_commit'))",
                     kWaitingCommits);
}

}  // namespace freshet::storage::postgres
