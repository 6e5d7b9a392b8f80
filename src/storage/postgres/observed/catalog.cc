// Looking up twice around the fingerprint: if both say the same, the fingerprint is that of what they say.
#include "storage/postgres/observed/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "storage/postgres/catalog/commit_settings.h"
#include "storage/postgres/observed/plan.h"
#include "storage/postgres/output_settings.h"

namespace freshet::storage::postgres {
namespace {

constexpr Lsn kPageBytes = 8192;
constexpr Lsn kShortHeaderBytes = 24;
constexpr Lsn kLongHeaderBytes = 40;

std::string array_of(std::vector<Oid> numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return fmt::format("'{{{}}}'::pg_catalog.oid[]", fmt::join(numbers, ","));
}

struct Server {
  int version = 0;
  bool insert_position = false;
  std::string role;
  Oid database = 0;
};

Result<Server> look_at_server(CatalogSession& session) {
  const auto found = session.run(fmt::format(
      "SELECT current_setting('server_version_num'), format('%I', current_user), {}, "
      "(SELECT d.oid FROM pg_database d WHERE d.datname = current_database())", asynchronous_commits_sql()));
  if (!found.ok()) return Error::of(ErrorCode::unavailable, found.error.message);
  Server server{std::atoi(found.value(0).c_str()), found.value(2) == "t", found.value(1),
                static_cast<Oid>(std::strtoul(found.value(3).c_str(), nullptr, 10))};
  if (server.version < kServerVersionMin) {
    return Error::of(ErrorCode::unavailable, fmt::format("PostgreSQL {} is too old to be followed", server.version),
                     "Use PostgreSQL 15 or newer.");
  }
  return server;
}

Result<DraftBook> draft_all(CatalogSession& session, const ObservedOptions& options, const Server& server) {
  DraftBook book;
  book.role = server.role;
  for (std::size_t i = 0; i < options.specs.size(); ++i) {
    const auto& spec = options.specs[i];
    const auto id = static_cast<CollectionId>(i);
    if (spec.table.empty() && !spec.is_query()) {
      auto& plan = book.drafts.emplace_back().plan;
      plan.spec = spec;
      plan.fault = Error::of(ErrorCode::unavailable, "the collection is not followed now");
      continue;
    }
    const auto drafted = spec.is_query() ? draft_query(session, book, spec, id) : draft_rows(session, book, spec, id);
    if (!drafted) return drafted.error();
  }
  std::map<Oid, const TableFacts*> followed;  // Of collections that nothing else stands in the way of.
  for (const auto& draft : book.drafts) {
    if (draft.plan.fault) continue;
    for (const auto& name : draft.tables) followed[book.tables.at(name).oid] = &book.tables.at(name);
  }
  std::vector<const TableFacts*> tables;
  for (const auto& [number, table] : followed) tables.push_back(table);
  const auto publication = ensure_publication(session, options, tables);
  if (!publication && publication.error().code == ErrorCode::unavailable) return publication.error();
  for (auto& draft : book.drafts) {
    if (publication) {
      finish_draft(book, draft, *publication, options);
    } else if (!draft.plan.fault) {
      draft.plan.fault = publication.error();
    }
  }
  return book;
}

// All that a plan was made of, as one text.
std::string digest_of(const DraftBook& book) {
  std::string text;
  for (const auto& [plan, tables] : book.drafts) {
    text += fmt::format("{}\n{}\n{}\n{}\n", plan.spec.name, plan.fault ? plan.fault->what : "",
                        plan.fill ? plan.fill->get().sql : "", fingerprint_sql(plan.watched));
    for (const auto& mapping : plan.mappings) {
      for (const auto& rows : mapping.rows) {
        for (const auto& column : rows.shown) {
          text += fmt::format("{} {} {} {}\n", column.name, column.type, column.modifier, column.in_stream);
        }
      }
      for (const auto& query : mapping.queries) text += fmt::format("{} {}\n", query.exact, query.parameters.size());
    }
  }
  return text;
}

Result<Fingerprint> fingerprint_now(CatalogSession& session, const Watched& watched) {
  const auto found = session.run(fingerprint_sql(watched));
  if (!found.ok()) return Error::of(ErrorCode::unavailable, found.error.message);
  return found.value();
}

Watched published_part(const Watched& watched) {
  Watched part;
  part.published = watched.published;
  part.schemas = watched.schemas;
  part.publication = watched.publication;
  return part;
}

// The whole first, then its parts: what changes in between makes the next probe differ from the whole. The other way round
// it would be in the whole and not in the part, and the entries of its collection would stay.
Result<std::shared_ptr<Catalog>> fingerprinted(CatalogSession& session, const DraftBook& book, const Server& server) {
  auto catalog = std::make_shared<Catalog>();
  Watched everything;
  everything.commits_in = server.database;
  for (const auto& draft : book.drafts) {
    const auto& plan = catalog->collections.emplace_back(draft.plan);
    everything.add(plan.watched);
    catalog->faults += plan.fault && !plan.rests() ? 1 : 0;
  }
  auto all = fingerprint_now(session, everything);
  if (!all) return all.error();
  auto publishing = fingerprint_now(session, published_part(everything));
  if (!publishing) return publishing.error();
  catalog->fingerprint = std::move(*all);
  catalog->publishing = std::move(*publishing);
  for (auto& plan : catalog->collections) {
    auto fingerprint = fingerprint_now(session, plan.watched);
    if (!fingerprint) return fingerprint.error();
    plan.fingerprint = std::move(*fingerprint);
  }
  catalog->insert_position = server.insert_position;
  const char* position = server.insert_position ? "pg_catalog.pg_current_wal_insert_lsn()"
                                                : "pg_catalog.pg_current_wal_flush_lsn()";
  // What two snapshots show is the same if they are the same: then the catalog's rows need not be read again.
  catalog->probe = std::make_shared<OwnedStatement>(
      "probe", fmt::format("SELECT s.shown, {}, CASE WHEN s.shown = $1 THEN NULL ELSE ({})::pg_catalog.text END FROM "
                           "(SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text AS shown) s", position,
                           fingerprint_sql(everything)), std::vector<Oid>{oid::kText});
  catalog->short_probe = std::make_shared<OwnedStatement>(
      "short_probe", fmt::format("SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text, {}", position),
      std::vector<Oid>());
  return catalog;
}

}  // namespace

void Watched::add(const Watched& other) {
  const auto append = [](std::vector<Oid>& to, const std::vector<Oid>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  append(relations, other.relations);
  append(attributes, other.attributes);
  append(parents, other.parents);
  append(published, other.published);
  append(schemas, other.schemas);
  append(enumerations, other.enumerations);
  append(functions, other.functions);
  append(views, other.views);
  publication = std::max(publication, other.publication);
  commits_in = std::max(commits_in, other.commits_in);
}

namespace {

// Of subscriptions not everybody may read the xmin. A role's row counts in each of its databases.
std::string commit_settings_sql(Oid database) {
  return fmt::format(
      "(SELECT xmin AS x FROM pg_catalog.pg_db_role_setting WHERE setdatabase = ANY({}) ORDER BY setdatabase, setrole) "
      "UNION ALL (SELECT pg_catalog.count(*)::pg_catalog.text::pg_catalog.xid FROM pg_catalog.pg_subscription "
      "WHERE subdbid = {} AND pg_catalog.lower(subsynccommit) NOT IN {}) UNION ALL (SELECT CASE "
      "pg_catalog.current_setting('synchronous_commit') WHEN 'off' THEN '1' ELSE '0' END::pg_catalog.xid)",
      array_of({0, database}), database, kWaitingCommits);
}

}  // namespace

// The rows' xmin say everything: each set is found by its rows' identities, and ordered by them.
std::string fingerprint_sql(const Watched& watched) {
  std::string rows;
  const auto add = [&](const char* table, const std::string& condition, const char* order) {
    rows += fmt::format("{}(SELECT xmin AS x FROM pg_catalog.{} WHERE {} ORDER BY {})", rows.empty() ? "" : " UNION ALL ",
                        table, condition, order);
  };
  const auto add_any = [&](const char* table, const char* column, const std::vector<Oid>& numbers, const char* order) {
    if (!numbers.empty()) add(table, fmt::format("{} = ANY({})", column, array_of(numbers)), order);
  };
  add_any("pg_class", "oid", watched.relations, "oid");
  if (!watched.attributes.empty()) {
    add("pg_attribute", fmt::format("attrelid = ANY({}) AND attnum > 0", array_of(watched.attributes)), "attrelid, attnum");
  }
  add_any("pg_inherits", "inhparent", watched.parents, "inhparent, inhrelid");
  add_any("pg_enum", "enumtypid", watched.enumerations, "oid");
  add_any("pg_proc", "oid", watched.functions, "oid");
  add_any("pg_rewrite", "ev_class", watched.views, "oid");
  if (watched.publication != 0) {
    const auto number = fmt::format("{}::pg_catalog.oid", watched.publication);
    add("pg_publication", "oid = " + number, "oid");
    if (!watched.published.empty()) {
      add("pg_publication_rel", fmt::format("prrelid = ANY({}) AND prpubid = {}", array_of(watched.published), number),
          "oid");
      add("pg_publication_namespace", fmt::format("pnnspid = ANY({}) AND pnpubid = {}", array_of(watched.schemas), number),
          "oid");
    }
  }
  if (watched.commits_in != 0) rows += (rows.empty() ? "" : " UNION ALL ") + commit_settings_sql(watched.commits_in);
  if (rows.empty()) return "SELECT 0::pg_catalog.int8";
  return fmt::format("SELECT pg_catalog.hash_array_extended(pg_catalog.array_agg(r.x), 0) FROM ({}) r", rows);
}

std::vector<TableMapping> Catalog::mappings() const {
  std::map<Oid, TableMapping> tables;
  for (const auto& plan : collections) {
    if (plan.fault) continue;
    for (const auto& mapping : plan.mappings) {
      const TableMapping empty{mapping.relation, mapping.schema, mapping.name, {}, {}};
      auto& table = tables.try_emplace(mapping.relation, empty).first->second;
      table.rows.insert(table.rows.end(), mapping.rows.begin(), mapping.rows.end());
      table.queries.insert(table.queries.end(), mapping.queries.begin(), mapping.queries.end());
    }
  }
  std::vector<TableMapping> list;
  for (auto& [number, table] : tables) list.push_back(std::move(table));
  return list;
}

Description Catalog::description() const {
  Description description;
  for (const auto& plan : collections) {
    description.collections.push_back({plan.fault, plan.fault ? nullptr : plan.shape, plan.fingerprint, plan.depends_on});
  }
  description.fingerprint = fingerprint;
  description.published = published;
  description.first_xid = first_xid;
  description.revision = revision;
  return description;
}

Result<CatalogRef> read_catalog(CatalogSession& session, const ObservedOptions& options, std::uint64_t revision) {
  for (int round = 0; round < kCatalogRoundsMax; ++round) {
    const auto server = look_at_server(session);
    if (!server) return server.error();
    const auto before = draft_all(session, options, *server);
    if (!before) return before.error();
    auto catalog = fingerprinted(session, *before, *server);
    if (!catalog) return catalog.error();
    const auto after = draft_all(session, options, *server);
    if (!after) return after.error();
    const auto server_after = look_at_server(session);
    if (!server_after) return server_after.error();
    if (server->insert_position != server_after->insert_position || digest_of(*before) != digest_of(*after)) continue;
    const auto position = session.run("SELECT pg_current_wal_insert_lsn()");
    const auto published = parse_lsn(position.value());
    if (!published) return Error::of(ErrorCode::unavailable, position.error.message);
    (*catalog)->published = without_page_header(*published);
    (*catalog)->revision = revision;
    const auto xid = session.run("SELECT pg_current_xact_id()");
    (*catalog)->first_xid = std::strtoull(std::string(xid.value()).c_str(), nullptr, 10);
    if ((*catalog)->first_xid == 0) return Error::of(ErrorCode::unavailable, xid.error.message);
    return CatalogRef(std::move(*catalog));
  }
  return Error::of(ErrorCode::unavailable, "the schema changes all the time", "Freshet looks at it again by itself.");
}

// Bitmap scans give rows in the table's order, and sequential ones read all of the catalog: both off, fingerprints take some
// index lookups. Warnings of a query's functions concern nobody here.
std::string output_settings_sql() {
  std::string sql;
  const auto set = [&](std::string_view name, std::string_view value) {
    sql += fmt::format("{}pg_catalog.set_config('{}', '{}', false)", sql.empty() ? "" : ", ", name, value);
  };
  for (const auto& [name, value] : kOutputSettings) {
    // Queries and names without a schema are read as the operator's own sessions read them.
    if (name != "search_path") set(name, value);
  }
  // Of to_char(): queries may call what depends on settings alone.
  set("lc_time", "C");
  set("lc_numeric", "C");
  set("client_encoding", "UTF8");
  set("row_security", "off");
  set("client_min_messages", "error");
  set("default_transaction_isolation", "read committed");
  set("jit", "off");
  return sql;
}

Lsn without_page_header(Lsn position) {
  const auto offset = position % kPageBytes;
  return offset == kShortHeaderBytes || offset == kLongHeaderBytes ? position - offset : position;
}

}  // namespace freshet::storage::postgres
