// Looking at a table before it is written to.
#include "checker/rows/row_table.h"

#include <fmt/format.h>

#include "base/random.h"

namespace freshet::checker {
namespace {

// A server that has just started may have to wait for its lease first.
constexpr base::Nanoseconds kProbePatience = 10 * base::kSecond;

// The name, the key's column, its type and how many columns the key has, the types of the check's two columns, and what
// stands in the way of rows that have nothing else.
constexpr const char* kDescribe = R"(
SELECT c.oid::regclass, quote_ident(k.attname), k.atttypid::regtype, i.indnkeyatts,
  (SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = c.oid AND attname = 'value' AND NOT attisdropped),
  (SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = c.oid AND attname = 'n' AND NOT attisdropped),
  (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
    WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attnum <> k.attnum
      AND (attnotnull AND NOT atthasdef AND attidentity = '' OR attname IN ('value', 'n') AND (attnotnull OR atthasdef)))
FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
  JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = i.indkey[0]
WHERE c.oid = to_regclass($1))";

Error unfit(const std::string& table, const std::string& what) {
  return Error::of(ErrorCode::invalid_argument, fmt::format("the check cannot use the table {}: {}", table, what),
                   fmt::format("make one for it: {} and serve it as a collection with writes = \"guarded\"; --table names "
                               "it if it is not called as the collection", statement_to_create(table)));
}

Error unfit_target(const std::string& collection, const std::string& what) {
  return Error::of(ErrorCode::invalid_argument, fmt::format("the check cannot use the collection {}: {}", collection, what),
                   fmt::format("serve a table of its own as that collection, with writes = \"guarded\": {}",
                               statement_to_create(collection)));
}

std::string_view text_or_empty(const SqlAnswer& answer, int column) { return answer.field(0, column).value_or(""); }

}  // namespace

std::vector<std::string> rows_of(const TrackedKey& key) {
  if (key.family() != Family::pair) return {key.name()};
  return {key.name() + "-a", key.name() + "-b"};
}

std::string ids_of(const std::vector<std::string>& rows, std::string_view collection) {
  std::string text = "{";
  for (const std::string& row : rows) {
    if (text.size() > 1) text += ',';
    text += std::string_view(row).substr(collection.size() + 1);
  }
  return text + "}";
}

std::string statement_to_create(std::string_view table) {
  return fmt::format("CREATE TABLE {} (key text PRIMARY KEY, {} text, {} bigint);", table, kTextColumn, kNumberColumn);
}

Result<RowTable> find_row_table(SqlConnection& connection, const std::string& table) {
  const SqlAnswer answer = connection.run(kDescribe, {table});
  if (!answer.ok()) return unfit(table, answer.message());
  if (answer.rows() != 1) return unfit(table, "there is no such table with a primary key");
  if (text_or_empty(answer, 2) != "text" || text_or_empty(answer, 3) != "1") {
    return unfit(table, "its primary key is not one column of type text");
  }
  if (text_or_empty(answer, 4) != "text") return unfit(table, "it has no column 'value' of type text");
  if (text_or_empty(answer, 5) != "bigint") return unfit(table, "it has no column 'n' of type bigint");
  if (const auto hindering = answer.field(0, 6)) {
    return unfit(table, fmt::format("its columns {} want a value, or give themselves one", *hindering));
  }
  return RowTable{std::string(text_or_empty(answer, 0)), std::string(text_or_empty(answer, 1))};
}

Result<void> probe_rows(client::Connection& target, const std::string& collection, SqlConnection* connection,
                        const RowTable& table) {
  const base::Nanoseconds deadline = base::now() + kProbePatience;
  const std::string key = fmt::format("{}:freshet-check-{}", collection, base::UniqueId::make().to_text());
  const auto explained = target.call({"FRESHET.EXPLAIN", key}, deadline);
  if (!explained) return explained.error();
  const client::Reply* is = explained->find("collection");
  if (is == nullptr || !is->text.starts_with(collection + " (guarded")) {
    return unfit_target(collection, "the target has no guarded collection of that name");
  }
  const auto written = target.call({"SET", key, R"({"value":"probe","n":1})"}, deadline);
  if (!written) return written.error();
  if (written->is_error()) return unfit_target(collection, written->text);
  bool shown = true;
  if (connection != nullptr) {
    const std::string look = fmt::format("SELECT FROM {} WHERE {} = ANY ($1::text[]) AND value = 'probe' AND n = 1",
                                         table.name, table.key_column);
    shown = connection->run(look, {ids_of({key}, collection)}).rows() == 1;
  }
  (void)target.call({"DEL", key}, deadline);
  if (shown) return {};
  return unfit(table.name, fmt::format("it does not show what the target has written to the collection {}", collection));
}

}  // namespace freshet::checker
