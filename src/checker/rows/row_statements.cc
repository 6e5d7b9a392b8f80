// Statements and their answers. Several rows are written in ascending order of their keys: no two wait for each other.
#include "checker/rows/row_statements.h"

#include <fmt/format.h>

namespace freshet::checker {
namespace {

bool answers_count(const Operation& operation) {
  return !is_read(operation) && operation.kind != Kind::increment && operation.kind != Kind::exchange;
}

bool has_argument(const Operation& operation) { return !is_read(operation) && operation.kind != Kind::erase; }

}  // namespace

std::string row_statement_of(const Operation& operation, const RowTable& table, std::string_view column) {
  const auto& [name, key] = table;
  const std::string chosen = fmt::format("WHERE {} = ANY ($1::text[])", key);
  const std::string insert = fmt::format("INSERT INTO {} AS t ({}, {}) SELECT unnest($1::text[]), $2::{}", name, key, column,
                                         column == kNumberColumn ? "bigint" : "text");
  const std::string or_else = fmt::format(" ON CONFLICT ({}) DO ", key);
  const std::string put = fmt::format("{}{}UPDATE SET {} = excluded.{}", insert, or_else, column, column);
  switch (operation.kind) {
    case Kind::get:
    case Kind::get_version:
      return fmt::format("SELECT {} FROM {} {} ORDER BY {}", column, name, chosen, key);
    case Kind::increment:
      return fmt::format("{}{}UPDATE SET {} = coalesce(t.{}, 0) + excluded.{} RETURNING {}", insert, or_else, column, column,
                         column, column);
    case Kind::erase:
      return fmt::format("DELETE FROM {} {}", name, chosen);
    case Kind::set_if_absent:
      return insert + or_else + "NOTHING";
    case Kind::set_if_present:
      return fmt::format("UPDATE {} SET {} = $2 {}", name, column, chosen);
    case Kind::exchange:
      // Locked: behind another writer it would else be what the row was before that one.
      return fmt::format("WITH before AS (SELECT {}, {} FROM {} {} FOR UPDATE), written AS ({}) SELECT {} FROM before "
                         "ORDER BY {}", key, column, name, chosen, put, column, key);
    default:
      return put;
  }
}

SqlAnswer run_row_statement(SqlConnection& connection, const Operation& operation, const std::string& ids,
                            const RowTable& table, std::string_view column) {
  const std::string sql = row_statement_of(operation, table, column);
  if (!has_argument(operation)) return connection.run(sql, {ids});
  const std::string delta = std::to_string(operation.delta);
  return connection.run(sql, {ids, operation.kind == Kind::increment ? delta : operation.argument});
}

Fit interpret_row_answer(const SqlAnswer& answer, std::size_t rows, Operation& operation) {
  operation.outcome = Outcome::ok;
  const auto wanted = static_cast<int>(rows);
  const int met = answers_count(operation) ? answer.affected() : answer.rows();
  if (met != 0 && met != wanted) return {true, fmt::format("{} of {} rows: {}", met, wanted, describe(operation))};
  if (answers_count(operation)) {
    const bool conditional = operation.kind != Kind::set;
    operation.applied = met == wanted;
    return {conditional || operation.applied, {}};
  }
  const Operation asked = operation;
  for (int row = 0; row < met; ++row) {
    const auto value = answer.field(row, 0);
    if (!value) return {false, {}};
    Operation answered = asked;
    answered.result.emplace(*value);
    std::string torn = row == 0 ? std::string() : difference(operation, answered);
    if (!torn.empty()) return {true, std::move(torn)};
    operation = std::move(answered);
  }
  return {operation.kind != Kind::increment || met == wanted, {}};
}

}  // namespace freshet::checker
