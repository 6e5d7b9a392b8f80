// Pieces of SQL around keys.
#include "storage/postgres/catalog/key_sql.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace freshet::storage::postgres {

std::string text_of(const std::string& column) {
  return fmt::format("CASE WHEN {0} IS DISTINCT FROM NULL THEN pg_catalog.concat({0}) END", column);
}

std::string array_of(const std::vector<std::string>& texts) {
  return texts.empty() ? "NULL::pg_catalog.text[]" : fmt::format("ARRAY[{}]", fmt::join(texts, ", "));
}

std::string key_name(std::size_t part) { return fmt::format("freshet_k.k{}", part + 1); }

std::string keys_sql(const std::vector<KeyPart>& parts, int first_parameter) {
  std::string values;
  std::string arrays;
  std::string names;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    values += fmt::format("CAST(freshet_u.p{0} AS {1}) AS k{0}, ", i + 1, parts[i].type_sql);
    arrays += fmt::format("{}pg_catalog.unnest(${}::pg_catalog.text[])", i == 0 ? "" : ", ",
                          first_parameter + static_cast<int>(i));
    names += fmt::format("p{}, ", i + 1);
  }
  // A query without parameters has one key. Its array says how often it was asked for.
  if (parts.empty()) {
    arrays = fmt::format("pg_catalog.unnest(${}::pg_catalog.text[])", first_parameter);
    names = "p1, ";
  }
  return fmt::format("SELECT {}freshet_u.place FROM ROWS FROM ({}) WITH ORDINALITY freshet_u({}place)", values,
                     arrays, names);
}

}  // namespace freshet::storage::postgres
