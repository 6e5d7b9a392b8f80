// Keys and columns in the statements that read and write rows: pieces of SQL. Pure. May use base.
#pragma once

#include <string>
#include <vector>

#include "storage/postgres/catalog/key_text.h"

namespace freshet::storage::postgres {

// A part of the key: a column of the primary key, or a parameter of the query.
struct KeyPart {
  std::string name;        // For messages: the column's, or "$1".
  std::string type_sql;
  Oid plain_type = 0;      // 0: a domain, whose checks only the server knows.
  KeyForm form = KeyForm::as_is;
  std::string column_sql;  // Of the table; empty for parameters.
  std::string collation;   // Quoted; may be empty.
};

// A column's text as its output function writes it, NULL for NULL: casts to text differ for some types.
std::string text_of(const std::string& column);
// A text[] of these expressions.
std::string array_of(const std::vector<std::string>& texts);
// Part `part` (from 0) of a key in keys_sql()'s columns.
std::string key_name(std::size_t part);
// Keys' parts as values of their types, of arrays of texts, one a part, from parameter `first_parameter` on: columns k1, …,
// and place.
std::string keys_sql(const std::vector<KeyPart>& parts, int first_parameter);

}  // namespace freshet::storage::postgres
