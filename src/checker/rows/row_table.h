// The rows that `freshet check --rows` works on: what it needs of the collection and of its table, and which rows a tracked
// key stands for. May use the checker, client and storage rooms.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checker/clients/sql_connection.h"
#include "checker/history/tracked_key.h"
#include "client/connection.h"

namespace freshet::checker {

// The columns that the check writes, by their names: texts of registers and pairs, numbers of counters.
inline constexpr std::string_view kTextColumn = "value";
inline constexpr std::string_view kNumberColumn = "n";

struct RowTable {
  std::string name;        // As SQL takes it.
  std::string key_column;  // The same, of the primary key.
};

inline std::string_view column_of(Family family) { return family == Family::counter ? kNumberColumn : kTextColumn; }

// The keys of the rows that hold a tracked key: one, or a pair's two, in ascending order.
std::vector<std::string> rows_of(const TrackedKey& key);
// The primary keys of such rows as the text of an array.
std::string ids_of(const std::vector<std::string>& rows, std::string_view collection);

// What the check asks of a table, as an operator creates it.
std::string statement_to_create(std::string_view table);
// Looks at the table. What is missing comes as an error with the statement that makes one.
Result<RowTable> find_row_table(SqlConnection& connection, const std::string& table);
// Writes a row of `collection` at the target and removes it. With a connection: and sees that it is the table's.
Result<void> probe_rows(client::Connection& target, const std::string& collection, SqlConnection* connection,
                        const RowTable& table);

}  // namespace freshet::checker
