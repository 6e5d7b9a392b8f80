// The statements that read and write a table's rows by their keys, as text. Pure.
//
// Parameters of writes are texts, or (many) an array of them each: the key's parts ($1, …), then the cells' in their
// order, then the version (if_version), then the milliseconds of the expiry. Those of cells have no type of their own: each
// is read as its column's, or (many) each array's elements are, by the type's input function. May use storage.
#pragma once

#include <string>
#include <vector>

#include "storage/postgres/catalog/key_sql.h"
#include "storage/storage.h"

namespace freshet::storage::postgres {

// A table as its rows are read and written. Names are quoted.
struct RowText {
  std::string collection;
  std::string table;
  std::vector<KeyPart> parts;
  std::vector<std::string> shown;  // In the order of the shape.
  std::string version;             // Columns; empty: none.
  std::string expires;
  bool partitioned = false;
  bool sealed = true;

  std::string only_table() const { return (partitioned ? "" : "ONLY ") + table; }
};

// Cells of a row in an answer: the shown columns, then the version, then the expiry in milliseconds, those that are
// declared. Rows: timeline, database_ms, place (from 1; NULL: no keys), given text[] (the key's parts as their types print
// them), cells text[] (NULL: there is no such row), stored text[] (the row's own key columns). Parameters: an array of
// texts a part.
std::string read_rows_sql(const RowText& text);

// One statement on one row.
struct RowStatement {
  enum class Form : std::uint8_t {
    update,          // Of an existing row.
    insert,          // Of a missing row; nothing if there is one.
    erase,
    erase_expired,   // If its deadline has passed.
    look,            // Reads it.
  };
  struct Assignment {
    std::size_t column = 0;        // Of `columns`.
    Cell::Kind kind = Cell::Kind::set;
    bool to_default = false;       // Instead.
    friend bool operator==(const Assignment&, const Assignment&) = default;
  };
  Form form = Form::update;
  std::vector<Assignment> assignments;
  Expiry::Mode expiry = Expiry::Mode::keep;   // Of the declared column.
  bool if_version = false;
  bool if_live = false;            // update, erase, look: a row whose deadline has passed is none.
  bool must = false;               // Fails with FR004 if it does nothing.
  bool want_before = false;        // update: that needs another look at the row.
  bool many = false;               // update: of several rows, all alike. must: of each of them.
  friend bool operator==(const RowStatement&, const RowStatement&) = default;
};

// A column that assignments name.
struct AssignedColumn {
  std::string sql;                 // Quoted.
  std::string array_sql;           // Of an array of its type.
};

// Columns: before text[], after text[] (both cells; NULL: no row, or not asked for); many: then the row's place among the
// parameters, from 1. No row in the answer: nothing was done.
std::string row_statement_sql(const RowText& text, const std::vector<AssignedColumn>& columns,
                              const RowStatement& statement);

// Fails with FR005 and the canonical spelling unless the parts $1, … are spelt canonically.
std::string canonical_key_sql(const RowText& text);
// The key of a row in SQL: of the columns of `row` (an alias), as a text.
std::string row_key_sql(const RowText& text, const std::string& row);
// The same as freshet.pass_rows() notes it: see schema_rows.cc.
std::string passed_key_sql(const RowText& text, const std::string& row);

}  // namespace freshet::storage::postgres
