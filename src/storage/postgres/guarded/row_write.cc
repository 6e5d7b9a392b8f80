// Checking mutations of rows, their statements, and their answers. docs/CONSISTENCY-ROWS.md.
#include "storage/postgres/guarded/row_write.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "storage/postgres/guarded/reply_rows.h"
#include "storage/postgres/guarded/write_codec.h"

namespace freshet::storage::postgres {
namespace {

using Form = RowStatement::Form;

Error invalid(std::string what, std::string remedy = {}) {
  return Error::of(ErrorCode::invalid_argument, std::move(what), std::move(remedy));
}

bool has_zero(std::string_view text) { return text.find('\0') != text.npos; }

bool sets_only_if_null(const std::vector<const Cell*>& cells) {
  return std::any_of(cells.begin(), cells.end(), [](const Cell* cell) { return cell->kind == Cell::Kind::set_if_null; });
}

bool is_number(ColumnKind kind) {
  return kind == ColumnKind::integer || kind == ColumnKind::real || kind == ColumnKind::numeric;
}

// The cell that `column` of a row of `rows` holds; nothing if there is no such row, or NULL.
std::optional<std::string_view> cells_at(const PGresult* rows, int row, int column) {
  if (row >= PQntuples(rows) || is_null(rows, row, column)) return std::nullopt;
  return bytes_at(rows, row, column);
}

// Of an answer to a group: the row of the write at `place`, or one behind the last.
int row_of(const PGresult* rows, int place) {
  const auto is_it = [&](int row) { return !is_null(rows, row, 2) && int8_at(rows, row, 2) == place; };
  // Mostly they come in the order in which they were asked.
  if (place <= PQntuples(rows) && is_it(place - 1)) return place - 1;
  int row = 0;
  while (row < PQntuples(rows) && !is_it(row)) ++row;
  return row;
}

}  // namespace

Result<RowWrite> RowWrite::make(const WriteRequest& request, std::size_t place, const RowPlan& plan) {
  RowWrite write(request, place, plan);
  const auto& mutation = write.mutation();
  auto parts = plan.split(mutation.key);
  if (!parts) return parts.error();
  if (has_zero(mutation.key)) return invalid(fmt::format("a key of {} with a zero byte", plan.name()));
  write.key_parts_ = *std::move(parts);
  write.plainly_canonical_ = plan.is_plainly_canonical_key(write.key_parts_);
  write.expects_row_ = mutation.was_present.value_or(true);
  if (auto fault = write.fault()) return std::move(*fault);
  if (auto fault = write.add_cells()) return std::move(*fault);
  write.statement_ = write.main_statement();
  return write;
}

std::optional<Error> RowWrite::fault() const {
  const auto no = [&](ErrorCode code, std::string why, std::string remedy) {
    return Error::of(code, fmt::format("{} {}", key(), why), std::move(remedy));
  };
  const auto& asked = mutation();
  if (asked.kind == MutationKind::increment || asked.kind == MutationKind::append || !asked.value.empty()) {
    return no(ErrorCode::wrong_type, "is a row of a table, not a string", "change its columns");
  }
  const bool sets_expiry = asked.kind == MutationKind::touch || asked.expiry.mode == Expiry::Mode::at ||
                           asked.expiry.mode == Expiry::Mode::after;
  if (sets_expiry && asked.kind != MutationKind::erase && !plan_->has_expiry()) {
    return no(ErrorCode::unsupported, "cannot expire: its collection declares no column for that",
              "declare one: expires_column = \"…\"");
  }
  if (asked.condition == Condition::if_version && asked.version != 0 && !plan_->has_version()) {
    return no(ErrorCode::unsupported, "has no version: its collection declares no column for that",
              "declare one: version_column = \"…\"");
  }
  return std::nullopt;
}

// A whole row (put) may name what the database computes, as reading it gives that too: it is left out.
std::optional<Error> RowWrite::add_cells() {
  const auto& columns = plan_->columns();
  cells_.reserve(mutation().cells.size());
  columns_.reserve(mutation().cells.size());
  for (const auto& cell : mutation().cells) {
    const auto* column = plan_->find(cell.column);
    if (column == nullptr) {
      std::string known;
      for (const auto& each : columns) known += (known.empty() ? "" : ", ") + each.shown;
      return invalid(fmt::format("there is no column '{}' in {}", cell.column, plan_->name()),
                     fmt::format("its columns are {}", known));
    }
    const auto no = [&](std::string why, std::string remedy = {}) {
      return invalid(fmt::format("column '{}' of {} {}", cell.column, plan_->name(), why), std::move(remedy));
    };
    const bool whole = mutation().kind == MutationKind::put;
    if (has_zero(cell.text)) return no("cannot hold a zero byte");
    if (column->key_part > 0) {
      if (cell.kind == Cell::Kind::set && cell.text == key_parts_[column->key_part - 1]) continue;
      return no("is part of the key, which says something else", "write the row under its own key");
    }
    if (column->computed) {
      if (whole) continue;
      return no("is computed by the database", "leave it out");
    }
    if (cell.kind == Cell::Kind::add && !is_number(column->kind)) {
      return Error::of(ErrorCode::wrong_type, fmt::format("column '{}' of {} is no number: it is {}", cell.column,
                                                          plan_->name(), column->type_sql));
    }
    cells_.push_back(&cell);
    columns_.push_back(static_cast<std::size_t>(column - columns.data()));
  }
  return std::nullopt;
}

void RowWrite::set_place_among(bool is_first_of_key, bool is_last_of_key) {
  is_first_of_key_ = is_first_of_key;
  is_last_of_key_ = is_last_of_key;
}

bool RowWrite::guesses() const {
  const bool writes_cells = mutation().kind == MutationKind::put || mutation().kind == MutationKind::change;
  return writes_cells && mutation().condition == Condition::none && !sets_only_if_null(cells_);
}

void RowWrite::turn_guess() {
  expects_row_ = !expects_row_;
  statement_ = main_statement();
}

bool RowWrite::inserts() const {
  switch (mutation().condition) {
    case Condition::none: return !expects_row_;
    case Condition::if_absent: return true;
    case Condition::if_present: return false;
    case Condition::if_version: return mutation().version == 0;
  }
  return false;
}

RowStatement RowWrite::main_statement() const {
  const auto& asked = mutation();
  RowStatement statement;
  statement.if_version = asked.condition == Condition::if_version && asked.version != 0;
  // Several keys: one wrong guess, or one condition where all must hold, takes all back.
  const bool conditional = asked.condition != Condition::none || sets_only_if_null(cells_);
  statement.must = request_->mutations.size() > 1 && (guesses() || (request_->all_or_nothing && conditional));
  if (asked.kind == MutationKind::erase || asked.kind == MutationKind::expire) {
    const bool expires = asked.kind == MutationKind::expire && plan_->has_expiry();
    statement.form = expires ? Form::erase_expired : Form::erase;
    statement.if_live = !expires && plan_->has_expiry() && asked.condition != Condition::none;
    return statement;
  }
  statement.form = inserts() ? Form::insert : Form::update;
  statement.if_live = statement.form == Form::update && plan_->has_expiry();
  statement.want_before = statement.form == Form::update && asked.want_before;
  statement.expiry = plan_->has_expiry() ? asked.expiry.mode : Expiry::Mode::keep;
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    statement.assignments.push_back({columns_[i], cells_[i]->kind, false});
    if (plan_->columns()[columns_[i]].sql == plan_->text().expires) statement.expiry = Expiry::Mode::keep;
  }
  if (asked.kind == MutationKind::put && statement.form == Form::update) add_defaults(statement);
  return statement;
}

// A whole row: what it does not name becomes what it would be in a new one.
void RowWrite::add_defaults(RowStatement& statement) const {
  for (std::size_t column = 0; column < plan_->columns().size(); ++column) {
    const auto& each = plan_->columns()[column];
    if (each.key_part > 0 || each.computed || each.sql == plan_->text().expires) continue;
    if (std::find(columns_.begin(), columns_.end(), column) != columns_.end()) continue;
    statement.assignments.push_back({column, Cell::Kind::set, true});
  }
}

Parameters RowWrite::parameters_of(const RowStatement& statement) const {
  Parameters parameters;
  for (const auto& text : key_parts_) parameters.add_text(text);
  if (statement.form == Form::update || statement.form == Form::insert) {
    for (const auto* cell : cells_) {
      if (cell->kind != Cell::Kind::clear) parameters.add_text(cell->text);
    }
  }
  if (statement.if_version) parameters.add_text(std::to_string(mutation().version));
  if (statement.expiry == Expiry::Mode::at || statement.expiry == Expiry::Mode::after) {
    parameters.add_text(std::to_string(expiry_ms_of(mutation().expiry)));
  }
  return parameters;
}

bool RowWrite::may_be_grouped() const {
  if (statement_.form != Form::update || !guesses() || plan_->look_after() || asks_for_spelling()) return false;
  if (statement_.expiry != Expiry::Mode::keep && statement_.expiry != Expiry::Mode::clear) return false;
  if (statement_.assignments.empty() || !is_first_of_key_ || !is_last_of_key_) return false;
  return std::none_of(columns_.begin(), columns_.end(),
                      [&](std::size_t column) { return plan_->columns()[column].array_sql.empty(); });
}

bool RowWrite::needs_look() const {
  if (!is_last_of_key_) return false;
  const auto condition = mutation().condition;
  if (condition == Condition::if_absent || condition == Condition::if_version) return true;
  switch (mutation().kind) {
    case MutationKind::erase: return plan_->has_expiry() && condition != Condition::none;
    case MutationKind::touch:
    case MutationKind::expire: return true;
    default: return condition == Condition::if_present || sets_only_if_null(cells_);
  }
}

std::optional<Result<MutationOutcome>> RowWrite::outcome_of(const Reply& reply, bool looked_after) {
  const auto& asked = mutation();
  const auto* main = rows_of(reply, steps.main);
  const int row = steps.place_in_group > 0 ? row_of(main, steps.place_in_group) : 0;
  const bool erases = asked.kind == MutationKind::erase || asked.kind == MutationKind::expire;
  MutationOutcome outcome;
  outcome.applied = row < PQntuples(main);
  const bool looked = steps.look && (looked_after || !outcome.applied);
  const auto after = looked ? cells_at(rows_of(reply, *steps.look), 0, 1) : cells_at(main, row, 1);
  // A row past its deadline may stand where a look sees none.
  outcome.after_known = !looked || after || !plan_->has_expiry();
  if (after) {
    auto state = plan_->state_of(*after);
    if (!state) return Result<MutationOutcome>(state.error());
    outcome.after = std::move(*state);
  }
  if (asked.want_before || (outcome.applied && !erases && inserts())) {
    outcome.before.emplace();
    if (const auto before = cells_at(main, row, 0)) {
      auto state = plan_->state_of(*before);
      if (!state) return Result<MutationOutcome>(state.error());
      outcome.before = std::move(*state);
    } else if (!outcome.applied) {
      outcome.before = outcome.after;
    }
  }
  if (asked.kind == MutationKind::erase && asked.condition == Condition::none) outcome.applied = true;
  if (outcome.applied || erases || asked.condition != Condition::none) return Result<MutationOutcome>(std::move(outcome));
  if (asked.kind == MutationKind::touch || (sets_only_if_null(cells_) && outcome.after.present)) {
    return Result<MutationOutcome>(std::move(outcome));
  }
  // The row is there and was not updated, or is not there and was not inserted: a trigger wanted it so.
  if (steps.look && outcome.after.present == expects_row_) {
    outcome.applied = true;
    return Result<MutationOutcome>(std::move(outcome));
  }
  // What else was asked for is committed: it is not sent again for the sake of one that was no guess.
  if (request_->mutations.size() > 1) return Result<MutationOutcome>(std::move(outcome));
  turn_guess();
  return std::nullopt;
}

// By its name, by the parameter that is no value of its type, or by the type that the message names.
std::string RowWrite::columns_named_by(const SqlError& error) const {
  std::string columns;
  const auto name = [&](const std::string& column) {
    columns += fmt::format("{}'{}'", columns.empty() ? "" : ", ", column);
  };
  const auto& all = plan_->columns();
  std::size_t parameter = key_parts_.size();
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    const auto& column = all[columns_[i]];
    const bool has_parameter = cells_[i]->kind != Cell::Kind::clear;
    parameter += has_parameter ? 1 : 0;
    if (error.parameter > 0 ? has_parameter && parameter == static_cast<std::size_t>(error.parameter)
                            : error.column.empty() && error.constraint.empty() && error.state.starts_with("22") &&
                                  (cells_.size() == 1 || error.message.find(column.type_sql) != std::string::npos)) {
      name(column.shown);
    }
  }
  if (!error.column.empty()) {
    const auto sql = quoted_identifier(error.column);
    const auto shown = std::find_if(all.begin(), all.end(), [&](const auto& column) { return column.sql == sql; });
    name(shown == all.end() ? error.column : shown->shown);
  }
  return columns;
}

Error RowWrite::explain(const SqlError& error) const {
  if (error.state == sqlstate::kNotCanonical) {
    return invalid(error.message, fmt::format("Use {}:{}.", plan_->name(), error.detail));
  }
  const auto columns = columns_named_by(error);
  std::string where = columns.empty() ? "" : fmt::format("column {} of ", columns);
  if (!error.constraint.empty()) where = fmt::format("constraint '{}' of ", error.constraint) + where;
  auto what = fmt::format("{}{}: {}", where, plan_->name(), error.message);
  if (!error.detail.empty() && error.state != "23514") what += fmt::format(" ({})", error.detail);
  return invalid(std::move(what), error.hint);
}

}  // namespace freshet::storage::postgres
