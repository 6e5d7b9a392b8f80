// The statement that reads keys of one collection, as text, and of several collections at once. Pure.
//
// Parameters: for each part of the key an array of texts, in the order of the keys. Columns of the answer: see FillColumn.
// May use base.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/postgres/catalog/key_sql.h"

namespace freshet::storage::postgres {

struct FillText {
  std::vector<KeyPart> parts;
  // Rows: the table, and its shown columns, quoted. Queries: the SELECT with $1, …, and how many columns it gives.
  std::string table;
  std::vector<std::string> columns;
  std::string query;
  std::size_t query_columns = 0;

  bool is_query() const { return !query.empty(); }
};

// The columns of the answer, which are those of every fill. At least one row comes for each group.
enum FillColumn : int {
  kFillGroup,      // int4: which collection's part of the statement.
  kFillPlace,      // int8: which key, from 1; NULL: there were none.
  kFillSnapshot,   // text
  kFillPosition,   // pg_lsn
  kFillGiven,      // text[]: the key's parts as their types print them.
  kFillFound,      // bool: a row was found; NULL: none.
  kFillStored,     // text[]: the row's key columns; NULL for queries.
  kFillMarked,     // bool: the row's xmax is not 0.
  kFillRow,        // text[]: the shown columns.
};

// `group` numbers the collections of one statement, whose parameters begin at `first_parameter`.
std::string fill_sql(const FillText& text, int group, int first_parameter);
// Reads one key's parts only: $1, … are texts. An error says that a part is no value of its type.
std::string validation_sql(const FillText& text);

// The query with $n replaced by `names[n - 1]`, but in texts, quoted names and comments.
std::string replace_parameters(std::string_view query, const std::vector<std::string>& names);

}  // namespace freshet::storage::postgres
