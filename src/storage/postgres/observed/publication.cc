// Two nodes may do this at once: what the other one made meanwhile is as good.
#include "storage/postgres/observed/publication.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/log.h"

namespace freshet::storage::postgres {
namespace {

constexpr const char* kDuplicateObject = "42710";
constexpr const char* kPublicationSql = R"(
SELECT p.oid, p.puballtables, p.pubviaroot, concat_ws(', ', CASE WHEN NOT p.pubinsert THEN 'insert' END,
  CASE WHEN NOT p.pubupdate THEN 'update' END, CASE WHEN NOT p.pubdelete THEN 'delete' END,
  CASE WHEN NOT p.pubtruncate THEN 'truncate' END) FROM pg_publication p WHERE p.pubname = $1)";
constexpr const char* kTablesSql = R"(
SELECT c.oid, coalesce(p.rowfilter, ''), a.name FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname = p.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename CROSS JOIN unnest(p.attnames) a(name)
WHERE p.pubname = $1 AND c.oid = ANY($2::oid[]))";

// ONLY: a table that inherits is named by itself. Of partitioned tables the root is published.
std::string published_name(const TableFacts& table) { return (table.is_partitioned() ? "" : "ONLY ") + table.sql; }

std::string joined(const std::vector<const TableFacts*>& tables) {
  std::string text;
  for (const auto* table : tables) text += (text.empty() ? "" : ", ") + published_name(*table);
  return text;
}

Error ddl_error(const SqlError& error, const std::string& sql) {
  return Error::of(error.state.empty() ? ErrorCode::unavailable : ErrorCode::unsupported,
                   fmt::format("the publication is not as it must be, and Freshet could not change it: {}", error.message),
                   fmt::format("Run as the tables' owner: {};", sql));
}

Result<void> change(CatalogSession& session, const std::string& sql) {
  const auto outcome = session.run(sql);
  if (outcome.ok()) base::log_info("storage", "{}", sql);
  if (!outcome.ok() && outcome.error.state != kDuplicateObject) return ddl_error(outcome.error, sql);
  return {};
}

Result<std::optional<Publication>> look_up(CatalogSession& session, const std::string& name,
                                           const std::vector<const TableFacts*>& tables) {
  const auto found = session.run(kPublicationSql, {name});
  if (!found.ok()) return lookup_error(found.error, fmt::format("publication {}", name));
  if (PQntuples(found.rows.get()) == 0) return std::optional<Publication>();
  Publication publication;
  publication.oid = static_cast<Oid>(std::strtoul(found.value(0).c_str(), nullptr, 10));
  publication.all_tables = found.value(1) == "t";
  publication.via_root = found.value(2) == "t";
  publication.missing_operations = found.value(3);
  std::string numbers;
  for (const auto* table : tables) numbers += fmt::format("{}{}", numbers.empty() ? "" : ",", table->oid);
  const auto rows = session.run(kTablesSql, {name, "{" + numbers + "}"});
  if (!rows.ok()) return lookup_error(rows.error, fmt::format("publication {}", name));
  for (int row = 0; row < PQntuples(rows.rows.get()); ++row) {
    const char* number = PQgetvalue(rows.rows.get(), row, 0);
    auto& table = publication.tables[static_cast<Oid>(std::strtoul(number, nullptr, 10))];
    table.filter = PQgetvalue(rows.rows.get(), row, 1);
    table.columns.insert(PQgetvalue(rows.rows.get(), row, 2));
  }
  return std::optional(std::move(publication));
}

std::string create_sql(const ObservedOptions& options, const std::vector<const TableFacts*>& tables) {
  return fmt::format("CREATE PUBLICATION {}{}{} WITH (publish_via_partition_root = true)",
                     quoted_identifier(options.publication), tables.empty() ? "" : " FOR TABLE ", joined(tables));
}

std::string add_sql(const ObservedOptions& options, const std::vector<const TableFacts*>& tables) {
  return fmt::format("ALTER PUBLICATION {} ADD TABLE {}", quoted_identifier(options.publication), joined(tables));
}

// One statement for all; if that is refused, one a table, so that one that may not be added keeps none of the others away.
Result<void> extend(CatalogSession& session, const ObservedOptions& options, const Publication& publication,
                    const std::vector<const TableFacts*>& tables) {
  std::vector<const TableFacts*> missing;
  for (const auto* table : tables) {
    if (!publication.tables.contains(table->oid)) missing.push_back(table);
  }
  if (missing.empty() || publication.all_tables) return {};
  if (session.run(add_sql(options, missing)).ok()) {
    base::log_info("storage", "{}", add_sql(options, missing));
    return {};
  }
  if (!session.is_connected()) return Error::of(ErrorCode::unavailable, "the connection broke");
  // What is refused here is told by fault_of_publishing().
  for (const auto* table : missing) (void)session.run(add_sql(options, {table}));
  return {};
}

}  // namespace

Result<Publication> ensure_publication(CatalogSession& session, const ObservedOptions& options,
                                       const std::vector<const TableFacts*>& tables) {
  auto found = look_up(session, options.publication, tables);
  if (!found) return found.error();
  if (!*found && !options.publication_managed) {
    return Error::of(ErrorCode::unsupported, fmt::format("there is no publication {}", options.publication),
                     fmt::format("Run as the tables' owner: {};", create_sql(options, tables)));
  }
  if (options.publication_managed) {
    if (!*found) {
      if (auto made = change(session, create_sql(options, tables)); !made) return made.error();
    } else {
      if (auto extended = extend(session, options, **found, tables); !extended) return extended.error();
    }
    found = look_up(session, options.publication, tables);
    if (!found) return found.error();
    if (!*found) return Error::of(ErrorCode::unavailable, fmt::format("publication {} was dropped", options.publication));
  }
  return std::move(**found);
}

std::optional<Error> fault_of_publishing(const Publication& publication, const ObservedOptions& options,
                                         const TableFacts& table) {
  const auto no = [&](std::string why, std::string sql) {
    return Error::of(ErrorCode::unsupported, fmt::format("publication {} {}", options.publication, std::move(why)),
                     "Run as its owner: " + std::move(sql) + ";");
  };
  const auto name = quoted_identifier(options.publication);
  if (!publication.missing_operations.empty()) {
    return no(fmt::format("does not publish {}", publication.missing_operations),
              fmt::format("ALTER PUBLICATION {} SET (publish = 'insert, update, delete, truncate')", name));
  }
  if (table.is_partitioned() && !publication.via_root) {
    return no(fmt::format("tells changes of {} under its partitions' names", table.sql),
              fmt::format("ALTER PUBLICATION {} SET (publish_via_partition_root = true)", name));
  }
  const auto published = publication.tables.find(table.oid);
  if (published == publication.tables.end()) {
    return no(fmt::format("does not have {}, and this role could not add it", table.sql), add_sql(options, {&table}));
  }
  if (!published->second.filter.empty()) {
    return no(fmt::format("has only some rows of {} (WHERE {}): whether another row exists it cannot tell", table.sql,
                          published->second.filter),
              fmt::format("ALTER PUBLICATION {} DROP TABLE {}; {}", name, table.sql, add_sql(options, {&table})));
  }
  return std::nullopt;
}

}  // namespace freshet::storage::postgres
