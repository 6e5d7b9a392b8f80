// Texts of statements on rows. Every name is qualified: what stands on the search path is the server's own.
#include "storage/postgres/rows/row_sql.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace freshet::storage::postgres {
namespace {

using Form = RowStatement::Form;

constexpr const char* kRow = "freshet_t";
constexpr const char* kOld = "freshet_o";
constexpr const char* kMany = "freshet_m";  // The parameters, a row for each row to be written.
constexpr const char* kJoin = "OPERATOR(pg_catalog.||)";
constexpr const char* kNextVersion = "pg_catalog.nextval('freshet.version')";

std::string column_of(const std::string& row, const std::string& column) { return row + "." + column; }

// Infinity is no deadline, and minus infinity has passed.
std::string expires_ms_of(const std::string& column) {
  return fmt::format("CASE WHEN {0} = 'infinity' THEN NULL WHEN {0} = '-infinity' THEN '1' ELSE pg_catalog.concat("
                     "pg_catalog.ceil(pg_catalog.date_part('epoch', {0}) * 1000)::pg_catalog.int8) END", column);
}

std::string cells_of(const RowText& text, const std::string& row) {
  std::vector<std::string> cells;
  for (const auto& column : text.shown) cells.push_back(text_of(column_of(row, column)));
  if (!text.version.empty()) cells.push_back(text_of(column_of(row, text.version)));
  if (!text.expires.empty()) cells.push_back(expires_ms_of(column_of(row, text.expires)));
  return array_of(cells);
}

// The n-th parameter, a text; many: of the row.
std::string parameter(std::size_t number, bool many) {
  return many ? fmt::format("{}.p{}", kMany, number) : fmt::format("${}::pg_catalog.text", number);
}

// It as a value of the part's type.
std::string part_value(const KeyPart& part, std::size_t number, bool many = false) {
  return fmt::format("CAST({} AS {})", parameter(number, many), part.type_sql);
}

std::string key_condition(const RowText& text, const std::string& row, bool many = false) {
  std::string condition;
  for (std::size_t i = 0; i < text.parts.size(); ++i) {
    const auto& part = text.parts[i];
    condition += fmt::format("{}{} OPERATOR(pg_catalog.=) {}{}", i == 0 ? "" : " AND ", column_of(row, part.column_sql),
                             part_value(part, i + 1, many), part.collation.empty() ? "" : " COLLATE " + part.collation);
  }
  return condition;
}

// Writes one statement, counting its parameters.
class Writer {
 public:
  Writer(const RowText& text, const std::vector<AssignedColumn>& columns, const RowStatement& statement)
      : text_(text), columns_(columns), statement_(statement), next_(text.parts.size()) {
    for (const auto& assignment : statement.assignments) {
      values_.push_back(assignment.to_default || assignment.kind == Cell::Kind::clear ? 0 : ++next_);
    }
    version_ = statement.if_version ? ++next_ : 0;
  }

  std::string write() {
    switch (statement_.form) {
      case Form::update: return update();
      case Form::insert: return insert();
      case Form::erase: return erase("");
      case Form::erase_expired:
        return erase(fmt::format(" AND {} <= pg_catalog.clock_timestamp()", column_of(kRow, text_.expires)));
      case Form::look: break;
    }
    return fmt::format("SELECT NULL::pg_catalog.text[], {} FROM {} AS {} WHERE {}{}", cells_of(text_, kRow),
                       text_.only_table(), kRow, key_condition(text_, kRow), conditions());
  }

 private:
  std::string value_of(std::size_t i) const {
    const auto& assignment = statement_.assignments[i];
    if (assignment.to_default) return "DEFAULT";
    if (assignment.kind == Cell::Kind::clear) return "NULL";
    const auto& column = columns_[assignment.column];
    // Either is of the column's type.
    const auto value = statement_.many ? parameter(values_[i], true) : fmt::format("${}", values_[i]);
    if (assignment.kind != Cell::Kind::add || statement_.form != Form::update) return value;
    return fmt::format("coalesce({}, 0) OPERATOR(pg_catalog.+) {}", column_of(kRow, column.sql), value);
  }

  std::string expiry() {
    switch (statement_.expiry) {
      case Expiry::Mode::at: return fmt::format("pg_catalog.to_timestamp(${}::pg_catalog.float8 / 1000)", ++next_);
      case Expiry::Mode::after:
        return fmt::format("pg_catalog.clock_timestamp() + ${}::pg_catalog.int8 * pg_catalog.make_interval(secs => 0.001)",
                           ++next_);
      default: return "NULL";
    }
  }
  bool sets_expiry() const { return !text_.expires.empty() && statement_.expiry != Expiry::Mode::keep; }

  // A sealed table's trigger does it for every writer.
  bool draws_version() const { return !text_.sealed && !text_.version.empty(); }

  std::string conditions() const {
    std::string conditions;
    for (const auto& assignment : statement_.assignments) {
      if (assignment.to_default || assignment.kind != Cell::Kind::set_if_null) continue;
      conditions += fmt::format(" AND {} IS NULL", column_of(kRow, columns_[assignment.column].sql));
    }
    if (statement_.if_live) {
      conditions += fmt::format(" AND ({0} IS NULL OR {0} > pg_catalog.clock_timestamp())", column_of(kRow, text_.expires));
    }
    return conditions + if_version();
  }
  std::string if_version() const {
    if (!statement_.if_version) return {};
    return fmt::format(" AND {} = ${}::pg_catalog.int8", column_of(kRow, text_.version), version_);
  }

  std::string update() {
    std::string sets;
    for (std::size_t i = 0; i < statement_.assignments.size(); ++i) {
      const auto& column = columns_[statement_.assignments[i].column];
      sets += fmt::format("{}{} = {}", sets.empty() ? "" : ", ", column.sql, value_of(i));
    }
    if (sets_expiry()) sets += fmt::format("{}{} = {}", sets.empty() ? "" : ", ", text_.expires, expiry());
    if (draws_version()) sets += fmt::format("{}{} = {}", sets.empty() ? "" : ", ", text_.version, kNextVersion);
    if (sets.empty()) {
      const auto& key = text_.parts.front().column_sql;
      sets = fmt::format("{} = {}", key, column_of(kRow, key));
    }
    std::vector<std::string> from;
    std::string where = key_condition(text_, kRow, statement_.many);
    std::string before = "NULL::pg_catalog.text[]";
    if (statement_.many) from.push_back(all_parameters());
    if (statement_.want_before) {
      // The row as it was is the same version of it, or nothing is done: after a wait for another writer the place differs.
      from.push_back(fmt::format("{} AS {}", text_.only_table(), kOld));
      where += fmt::format(" AND {} AND {}.ctid = {}.ctid", key_condition(text_, kOld, statement_.many), kRow, kOld);
      if (text_.partitioned) where += fmt::format(" AND {}.tableoid = {}.tableoid", kRow, kOld);
      before = cells_of(text_, kOld);
    }
    return fmt::format("UPDATE {} AS {} SET {}{}{} WHERE {}{} RETURNING {}, {}{}", text_.only_table(), kRow, sets,
                       from.empty() ? "" : " FROM ", fmt::join(from, ", "), where, conditions(), before,
                       cells_of(text_, kRow), statement_.many ? fmt::format(", {}.place", kMany) : "");
  }

  // Elements are read by the input function of the column's type, as a lone parameter is: a cast from text may be another
  // function.
  std::string array_of_parameter(std::size_t number) const {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      if (values_[i] == number) return columns_[statement_.assignments[i].column].array_sql;
    }
    return "pg_catalog.text[]";
  }

  std::string all_parameters() const {
    std::vector<std::string> arrays;
    std::vector<std::string> names;
    for (std::size_t i = 1; i <= next_; ++i) {
      arrays.push_back(fmt::format("pg_catalog.unnest(${}::{})", i, array_of_parameter(i)));
      names.push_back(fmt::format("p{}", i));
    }
    return fmt::format("ROWS FROM ({}) WITH ORDINALITY AS {}({}, place)", fmt::join(arrays, ", "), kMany,
                       fmt::join(names, ", "));
  }

  std::string insert() {
    std::vector<std::string> names;
    std::vector<std::string> values;
    std::vector<std::string> key;
    for (std::size_t i = 0; i < text_.parts.size(); ++i) {
      key.push_back(text_.parts[i].column_sql);
      values.push_back(part_value(text_.parts[i], i + 1));
    }
    names = key;
    for (std::size_t i = 0; i < statement_.assignments.size(); ++i) {
      names.push_back(columns_[statement_.assignments[i].column].sql);
      values.push_back(value_of(i));
    }
    if (sets_expiry()) {
      names.push_back(text_.expires);
      values.push_back(expiry());
    }
    if (draws_version()) {
      names.push_back(text_.version);
      values.push_back(kNextVersion);
    }
    // Where the row is there after all, nobody complains of columns that it would lack if it were inserted.
    return fmt::format("INSERT INTO {} AS {} ({}) SELECT {} WHERE NOT EXISTS (SELECT FROM {} AS {} WHERE {}) "
                       "ON CONFLICT ({}) DO NOTHING RETURNING NULL::pg_catalog.text[], {}",
                       text_.table, kRow, fmt::join(names, ", "), fmt::join(values, ", "), text_.only_table(), kOld,
                       key_condition(text_, kOld), fmt::join(key, ", "), cells_of(text_, kRow));
  }

  std::string erase(const std::string& condition) const {
    return fmt::format("DELETE FROM {} AS {} WHERE {}{}{} RETURNING {}, NULL::pg_catalog.text[]", text_.only_table(), kRow,
                       key_condition(text_, kRow), condition, conditions(), cells_of(text_, kRow));
  }

  const RowText& text_;
  const std::vector<AssignedColumn>& columns_;
  const RowStatement& statement_;
  std::vector<std::size_t> values_;  // Parameters of the assignments; 0: none.
  std::size_t version_ = 0;
  std::size_t next_;                 // The last parameter's number.
};

// As canonical() brings texts to their form (catalog/key_text.h).
std::string canonical_sql(KeyForm form, const std::string& value) {
  switch (form) {
    case KeyForm::trim_scale: return fmt::format("pg_catalog.concat(pg_catalog.trim_scale({}))", value);
    case KeyForm::positive_zero:
      return fmt::format("pg_catalog.concat(CASE WHEN {0} OPERATOR(pg_catalog.=) 0 THEN 0 ELSE {0} END)", value);
    case KeyForm::trim_blanks: return fmt::format("pg_catalog.rtrim(pg_catalog.concat({}), ' ')", value);
    case KeyForm::as_is: break;
  }
  return fmt::format("pg_catalog.concat({})", value);
}

// Integers hold neither separators nor escapes.
bool is_plain(const KeyPart& part) { return is_plainly_canonical(part.plain_type, "0"); }

}  // namespace

std::string read_rows_sql(const RowText& text) {
  std::vector<std::string> given;
  std::vector<std::string> stored;
  std::string conditions;
  for (std::size_t i = 0; i < text.parts.size(); ++i) {
    const auto& part = text.parts[i];
    const auto column = column_of(kRow, part.column_sql);
    given.push_back(fmt::format("pg_catalog.concat({})", key_name(i)));
    stored.push_back(fmt::format("pg_catalog.concat({})", column));
    conditions += fmt::format("{}{} OPERATOR(pg_catalog.=) {}{}", i == 0 ? "" : " AND ", column, key_name(i),
                              part.collation.empty() ? "" : " COLLATE " + part.collation);
  }
  // The subquery with OFFSET 0 is read once; LIMIT keeps it a look-up for each key, whatever the statistics say.
  return fmt::format(
      "SELECT freshet_c.timeline, freshet_c.ms, freshet_k.place, {}, freshet_r.cells, freshet_r.stored "
      "FROM (SELECT freshet.timeline() AS timeline, freshet.now_ms() AS ms OFFSET 0) freshet_c LEFT JOIN ({}) freshet_k "
      "ON true LEFT JOIN LATERAL (SELECT {} AS cells, {} AS stored FROM {} AS {} WHERE {} LIMIT 1) freshet_r ON true",
      array_of(given), keys_sql(text.parts, 1), cells_of(text, kRow), array_of(stored), text.only_table(), kRow, conditions);
}

std::string row_statement_sql(const RowText& text, const std::vector<AssignedColumn>& columns,
                              const RowStatement& statement) {
  const auto sql = Writer(text, columns, statement).write();
  if (!statement.must) return sql;
  if (statement.many) {
    // The condition has no column, so that it is judged once, and of no rows, too.
    return fmt::format("WITH freshet_w(before, after, place) AS ({}) SELECT w.before, w.after, w.place FROM (SELECT 1) one "
                       "LEFT JOIN freshet_w w ON true WHERE (SELECT freshet.require_done((SELECT pg_catalog.count(*) FROM "
                       "freshet_w) = pg_catalog.cardinality($1::pg_catalog.text[])))", sql);
  }
  return fmt::format("WITH freshet_w(before, after) AS ({}) SELECT w.before, w.after FROM (SELECT 1) one LEFT JOIN "
                     "freshet_w w ON true WHERE freshet.require_done(w.before IS NOT NULL OR w.after IS NOT NULL)", sql);
}

std::string canonical_key_sql(const RowText& text) {
  std::vector<std::string> canonical;
  std::vector<std::string> asked;
  for (std::size_t i = 0; i < text.parts.size(); ++i) {
    canonical.push_back(canonical_sql(text.parts[i].form, part_value(text.parts[i], i + 1)));
    asked.push_back(fmt::format("${}::pg_catalog.text", i + 1));
  }
  return fmt::format("SELECT freshet.require_canonical({}, {})", array_of(asked), array_of(canonical));
}

std::string row_key_sql(const RowText& text, const std::string& row) {
  std::string key = fmt::format("'{}:'", text.collection);
  for (std::size_t i = 0; i < text.parts.size(); ++i) {
    const auto& part = text.parts[i];
    auto value = canonical_sql(part.form, column_of(row, part.column_sql));
    if (text.parts.size() > 1 && !is_plain(part)) {
      // By their numbers: how a backslash in quotes is read is a setting of the session.
      value = fmt::format("pg_catalog.replace(pg_catalog.replace({0}, pg_catalog.chr(92), pg_catalog.chr(92) {1} "
                          "pg_catalog.chr(92)), ':', pg_catalog.chr(92) {1} ':')", value, kJoin);
    }
    key += fmt::format(" {0} {1}{2}", kJoin, i == 0 ? "" : fmt::format("':' {} ", kJoin), value);
  }
  return key;
}

std::string passed_key_sql(const RowText& text, const std::string& row) {
  const auto key = row_key_sql(text, row);
  if (std::all_of(text.parts.begin(), text.parts.end(), is_plain)) return key;
  return fmt::format("pg_catalog.replace(pg_catalog.replace({}, E'\\x1e', E'\\x1e0'), E'\\x1f', E'\\x1e1')", key);
}

}  // namespace freshet::storage::postgres
