// Catalog queries about tables and types.
#include "storage/postgres/catalog/table_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "storage/postgres/binary.h"
#include "storage/postgres/catalog/dark_partition.h"
#include "storage/postgres/catalog/key_text.h"

namespace freshet::storage::postgres {
namespace {

constexpr Oid kInt2 = 21, kOidType = 26, kJson = 114, kFloat4 = 700, kFloat8 = 701, kNumeric = 1700, kJsonb = 3802;
// regproc, regprocedure, regoper, regoperator, regclass, regtype, regconfig, regdictionary, regnamespace, regrole,
// regcollation.
constexpr Oid kRegTypes[] = {24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191};

// To be formatted with kDarkPartitionSql.
constexpr const char* kTableSql = R"(
SELECT c.oid, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname), c.relkind, c.relpersistence, c.relispartition,
  coalesce(pg_partition_root(c.oid)::text, ''), EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid),
  row_security_active(c.oid),
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND NOT i.indimmediate), n.oid,
  (SELECT string_agg(r.oid::text, ' ' ORDER BY r.oid) FROM (SELECT c.oid
     UNION SELECT p.relid FROM pg_partition_tree(c.oid) p
     UNION SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) r(oid)), {}
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1))";

// The leaves' identities count: their rows' old images are what the log holds, under the root's name.
constexpr const char* kLeafWithoutIdentitySql = R"(
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (c.oid = $1::oid OR c.oid IN (SELECT p.relid FROM pg_partition_tree($1::oid::regclass) p)) AND c.relkind <> 'p'
  AND c.relreplident <> 'f' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND
    ((c.relreplident = 'd' AND i.indisprimary AND i.indimmediate) OR (c.relreplident = 'i' AND i.indisreplident)))
ORDER BY c.oid LIMIT 1)";

// `a` holds types with a place each; `b` what is below domains. A domain's own modifier holds where the column has none.
constexpr const char* kBases = R"(b(place, type, modifier) AS (SELECT place, type, modifier FROM a UNION ALL
  SELECT b.place, d.typbasetype, CASE WHEN b.modifier = -1 THEN d.typtypmod ELSE b.modifier END
  FROM b JOIN pg_type d ON d.oid = b.type AND d.typtype = 'd'))";
constexpr const char* kTypeColumns = R"(a.type, a.modifier, format_type(a.type, a.modifier),
  (SELECT CASE WHEN y.typarray <> 0 AND y.typdelim = ',' THEN format_type(y.typarray, -1) ELSE '' END FROM pg_type y
    WHERE y.oid = a.type), b.type, b.modifier, t.typtype,
  CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END,
  CASE WHEN t.typtype = 'e' THEN t.oid WHEN e.typtype = 'e' THEN e.oid ELSE 0 END,
  CASE WHEN t.typtype = 'c' THEN t.typrelid WHEN e.typtype = 'c' THEN e.typrelid ELSE 0 END)";
constexpr int kTypeCells = 10;
constexpr const char* kTypeJoins = R"(JOIN b ON b.place = a.place JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd'
  LEFT JOIN pg_type e ON e.oid = t.typelem)";

std::string types_sql() {
  return fmt::format("WITH RECURSIVE a(type, modifier, place) AS (SELECT * FROM unnest($1::oid[], $2::int4[]) "
                     "WITH ORDINALITY), {} SELECT {} FROM a {} ORDER BY a.place", kBases, kTypeColumns, kTypeJoins);
}

constexpr const char* kColumns = R"(a(type, modifier, place, name, collated, generated) AS (
  SELECT atttypid, atttypmod, attnum::int8, attname, attcollation, attgenerated <> '' FROM pg_attribute
  WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped))";
constexpr const char* kColumnFacts = R"(a.name,
  CASE WHEN l.oid IS NULL THEN '' ELSE format('%I.%I', ln.nspname, l.collname) END, coalesce(l.collisdeterministic, true),
  a.generated, has_column_privilege($1::oid, a.place::int2, 'SELECT'),
  coalesce((SELECT array_position(string_to_array(i.indkey::text, ' '), a.place::text) FROM pg_index i
    WHERE i.indrelid = $1::oid AND i.indisprimary), 0),
  NOT EXISTS (SELECT FROM pg_class c WHERE (c.oid = $1::oid OR c.oid IN (SELECT p.relid FROM
    pg_partition_tree($1::oid::regclass) p)) AND c.relkind <> 'p' AND c.relreplident <> 'f' AND NOT EXISTS (
      SELECT FROM pg_index i JOIN pg_attribute x ON x.attrelid = i.indrelid AND x.attnum = ANY(i.indkey::int2[])
      WHERE i.indrelid = c.oid AND x.attname = a.name AND ((c.relreplident = 'd' AND i.indisprimary AND i.indimmediate)
        OR (c.relreplident = 'i' AND i.indisreplident)))))";
constexpr const char* kCollations = R"(LEFT JOIN pg_collation l ON l.oid = a.collated
  LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace)";

std::string columns_sql() {
  return fmt::format("WITH RECURSIVE {}, {} SELECT {}, {} FROM a {} {} ORDER BY a.place", kColumns, kBases, kTypeColumns,
                     kColumnFacts, kTypeJoins, kCollations);
}

const char* cell(const Rows& rows, int row, int column) { return PQgetvalue(rows.get(), row, column); }
bool flag(const Rows& rows, int row, int column) { return *cell(rows, row, column) == 't'; }
Oid number(const char* text) { return static_cast<Oid>(std::strtoul(text, nullptr, 10)); }

TypeFacts type_at(const Rows& rows, int row) {
  TypeFacts facts;
  facts.type = number(cell(rows, row, 0));
  facts.modifier = std::atoi(cell(rows, row, 1));
  facts.sql = cell(rows, row, 2);
  facts.array_sql = cell(rows, row, 3);
  facts.base = number(cell(rows, row, 4));
  facts.base_modifier = std::atoi(cell(rows, row, 5));
  facts.base_kind = *cell(rows, row, 6);
  facts.element = number(cell(rows, row, 7));
  facts.enumeration = number(cell(rows, row, 8));
  facts.composite = number(cell(rows, row, 9));
  return facts;
}

ColumnFacts column_at(const Rows& rows, int row) {
  ColumnFacts facts;
  facts.type = type_at(rows, row);
  facts.name = cell(rows, row, kTypeCells);
  facts.collation = cell(rows, row, kTypeCells + 1);
  facts.deterministic = flag(rows, row, kTypeCells + 2);
  facts.generated = flag(rows, row, kTypeCells + 3);
  facts.readable = flag(rows, row, kTypeCells + 4);
  facts.key_place = std::atoi(cell(rows, row, kTypeCells + 5));
  facts.in_identity = flag(rows, row, kTypeCells + 6);
  return facts;
}

TableFacts table_at(const Rows& rows) {
  TableFacts table;
  table.oid = number(cell(rows, 0, 0));
  table.schema = cell(rows, 0, 1);
  table.name = cell(rows, 0, 2);
  table.sql = cell(rows, 0, 3);
  table.kind = *cell(rows, 0, 4);
  table.persistence = *cell(rows, 0, 5);
  table.partition = flag(rows, 0, 6);
  table.root = cell(rows, 0, 7);
  table.has_children = flag(rows, 0, 8);
  table.row_security = flag(rows, 0, 9);
  table.key_deferrable = flag(rows, 0, 10);
  table.schema_oid = number(cell(rows, 0, 11));
  table.dark_partition = cell(rows, 0, 13);
  for (const char* at = cell(rows, 0, 12); *at != '\0';) {
    char* end = nullptr;
    table.relations.push_back(static_cast<Oid>(std::strtoul(at, &end, 10)));
    at = *end == ' ' ? end + 1 : end;
  }
  return table;
}

Error refused(std::string what, std::string remedy = {}) {
  return Error::of(ErrorCode::unsupported, std::move(what), std::move(remedy));
}

}  // namespace

ColumnKind TypeFacts::kind() const {
  switch (base) {
    case kInt2:
    case oid::kInt4:
    case oid::kInt8:
    case kOidType: return ColumnKind::integer;
    case kFloat4:
    case kFloat8: return ColumnKind::real;
    case kNumeric: return ColumnKind::numeric;
    case oid::kBool: return ColumnKind::boolean;
    case kJson:
    case kJsonb: return ColumnKind::json;
    default: return ColumnKind::text;
  }
}

bool TypeFacts::text_depends_on_session() const {
  return std::any_of(std::begin(kRegTypes), std::end(kRegTypes), [&](Oid reg) { return reg == base || reg == element; });
}

const ColumnFacts* TableFacts::find(std::string_view column) const {
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const auto& c) { return c.name == column; });
  return found == columns.end() ? nullptr : &*found;
}

std::vector<const ColumnFacts*> TableFacts::key() const {
  std::vector<const ColumnFacts*> parts;
  for (const auto& column : columns) {
    if (column.key_place > 0) parts.push_back(&column);
  }
  std::sort(parts.begin(), parts.end(), [](const auto* a, const auto* b) { return a->key_place < b->key_place; });
  return parts;
}

std::string quoted_identifier(std::string_view name) {
  std::string text = "\"";
  for (const char character : name) {
    if (character == '"') text += '"';
    text += character;
  }
  return text + '"';
}

Error lookup_error(const SqlError& error, const std::string& what) {
  const auto text = fmt::format("{}: {}", what, error.message);
  if (error.state == sqlstate::kNoPrivilege) {
    return Error::of(ErrorCode::unsupported, text, "Grant this role USAGE on the schema and SELECT on the table.");
  }
  const auto class_is = [&](const char* prefix) { return error.state.starts_with(prefix); };
  const bool is_text_wrong = class_is("42") || class_is("22") || class_is("3F") || class_is("0A");
  return Error::of(is_text_wrong ? ErrorCode::invalid_argument : ErrorCode::unavailable, text);
}

Result<TableFacts> look_up_table(CatalogSession& session, const std::string& name) {
  const auto what = fmt::format("table {}", name);
  auto found = session.run(fmt::format(kTableSql, kDarkPartitionSql), {name});
  if (!found.ok()) return lookup_error(found.error, what);
  if (PQntuples(found.rows.get()) == 0) {
    return Error::of(ErrorCode::invalid_argument, fmt::format("there is no table {}", name),
                     "Write its schema before its name, or create it: Freshet looks again by itself.");
  }
  auto table = table_at(found.rows);
  const auto number_text = std::to_string(table.oid);
  const auto columns = session.run(columns_sql(), {number_text});
  if (!columns.ok()) return lookup_error(columns.error, what);
  for (int row = 0; row < PQntuples(columns.rows.get()); ++row) table.columns.push_back(column_at(columns.rows, row));
  const auto leaf = session.run(kLeafWithoutIdentitySql, {number_text});
  if (!leaf.ok()) return lookup_error(leaf.error, what);
  table.without_identity = leaf.value();
  return table;
}

Result<std::vector<TypeFacts>> look_up_types(CatalogSession& session,
                                             const std::vector<std::pair<Oid, std::int32_t>>& types) {
  std::string numbers = "{";
  std::string modifiers = "{";
  for (const auto& [type, modifier] : types) {
    const char* comma = numbers.size() > 1 ? "," : "";
    numbers += fmt::format("{}{}", comma, type);
    modifiers += fmt::format("{}{}", comma, modifier);
  }
  const auto found = session.run(types_sql(), {numbers + "}", modifiers + "}"});
  if (!found.ok()) return lookup_error(found.error, "types");
  std::vector<TypeFacts> facts;
  for (int row = 0; row < PQntuples(found.rows.get()); ++row) facts.push_back(type_at(found.rows, row));
  if (facts.size() != types.size()) return Error::of(ErrorCode::unavailable, "a type was dropped meanwhile");
  return facts;
}

std::optional<Error> fault_of_table(const TableFacts& table) {
  const auto no = [&](std::string_view why, std::string remedy = {}) {
    return refused(fmt::format("{} {}", table.sql, why), std::move(remedy));
  };
  if (table.kind == 'v') return no("is a view: changes of its rows are not in the change stream", "Write a query over it.");
  if (table.kind == 'm') return no("is a materialized view: REFRESH is not in the change stream", "Observe its tables.");
  if (table.kind == 'f') return no("is a foreign table: its changes happen in another database", "Observe that database.");
  if (table.kind != 'r' && table.kind != 'p') return no("is no table");
  if (table.persistence == 'u') {
    return no("is unlogged: its changes are not in the log", fmt::format("Run: ALTER TABLE {} SET LOGGED;", table.sql));
  }
  if (table.persistence == 't') return no("is a temporary table");
  if (table.partition) {
    return no(fmt::format("is a partition of {}: its changes are told under that name", table.root), "Observe the root.");
  }
  if (!table.dark_partition.empty()) return fault_of_dark_partition(table.sql, table.dark_partition);
  return std::nullopt;
}

std::optional<Error> fault_of_published(const TableFacts& table) {
  if (auto fault = fault_of_table(table)) return fault;
  if (table.without_identity.empty()) return std::nullopt;
  return refused(fmt::format("{} cannot be published: {} has no replica identity, and a published table without one refuses "
                             "UPDATE and DELETE", table.sql, table.without_identity),
                 fmt::format("Give it a primary key, or run: ALTER TABLE {} REPLICA IDENTITY FULL;",
                             table.without_identity));
}

std::optional<Error> fault_of_key(const TableFacts& table) {
  const auto no = [&](std::string why, std::string remedy) {
    return refused(fmt::format("{} {}", table.sql, std::move(why)), std::move(remedy));
  };
  if (table.kind == 'r' && table.has_children) {
    return no("has tables that inherit from it: a SELECT shows their rows as its own", "Observe those tables, or a query.");
  }
  const auto key = table.key();
  if (key.empty()) {
    return no("has no primary key: its rows have no names",
              fmt::format("Run: ALTER TABLE {} ADD PRIMARY KEY (…);", table.sql));
  }
  for (const auto* column : key) {
    if (!key_form_of(column->type.base, column->type.base_modifier, column->type.base_kind)) {
      return no(fmt::format("has a primary key of type {} ({}): equal values of that type may have different texts",
                            column->type.sql, column->name), "Observe it by a query, or use another key.");
    }
    if (!column->deterministic) {
      return no(fmt::format("has a primary key with a non-deterministic collation ({}): equal values have different texts",
                            column->name), "Use a deterministic collation for that column.");
    }
  }
  return std::nullopt;
}

std::optional<Error> fault_of_identity(const TableFacts& table) {
  for (const auto* column : table.key()) {
    if (column->in_identity) continue;
    return refused(
        fmt::format("{} has a replica identity without {}: the change stream does not tell which row was changed",
                    table.sql, column->name),
        table.key_deferrable
            ? fmt::format("Its primary key is deferrable. Run: ALTER TABLE {} REPLICA IDENTITY FULL;", table.sql)
            : fmt::format("Run: ALTER TABLE {} REPLICA IDENTITY DEFAULT;{}", table.sql,
                          table.is_partitioned() ? " and the same for each of its partitions." : ""));
  }
  return std::nullopt;
}

}  // namespace freshet::storage::postgres
