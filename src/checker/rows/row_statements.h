// Between operations on rows and SQL: the statement of an operation on all of its rows, and what its answer says.
// May use the checker room.
#pragma once

#include <string>

#include "checker/history/history.h"
#include "checker/rows/row_commands.h"
#include "checker/rows/row_table.h"

namespace freshet::checker {

// $1: the rows' primary keys. $2: the value, or the number to add, if the operation has one.
std::string row_statement_of(const Operation& operation, const RowTable& table, std::string_view column);
// Runs it; `ids`: of its rows.
SqlAnswer run_row_statement(SqlConnection& connection, const Operation& operation, const std::string& ids,
                            const RowTable& table, std::string_view column);
// Completes the operation from its answer, which is no error.
Fit interpret_row_answer(const SqlAnswer& answer, std::size_t rows, Operation& operation);

}  // namespace freshet::checker
