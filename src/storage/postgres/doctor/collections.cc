// The questions of `freshet doctor` about collections: what each needs of its table, and the publication.
#include <fmt/format.h>

#include <algorithm>

#include "storage/postgres/catalog/dark_partition.h"
#include "storage/postgres/doctor/doctor.h"
#include "storage/postgres/doctor/doctor_session.h"

namespace freshet::storage::postgres {
namespace {

struct Table {
  std::string oid;
  std::string name;      // Quoted and qualified.
  std::string kind;      // pg_class.relkind.
  std::string identity;  // pg_class.relreplident.
  bool row_security = false;
  bool owned = false;    // By this role, or one that it is a member of.
  bool readable = false;
  bool published = false;
  bool has_key = false;
  std::string identity_covers_key;  // "t", "f".
  std::string dark_partition;       // See dark_partition.h.
};

// To be formatted with kDarkPartitionSql.
constexpr const char* kTable =
    "SELECT c.oid, format('%I.%I', n.nspname, c.relname), c.relkind, c.relreplident, "
    "  c.relrowsecurity AND NOT (SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user), "
    "  pg_has_role(c.relowner, 'USAGE'), has_table_privilege(c.oid, 'SELECT'), "
    "  EXISTS (SELECT 1 FROM pg_publication_tables p WHERE p.pubname = $2 AND p.schemaname = n.nspname "
    "          AND p.tablename = c.relname), "
    "  EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary), "
    "  c.relreplident IN ('d', 'f') OR coalesce((SELECT i.indkey::int2[] @> k.indkey::int2[] "
    "    FROM pg_index i, pg_index k WHERE i.indrelid = c.oid AND i.indisreplident "
    "    AND k.indrelid = c.oid AND k.indisprimary), false), {} "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)";

std::string subject(const CollectionSpec& spec) { return fmt::format("collection \"{}\": ", spec.name); }

Table table_of(const DoctorSession::Row& row) {
  const auto yes = [&](std::size_t column) { return row[column] == "t"; };
  return {row[0], row[1], row[2], row[3], yes(4), yes(5), yes(6), yes(7), yes(8), row[9], row[10]};
}

// Where the SQL in a remedy begins.
constexpr std::string_view kRun = "un: ";

// The end of the statement that `text` begins with, its semicolon included; 0 if there is none.
std::size_t end_of_statement(std::string_view text) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (text[i] == ';' && !quoted) return i + 1;
  }
  return 0;
}

// The statements of the remedy by themselves, and its other words as the note.
Finding finding_of(const Error& error) {
  Finding finding{Verdict::broken, error.what, {}, error.remedy};
  const auto start = error.remedy.find(kRun);
  if (start == std::string::npos) return finding;
  std::string_view rest = std::string_view(error.remedy).substr(start + kRun.size());
  while (const auto end = end_of_statement(rest)) {
    finding.statements.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(rest.find_first_not_of(' ', end), rest.size()));
  }
  // "give it a primary key, or run: …"
  finding.note = start > 1 ? error.remedy.substr(0, start) + "un this" : std::string();
  if (!rest.empty()) finding.note += (finding.note.empty() ? "" : ", ") + std::string(rest);
  return finding;
}

void examine_kind(const CollectionSpec& spec, const Table& table, std::vector<Finding>& findings) {
  if (table.kind != "r" && table.kind != "p") {
    findings.push_back({Verdict::broken, subject(spec) + table.name + " is no table: views, foreign tables and materialized "
                        "views have no change stream", {}, "name the table, or write a query over it"});
    return;
  }
  if (!table.dark_partition.empty()) {
    auto fault = fault_of_dark_partition(table.name, table.dark_partition);
    fault.what = subject(spec) + fault.what;
    findings.push_back(finding_of(fault));
  }
  if (!table.has_key) {
    findings.push_back({Verdict::broken, subject(spec) + table.name + " has no primary key",
                        {fmt::format("ALTER TABLE {} ADD PRIMARY KEY (…);", table.name)}, {}});
  } else if (table.identity_covers_key != "t") {
    findings.push_back({Verdict::broken, subject(spec) + table.name + "'s replica identity does not contain its primary key",
                        {fmt::format("ALTER TABLE {} REPLICA IDENTITY DEFAULT;", table.name)}, "as the table's owner"});
  }
  if (table.row_security) {
    findings.push_back({Verdict::broken, subject(spec) + table.name + " has row-level security: different readers would see "
                        "different rows",
                        {"ALTER ROLE current_user BYPASSRLS;"},
                        "as a superuser, if every client of Freshet may see every row"});
  }
}

void examine_access(const CollectionSpec& spec, const Table& table, const ObservedOptions& options, const std::string& role,
                    std::vector<Finding>& findings) {
  if (!table.readable) {
    findings.push_back({Verdict::broken, fmt::format("{}role {} may not read {}", subject(spec), role, table.name),
                        {fmt::format("GRANT SELECT ON {} TO {};", table.name, role)}, "as the table's owner"});
  }
  if (table.published) return;
  const auto statement = fmt::format("ALTER PUBLICATION {} ADD TABLE {};", options.publication, table.name);
  if (!options.publication_managed) {
    findings.push_back({Verdict::broken, fmt::format("{}{} is not in publication {}", subject(spec), table.name,
                        options.publication), {statement}, "as the owner of both"});
  } else if (!table.owned) {
    findings.push_back({Verdict::broken, fmt::format("{}role {} cannot publish {}: it does not own it", subject(spec), role,
                        table.name),
                        {fmt::format("CREATE PUBLICATION {} WITH (publish_via_partition_root = true);", options.publication),
                         statement}, "as the owner of the table; leave the first out if the publication exists"});
  } else {
    findings.push_back({Verdict::fine, fmt::format("{}{} will be added to publication {} at start", subject(spec),
                        table.name, options.publication), {}, {}});
  }
}

DoctorSession::Row look_up(DoctorSession& session, const std::string& name, const ObservedOptions& options) {
  return session.row(fmt::format(kTable, kDarkPartitionSql).c_str(), {name, options.publication});
}

void examine_query(DoctorSession& session, const CollectionSpec& spec, const ObservedOptions& options,
                   const std::string& role, std::vector<Finding>& findings) {
  const auto query = session.analyse(spec);
  if (!query) return findings.push_back(finding_of(query.error()));
  std::string names;
  for (const auto& [number, name] : query->tables) {
    names += (names.empty() ? "" : ", ") + name;
    const auto row = look_up(session, name, options);
    if (!row.empty()) examine_access(spec, table_of(row), options, role, findings);
  }
  const auto how = names.empty()   ? std::string("no change of a table touches it")
                   : query->exact() ? fmt::format("rows of {} by {}", names, fmt::join(query->exact_columns, ", "))
                                    : fmt::format("any change of {} touches every key ({})", names, query->why_not_exact);
  findings.push_back({Verdict::fine, fmt::format("{}its result can be followed: {}", subject(spec), how), {}, {}});
}

// Queries are looked into as temporary functions.
bool may_analyse(DoctorSession& session, const std::string& role, std::vector<Finding>& findings) {
  const auto row = session.row("SELECT has_database_privilege(current_database(), 'TEMPORARY'), "
                               "quote_ident(current_database())");
  if (row.empty() || row[0] == "t") return true;
  findings.push_back({Verdict::broken, fmt::format("role {} may make no temporary functions, by which queries are looked "
                      "into", role), {fmt::format("GRANT TEMPORARY ON DATABASE {} TO {};", row[1], role)},
                      "as the database's owner"});
  return false;
}

}  // namespace

// Each is looked up under the operator's own search path, the rest under the server's.
void examine_guarded(DoctorSession& session, const ObservedOptions& options, std::vector<Finding>& findings) {
  const auto path = session.value("SELECT current_setting('search_path')");
  for (const auto& spec : options.guarded) {
    session.value("SELECT set_config('search_path', $1, false)", {path});
    const auto examined = session.examine_guarded(spec);
    const auto fault = examined ? examined->fault : examined.error();
    if (fault) {
      auto finding = finding_of(*fault);
      finding.what = subject(spec) + finding.what;
      findings.push_back(std::move(finding));
    } else if (examined->sealed) {
      findings.push_back({Verdict::fine, subject(spec) + examined->written_as, {}, {}});
    } else {
      std::vector<std::string> statements;
      for (const auto& statement : examined->seal_statements) statements.push_back(statement + ";");
      findings.push_back({Verdict::advice,
                          fmt::format("{}{}: its table is not yet {}", subject(spec), examined->written_as,
                                      spec.exclusive_writer ? "without a seal" : "sealed"),
                          std::move(statements), "as the table's owner, once schema freshet is there; `freshet serve` does "
                          "it at its start if its role owns the table"});
    }
  }
}

void examine_collections(DoctorSession& session, const ObservedOptions& options, std::vector<Finding>& findings) {
  const auto role = session.value("SELECT quote_ident(current_user)");
  const bool any_query = std::any_of(options.specs.begin(), options.specs.end(), [](const auto& s) { return s.is_query(); });
  const bool queries_too = any_query && may_analyse(session, role, findings);
  for (const auto& spec : options.specs) {
    if (spec.is_query()) {
      if (queries_too) examine_query(session, spec, options, role, findings);
      continue;
    }
    const auto row = look_up(session, spec.table, options);
    if (row.empty()) {
      const auto path = session.value("SELECT current_setting('search_path')");
      findings.push_back({Verdict::broken, fmt::format("{}there is no table {} (search_path is {})", subject(spec),
                          spec.table, path), {}, "name it with its schema"});
      continue;
    }
    const auto before = findings.size();
    const auto table = table_of(row);
    examine_kind(spec, table, findings);
    examine_access(spec, table, options, role, findings);
    if (findings.size() != before) continue;
    findings.push_back({Verdict::fine, subject(spec) + table.name + " can be followed", {}, {}});
  }
}

}  // namespace freshet::storage::postgres
