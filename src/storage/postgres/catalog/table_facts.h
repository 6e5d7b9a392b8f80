// What the catalog says about tables and types, and what of it stands in the way of following them. May use libpq.
#pragma once

#include <libpq-fe.h>

#include <optional>
#include <string>
#include <vector>

#include "freshet/result.h"
#include "storage/postgres/catalog/catalog_session.h"
#include "storage/row.h"

namespace freshet::storage::postgres {

struct TypeFacts {
  Oid type = 0;
  std::int32_t modifier = -1;
  std::string sql;                  // As CAST takes it, modifier included.
  std::string array_sql;            // An array of it, without modifier; empty: none, or one without commas.
  Oid base = 0;                     // Below domains,
  std::int32_t base_modifier = -1;  // with the modifier that holds there,
  char base_kind = 'b';             // and pg_type.typtype.
  Oid element = 0;                  // Of arrays.
  Oid enumeration = 0;              // An enum that its texts come from,
  Oid composite = 0;                // and the pg_class number of a composite type.

  // Itself, unless it is a domain.
  Oid plain() const { return type == base ? type : 0; }
  ColumnKind kind() const;
  // The text depends on other catalog rows and on the search path (regclass, …): the stream's is not the fill's.
  bool text_depends_on_session() const;
};

struct ColumnFacts {
  std::string name;
  TypeFacts type;
  std::string collation;            // Quoted; empty if the type has none.
  bool deterministic = true;
  bool generated = false;
  bool readable = false;            // This role may SELECT it.
  int key_place = 0;                // In the primary key, from 1; 0: not part of it.
  bool in_identity = false;         // In the replica identity, of every partition.
};

struct TableFacts {
  Oid oid = 0;
  std::string schema;
  std::string name;
  std::string sql;                  // Schema and name, quoted.
  char kind = 'r';
  char persistence = 'p';
  bool partition = false;
  std::string root;                 // Of a partition: its root, quoted.
  bool has_children = false;
  bool row_security = false;        // For this role.
  bool key_deferrable = false;
  std::vector<Oid> relations;       // What to watch in pg_class: itself, its partitions, its key's index.
  Oid schema_oid = 0;
  std::string dark_partition;       // Its kind and name: see dark_partition.h.
  std::string without_identity;     // The first of its leaves whose updates would not tell which row they changed.
  std::vector<ColumnFacts> columns;

  bool is_partitioned() const { return kind == 'p'; }
  const ColumnFacts* find(std::string_view column) const;
  // The primary key's columns in its order.
  std::vector<const ColumnFacts*> key() const;
};

std::string quoted_identifier(std::string_view name);

// The table that `name` (as SQL writes it) or a number stands for. Errors: unavailable (the connection), invalid_argument.
Result<TableFacts> look_up_table(CatalogSession& session, const std::string& name);
Result<std::vector<TypeFacts>> look_up_types(CatalogSession& session,
                                             const std::vector<std::pair<Oid, std::int32_t>>& types);

// Why it holds no rows of its own that last, or that the log tells of, if so.
std::optional<Error> fault_of_table(const TableFacts& table);
// The same, or why its changes cannot be followed.
std::optional<Error> fault_of_published(const TableFacts& table);
// Why its rows cannot be found by primary key, if so.
std::optional<Error> fault_of_key(const TableFacts& table);
// Why the change stream would not tell which row was changed, if so.
std::optional<Error> fault_of_identity(const TableFacts& table);

// An error of looking things up: unavailable if the connection failed, else a fault to tell.
Error lookup_error(const SqlError& error, const std::string& what);

}  // namespace freshet::storage::postgres
