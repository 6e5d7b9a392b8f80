// Output functions write every text (concat), as they do for the change stream; casts to text differ for some types.
#include "storage/postgres/observed/fill_sql.h"

#include <fmt/format.h>

#include <algorithm>

namespace freshet::storage::postgres {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80) != 0;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Where the quoted text that begins at `at` ends; past the end if it does not.
std::size_t end_of_quoted(std::string_view sql, std::size_t at, bool escapes) {
  const char quote = sql[at];
  for (++at; at < sql.size(); ++at) {
    if (escapes && sql[at] == '\\') {
      ++at;
    } else if (sql[at] == quote) {
      if (at + 1 == sql.size() || sql[at + 1] != quote) return at + 1;
      ++at;
    }
  }
  return sql.size();
}

std::size_t end_of_comment(std::string_view sql, std::size_t at) {
  int depth = 0;
  while (at + 1 < sql.size()) {
    const auto two = sql.substr(at, 2);
    at += two == "/*" || two == "*/" ? 2 : 1;
    depth += two == "/*" ? 1 : two == "*/" ? -1 : 0;
    if (depth == 0) return at;
  }
  return sql.size();
}

// $tag$ … $tag$; nothing if no tag begins here.
std::size_t end_of_dollar_quoted(std::string_view sql, std::size_t at) {
  auto tag_end = at + 1;
  while (tag_end < sql.size() && is_word(sql[tag_end])) ++tag_end;
  if (tag_end == sql.size() || sql[tag_end] != '$') return at;
  const auto tag = sql.substr(at, tag_end + 1 - at);
  const auto close = sql.find(tag, tag_end + 1);
  return close == sql.npos ? sql.size() : close + tag.size();
}

// What begins at `at` and holds no parameters: where it ends; `at` if nothing does.
std::size_t end_of_opaque(std::string_view sql, std::size_t at) {
  const char c = sql[at];
  if (c == '\'') {
    const bool escapes = at > 0 && (sql[at - 1] | 0x20) == 'e' && (at == 1 || !is_word(sql[at - 2]));
    return end_of_quoted(sql, at, escapes);
  }
  if (c == '"') return end_of_quoted(sql, at, false);
  if (sql.substr(at, 2) == "--") return std::min(sql.find('\n', at), sql.size());
  if (sql.substr(at, 2) == "/*") return end_of_comment(sql, at);
  if (c == '$' && (at == 0 || !is_word(sql[at - 1]))) return end_of_dollar_quoted(sql, at);
  return at;
}

// LIMIT keeps it a lookup for each key, whatever the statistics say.
std::string row_sql(const FillText& text) {
  std::vector<std::string> stored;
  std::vector<std::string> shown;
  std::string conditions;
  for (std::size_t i = 0; i < text.parts.size(); ++i) {
    const auto& part = text.parts[i];
    const auto column = "freshet_t." + part.column_sql;
    stored.push_back(fmt::format("pg_catalog.concat({})", column));
    conditions += fmt::format("{}{} OPERATOR(pg_catalog.=) {}{}", i == 0 ? "" : " AND ", column, key_name(i),
                              part.collation.empty() ? "" : " COLLATE " + part.collation);
  }
  for (const auto& column : text.columns) shown.push_back(text_of("freshet_t." + column));
  return fmt::format("SELECT true AS found, 0::pg_catalog.int8 AS row, {} AS stored, "
                     "freshet_t.xmax OPERATOR(pg_catalog.<>) 0 AS marked, {} AS cells FROM {} freshet_t WHERE {} LIMIT 1",
                     array_of(stored), array_of(shown), text.table, conditions);
}

std::string query_sql(const FillText& text) {
  std::vector<std::string> parameters;
  for (std::size_t i = 0; i < text.parts.size(); ++i) parameters.push_back(key_name(i));
  std::vector<std::string> names;
  std::vector<std::string> cells;
  for (std::size_t i = 0; i < text.query_columns; ++i) {
    names.push_back(fmt::format("c{}", i + 1));
    cells.push_back(text_of(fmt::format("freshet_q.c{}", i + 1)));
  }
  return fmt::format("SELECT true AS found, pg_catalog.row_number() OVER () AS row, NULL::pg_catalog.text[] AS stored, "
                     "false AS marked, {} AS cells FROM ({}\n) freshet_q({})",
                     array_of(cells), replace_parameters(text.query, parameters), fmt::join(names, ", "));
}

}  // namespace

std::string replace_parameters(std::string_view query, const std::vector<std::string>& names) {
  while (!query.empty() && (query.back() == ';' || query.back() == ' ' || query.back() == '\n')) query.remove_suffix(1);
  std::string text;
  for (std::size_t at = 0; at < query.size();) {
    if (const auto end = end_of_opaque(query, at); end != at) {
      text += query.substr(at, end - at);
      at = end;
      continue;
    }
    std::size_t number = 0;
    auto end = at + 1;
    const bool begins = query[at] == '$' && (at == 0 || !is_word(query[at - 1]));
    while (begins && end < query.size() && is_digit(query[end]) && number <= names.size()) {
      number = number * 10 + static_cast<std::size_t>(query[end++] - '0');
    }
    if (number > 0 && number <= names.size()) {
      text += '(' + names[number - 1] + ')';
      at = end;
    } else {
      text += query[at++];
    }
  }
  return text;
}

std::string fill_sql(const FillText& text, int group, int first_parameter) {
  std::vector<std::string> given;
  for (std::size_t i = 0; i < text.parts.size(); ++i) given.push_back(fmt::format("pg_catalog.concat({})", key_name(i)));
  return fmt::format(
      "(SELECT {}::pg_catalog.int4, freshet_k.place, freshet_c.snapshot, freshet_c.position, {}, freshet_r.found, "
      "freshet_r.stored, freshet_r.marked, freshet_r.cells "
      "FROM (SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text AS snapshot, "
      "pg_catalog.pg_current_wal_insert_lsn() AS position OFFSET 0) freshet_c "
      "LEFT JOIN ({}) freshet_k ON true LEFT JOIN LATERAL ({}) freshet_r ON true ORDER BY freshet_k.place, freshet_r.row)",
      group, array_of(given), keys_sql(text.parts, first_parameter), text.is_query() ? query_sql(text) : row_sql(text));
}

std::string validation_sql(const FillText& text) {
  std::string casts;
  for (std::size_t i = 0; i < text.parts.size(); ++i) {
    casts += fmt::format("{}pg_catalog.concat(CAST(${}::pg_catalog.text AS {}))", i == 0 ? "" : ", ", i + 1,
                         text.parts[i].type_sql);
  }
  return "SELECT " + casts;
}

}  // namespace freshet::storage::postgres
