// Statements of writes to rows, and their answers. docs/CONSISTENCY-ROWS.md.
#include "storage/postgres/guarded/write_transaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "storage/passed_keys.h"
#include "storage/postgres/guarded/write_codec.h"
#include "storage/postgres/statements.h"
#include "storage/postgres/text_array.h"

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

// Of an answer to a group: the row of the part at `place`, or one behind the last.
int row_of(const PGresult* rows, int place) {
  int row = 0;
  while (row < PQntuples(rows) && (is_null(rows, row, 2) || int8_at(rows, row, 2) != place)) ++row;
  return row;
}

const PGresult* rows_of(const Reply& reply, std::size_t step) {
  return step < reply.earlier.size() ? reply.earlier[step].get() : reply.rows.get();
}

std::int64_t expiry_ms_of(const Expiry& expiry) {
  return expiry.mode == Expiry::Mode::at ? std::max<std::int64_t>(expiry.ms, 1) : expiry.ms;
}

}  // namespace

Result<std::unique_ptr<WriteTransaction>> WriteTransaction::make(const WriteRequest& request, const RowPlans& plans) {
  std::unique_ptr<WriteTransaction> transaction(new WriteTransaction(request));
  for (std::size_t i = 0; i < request.mutations.size(); ++i) {
    const auto& mutation = request.mutations[i];
    if (const auto* plan = plans.find(mutation.key)) {
      if (auto fault = transaction->add(i, *plan)) return std::move(*fault);
    } else if (mutation.kind == MutationKind::change || !mutation.cells.empty()) {
      return Error::of(ErrorCode::wrong_type, fmt::format("{} is no row: it has no columns", mutation.key));
    } else {
      transaction->pair_places_.push_back(i);
    }
  }
  transaction->pairs_.operation = request.operation;
  transaction->pairs_.all_or_nothing = request.all_or_nothing;
  std::sort(transaction->pair_places_.begin(), transaction->pair_places_.end(), [&](std::size_t left, std::size_t right) {
    return request.mutations[left].key < request.mutations[right].key;
  });
  for (const auto place : transaction->pair_places_) transaction->pairs_.mutations.push_back(request.mutations[place]);
  transaction->are_plain_puts_ = are_plain_puts(transaction->pairs_.mutations);
  std::stable_sort(transaction->parts_.begin(), transaction->parts_.end(), [&](const Part& left, const Part& right) {
    return request.mutations[left.place].key < request.mutations[right.place].key;
  });
  return transaction;
}

std::unique_ptr<WriteTransaction> WriteTransaction::make_merged(const WriteRequest& request, const RowPlans& plans) {
  auto transaction = *make(request, plans);
  transaction->merged_ = true;
  return transaction;
}

std::vector<std::optional<Result<MutationOutcome>>> WriteTransaction::take_each(const Reply& reply) {
  std::vector<std::optional<Result<MutationOutcome>>> outcomes(request_.mutations.size());
  for (auto& part : parts_) outcomes[part.place] = outcome_of(part, reply);
  return outcomes;
}

std::optional<Error> WriteTransaction::add(std::size_t place, const RowPlan& plan) {
  const auto& mutation = request_.mutations[place];
  auto key = plan.split(mutation.key);
  if (!key) return key.error();
  if (has_zero(mutation.key)) return invalid(fmt::format("a key of {} with a zero byte", plan.name()));
  Part part;
  part.place = place;
  part.plan = &plan;
  part.plainly_canonical = plan.is_plainly_canonical_key(*key);
  part.expects_row = mutation.was_present.value_or(true);
  part.key = std::move(*key);
  const auto no = [&](ErrorCode code, std::string why, std::string remedy) {
    return Error::of(code, fmt::format("{} {}", mutation.key, why), std::move(remedy));
  };
  if (mutation.kind == MutationKind::increment || mutation.kind == MutationKind::append || !mutation.value.empty()) {
    return no(ErrorCode::wrong_type, "is a row of a table, not a string", "change its columns");
  }
  const bool sets_expiry = mutation.kind == MutationKind::touch || mutation.expiry.mode == Expiry::Mode::at ||
                           mutation.expiry.mode == Expiry::Mode::after;
  if (sets_expiry && mutation.kind != MutationKind::erase && !plan.has_expiry()) {
    return no(ErrorCode::unsupported, "cannot expire: its collection declares no column for that",
              "declare one: expires_column = \"…\"");
  }
  if (mutation.condition == Condition::if_version && mutation.version != 0 && !plan.has_version()) {
    return no(ErrorCode::unsupported, "has no version: its collection declares no column for that",
              "declare one: version_column = \"…\"");
  }
  if (auto fault = add_cells(part)) return fault;
  look_after_ |= plan.look_after();
  parts_.push_back(std::move(part));
  return std::nullopt;
}

// A whole row (put) may name what the database computes, as reading it gives that too: it is left out.
std::optional<Error> WriteTransaction::add_cells(Part& part) {
  const auto& mutation = mutation_of(part);
  const auto& columns = part.plan->columns();
  for (const auto& cell : mutation.cells) {
    const auto* column = part.plan->find(cell.column);
    if (column == nullptr) {
      std::string known;
      for (const auto& each : columns) known += (known.empty() ? "" : ", ") + each.shown;
      return invalid(fmt::format("there is no column '{}' in {}", cell.column, part.plan->name()),
                     fmt::format("its columns are {}", known));
    }
    const auto no = [&](std::string why, std::string remedy = {}) {
      return invalid(fmt::format("column '{}' of {} {}", cell.column, part.plan->name(), why), std::move(remedy));
    };
    const bool whole = mutation.kind == MutationKind::put;
    if (has_zero(cell.text)) return no("cannot hold a zero byte");
    if (column->key_part > 0) {
      if (cell.kind == Cell::Kind::set && cell.text == part.key[column->key_part - 1]) continue;
      return no("is part of the key, which says something else", "write the row under its own key");
    }
    if (column->computed) {
      if (whole) continue;
      return no("is computed by the database", "leave it out");
    }
    if (cell.kind == Cell::Kind::add && !is_number(column->kind)) {
      return Error::of(ErrorCode::wrong_type,
                       fmt::format("column '{}' of {} is no number: it is {}", cell.column, part.plan->name(),
                                   column->type_sql));
    }
    part.cells.push_back(&cell);
    part.columns.push_back(static_cast<std::size_t>(column - columns.data()));
  }
  return std::nullopt;
}

bool WriteTransaction::inserts(const Part& part) const {
  const auto& mutation = mutation_of(part);
  switch (mutation.condition) {
    case Condition::none: return !part.expects_row;
    case Condition::if_absent: return true;
    case Condition::if_present: return false;
    case Condition::if_version: return mutation.version == 0;
  }
  return false;
}

bool WriteTransaction::guesses(const Part& part) const {
  const auto& mutation = mutation_of(part);
  const bool writes_cells = mutation.kind == MutationKind::put || mutation.kind == MutationKind::change;
  return writes_cells && mutation.condition == Condition::none && !sets_only_if_null(part.cells);
}

// Parts are in ascending order of the keys.
bool WriteTransaction::is_last_of_key(const Part& part) const {
  const auto* next = &part + 1;
  return next == parts_.data() + parts_.size() || mutation_of(*next).key != mutation_of(part).key;
}

// Its own answer does not say what the table finally holds, or why nothing was done.
bool WriteTransaction::needs_look(const Part& part) const {
  const auto& mutation = mutation_of(part);
  if (!is_last_of_key(part)) return false;
  if (attempts_ >= kLookFromAttempt) return true;
  if (look_after_ || mutation.condition == Condition::if_absent || mutation.condition == Condition::if_version) {
    return true;
  }
  switch (mutation.kind) {
    case MutationKind::erase: return part.plan->has_expiry() && mutation.condition != Condition::none;
    case MutationKind::touch:
    case MutationKind::expire: return true;
    default: return mutation.condition == Condition::if_present || sets_only_if_null(part.cells);
  }
}

RowStatement WriteTransaction::main_statement(const Part& part) const {
  const auto& mutation = mutation_of(part);
  const auto& plan = *part.plan;
  RowStatement statement;
  statement.if_version = mutation.condition == Condition::if_version && mutation.version != 0;
  // Several keys: one wrong guess, or one condition where all must hold, takes all back.
  const bool conditional = mutation.condition != Condition::none || sets_only_if_null(part.cells);
  statement.must = !merged_ && request_.mutations.size() > 1 && (guesses(part) || (request_.all_or_nothing && conditional));
  if (mutation.kind == MutationKind::erase || mutation.kind == MutationKind::expire) {
    const bool expires = mutation.kind == MutationKind::expire && plan.has_expiry();
    statement.form = expires ? Form::erase_expired : Form::erase;
    statement.if_live = !expires && plan.has_expiry() && mutation.condition != Condition::none;
    return statement;
  }
  statement.form = inserts(part) ? Form::insert : Form::update;
  statement.if_live = statement.form == Form::update && plan.has_expiry();
  statement.want_before = statement.form == Form::update && mutation.want_before;
  statement.expiry = plan.has_expiry() ? mutation.expiry.mode : Expiry::Mode::keep;
  for (std::size_t i = 0; i < part.cells.size(); ++i) {
    statement.assignments.push_back({part.columns[i], part.cells[i]->kind, false});
    if (plan.columns()[part.columns[i]].sql == plan.text().expires) statement.expiry = Expiry::Mode::keep;
  }
  if (mutation.kind != MutationKind::put || statement.form == Form::insert) return statement;
  for (std::size_t column = 0; column < plan.columns().size(); ++column) {
    const auto& each = plan.columns()[column];
    if (each.key_part > 0 || each.computed || each.sql == plan.text().expires) continue;
    if (std::find(part.columns.begin(), part.columns.end(), column) != part.columns.end()) continue;
    statement.assignments.push_back({column, Cell::Kind::set, true});
  }
  return statement;
}

Parameters WriteTransaction::parameters_of(const Part& part, const RowStatement& statement) const {
  const auto& mutation = mutation_of(part);
  Parameters parameters;
  for (const auto& text : part.key) parameters.add_text(text);
  if (statement.form == Form::update || statement.form == Form::insert) {
    for (const auto* cell : part.cells) {
      if (cell->kind != Cell::Kind::clear) parameters.add_text(cell->text);
    }
  }
  if (statement.if_version) parameters.add_text(std::to_string(mutation.version));
  if (statement.expiry == Expiry::Mode::at || statement.expiry == Expiry::Mode::after) {
    parameters.add_text(std::to_string(expiry_ms_of(mutation.expiry)));
  }
  return parameters;
}

std::vector<Step> WriteTransaction::steps(const PostgresOptions& options) {
  ++attempts_;
  keeps_.clear();
  std::vector<Step> steps;
  add_pass(steps, options);
  add_told(steps);
  pairs_step_ = steps.size();
  if (are_plain_puts_ && !pairs_.mutations.empty()) {
    std::vector<Put> puts;
    for (const auto& put : pairs_.mutations) puts.push_back({&put, pairs_.operation});
    steps.push_back({&statements::kPutMany, encode_puts(puts, options)});
  } else if (!pairs_.mutations.empty()) {
    steps.push_back({pairs_.all_or_nothing ? &statements::kWriteAll : &statements::kWrite, encode_batch(pairs_, options)});
  }
  make_groups();
  std::vector<bool> added(groups_.size());
  for (auto& part : parts_) {
    if (!part.group) {
      add_part(steps, part);
    } else if (!added[*part.group]) {
      added[*part.group] = true;
      add_group(steps, groups_[*part.group]);
    }
  }
  if (look_after_) steps.push_back({&statements::kSetConstraints, {}});
  for (auto& part : parts_) {
    part.look_step.reset();
    if (!needs_look(part)) continue;
    part.look_step = steps.size();
    RowStatement look;
    look.form = Form::look;
    look.if_live = part.plan->has_expiry();
    add_step(steps, part, look);
  }
  return steps;
}

// Of all keys, so that cells are locked in ascending order, once.
void WriteTransaction::add_pass(std::vector<Step>& steps, const PostgresOptions& options) const {
  Parameters parameters;
  add_lock_class(parameters, options);
  parameters.add(options.fleet);
  if (request_.mutations.size() == 1 && request_.also.empty()) {
    const auto& mutation = request_.mutations.front();
    parameters.add(encoded(std::int32_t{base::slot_of(mutation.key)})).add(encoded(mutation.token)).add(mutation.key);
    return steps.push_back({&statements::kPassRow, std::move(parameters)});
  }
  std::set<std::pair<base::Slot, Token>> slots;
  for (const auto& mutation : request_.mutations) slots.emplace(base::slot_of(mutation.key), mutation.token);
  for (const auto& checked : request_.also) slots.emplace(base::slot_of(checked.key), checked.token);
  std::set<std::int32_t> cells;
  ArrayBuilder cell_array(oid::kInt4), slot_array(oid::kInt4), tokens(oid::kUuid);
  for (const auto& [slot, token] : slots) {
    if (cells.insert(base::cell_of(slot)).second) cell_array.add(encoded(std::int32_t{base::cell_of(slot)}));
    slot_array.add(encoded(std::int32_t{slot}));
    tokens.add(encoded(token));
  }
  std::string noted;
  for (const auto& part : parts_) noted += note_passed(mutation_of(part).key);
  parameters.add(cell_array.take()).add(slot_array.take()).add(tokens.take()).add(std::move(noted));
  if (merged_) {
    parameters.add(encoded(kMergedWaitMs));
  } else {
    parameters.add_null();
  }
  steps.push_back({&statements::kPassMany, std::move(parameters)});
}

void WriteTransaction::add_told(std::vector<Step>& steps) const {
  std::string told;
  for (const auto& part : parts_) {
    if (part.plan->collection().spec.followed) told += note_passed(mutation_of(part).key);
  }
  if (told.empty()) return;
  Parameters parameters;
  parameters.add(std::move(told));
  steps.push_back({&statements::kTellPassed, std::move(parameters)});
}

void WriteTransaction::add_step(std::vector<Step>& steps, const Part& part, const RowStatement& statement) {
  auto prepared = part.plan->statement(statement);
  steps.push_back({&prepared->get(), parameters_of(part, statement)});
  keeps_.push_back(std::move(prepared));
}

// The unconditional update of a row's columns, where nothing runs that could tell one statement from several.
bool WriteTransaction::may_group(const Part& part, const RowStatement& statement) const {
  if (statement.form != Form::update || !guesses(part) || part.plan->look_after() || !part.plainly_canonical) return false;
  if (statement.expiry != Expiry::Mode::keep && statement.expiry != Expiry::Mode::clear) return false;
  if (statement.assignments.empty() || !is_last_of_key(part)) return false;
  if (&part != parts_.data() && mutation_of(*(&part - 1)).key == mutation_of(part).key) return false;
  return std::none_of(part.columns.begin(), part.columns.end(), [&](std::size_t column) {
    return part.plan->columns()[column].array_sql.empty();
  });
}

bool WriteTransaction::is_alike(const WriteTransaction& other) const {
  const auto& part = parts_.front();
  const auto& others = other.parts_.front();
  if (part.plan != others.plan || part.columns != others.columns) return false;
  const auto statement = main_statement(part);
  return statement == other.main_statement(others) && may_group(part, statement);
}

void WriteTransaction::make_groups() {
  groups_.clear();
  for (auto& part : parts_) {
    part.statement = main_statement(part);
    part.group.reset();
    if (!grouped_ || attempts_ >= kLookFromAttempt || !may_group(part, part.statement)) continue;
    auto group = std::find_if(groups_.begin(), groups_.end(), [&](const Group& known) {
      return known.front()->plan == part.plan && known.front()->statement == part.statement;
    });
    if (group == groups_.end()) group = groups_.insert(group, Group());
    part.group = static_cast<std::size_t>(group - groups_.begin());
    group->push_back(&part);
    part.place_in_group = static_cast<int>(group->size());
  }
  for (const auto& group : groups_) {
    if (group.size() == 1) group.front()->group.reset();
  }
}

void WriteTransaction::add_group(std::vector<Step>& steps, const Group& group) {
  const auto& plan = *group.front()->plan;
  std::vector<ArrayBuilder> arrays(plan.key_parts(), ArrayBuilder(oid::kText));
  for (const auto* part : group) {
    for (std::size_t i = 0; i < part->key.size(); ++i) arrays[i].add(part->key[i]);
  }
  std::vector<std::string> literals;
  for (std::size_t i = 0; i < group.front()->cells.size(); ++i) {
    if (group.front()->cells[i]->kind == Cell::Kind::clear) continue;
    std::vector<std::string_view> texts;
    for (const auto* part : group) texts.push_back(part->cells[i]->text);
    literals.push_back(array_literal(texts));
  }
  Parameters parameters;
  for (auto& array : arrays) parameters.add(array.take());
  for (auto& literal : literals) parameters.add_text(std::move(literal));
  auto statement = group.front()->statement;
  statement.many = true;
  auto prepared = plan.statement(statement);
  for (auto* part : group) part->first_step = part->main_step = steps.size();
  steps.push_back({&prepared->get(), std::move(parameters)});
  keeps_.push_back(std::move(prepared));
}

void WriteTransaction::add_part(std::vector<Step>& steps, Part& part) {
  part.first_step = steps.size();
  if (!part.plainly_canonical) {
    Parameters key;
    for (const auto& text : part.key) key.add_text(text);
    steps.push_back({&part.plan->canonical_key()->get(), std::move(key)});
  }
  const auto& statement = part.statement;
  if (statement.form == Form::insert && part.plan->has_expiry()) {
    RowStatement expired;
    expired.form = Form::erase_expired;
    add_step(steps, part, expired);
  }
  part.main_step = steps.size();
  add_step(steps, part, statement);
}

std::optional<Result<WriteReply>> WriteTransaction::take(const Reply& reply) {
  WriteReply outcomes(request_.mutations.size(), Error::of(ErrorCode::internal, "storage gave no outcome for this key"));
  if (!pairs_.mutations.empty()) {
    auto pairs = decode_pairs(rows_of(reply, pairs_step_));
    for (std::size_t i = 0; i < pairs.size(); ++i) outcomes[pair_places_[i]] = std::move(pairs[i]);
  }
  for (auto& part : parts_) {
    auto outcome = outcome_of(part, reply);
    if (!outcome) {
      if (attempts_ < kRowAttemptsMax) return std::nullopt;
      return Result<WriteReply>(swallowed(part));
    }
    outcomes[part.place] = std::move(*outcome);
  }
  return Result<WriteReply>(std::move(outcomes));
}

WriteReply WriteTransaction::decode_pairs(const PGresult* rows) const {
  if (!are_plain_puts_) return decode_batch(pairs_.mutations, rows);
  WriteReply reply;
  for (const auto& put : pairs_.mutations) {
    MutationOutcome outcome;
    outcome.applied = true;
    outcome.after = {true, put.value, 0, pairs_.operation, 0};
    if (put.expiry.mode == Expiry::Mode::at) outcome.after.expires_at_ms = expiry_ms_of(put.expiry);
    for (int row = 0; row < PQntuples(rows); ++row) {
      if (bytes_at(rows, row, 0) == put.key) outcome.after.version = static_cast<Version>(int8_at(rows, row, 1));
    }
    reply.emplace_back(std::move(outcome));
  }
  return reply;
}

std::optional<Result<MutationOutcome>> WriteTransaction::outcome_of(Part& part, const Reply& reply) const {
  const auto& mutation = mutation_of(part);
  const auto* main = rows_of(reply, part.main_step);
  const int row = part.group ? row_of(main, part.place_in_group) : 0;
  const bool erases = mutation.kind == MutationKind::erase || mutation.kind == MutationKind::expire;
  MutationOutcome outcome;
  outcome.applied = row < PQntuples(main);
  const bool looked = part.look_step && (look_after_ || !outcome.applied);
  const auto after = looked ? cells_at(rows_of(reply, *part.look_step), 0, 1) : cells_at(main, row, 1);
  // A row past its deadline may stand where a look sees none.
  outcome.after_known = !looked || after || !part.plan->has_expiry();
  if (after) {
    auto state = part.plan->state_of(*after);
    if (!state) return Result<MutationOutcome>(state.error());
    outcome.after = std::move(*state);
  }
  if (mutation.want_before || (outcome.applied && !erases && inserts(part))) {
    outcome.before.emplace();
    if (const auto before = cells_at(main, row, 0)) {
      auto state = part.plan->state_of(*before);
      if (!state) return Result<MutationOutcome>(state.error());
      outcome.before = std::move(*state);
    } else if (!outcome.applied) {
      outcome.before = outcome.after;
    }
  }
  if (mutation.kind == MutationKind::erase && mutation.condition == Condition::none) outcome.applied = true;
  if (outcome.applied || erases || mutation.condition != Condition::none) return Result<MutationOutcome>(std::move(outcome));
  if (mutation.kind == MutationKind::touch || (sets_only_if_null(part.cells) && outcome.after.present)) {
    return Result<MutationOutcome>(std::move(outcome));
  }
  // The row is there and was not updated, or is not there and was not inserted: a trigger wanted it so.
  if (part.look_step && outcome.after.present == part.expects_row) {
    outcome.applied = true;
    return Result<MutationOutcome>(std::move(outcome));
  }
  // What travelled with it is committed: it is not sent again for the sake of one that was no guess.
  if (!merged_ && request_.mutations.size() > 1) return Result<MutationOutcome>(std::move(outcome));
  part.expects_row = !part.expects_row;
  return std::nullopt;
}

bool WriteTransaction::is_of_group(std::size_t step) const {
  return std::any_of(parts_.begin(), parts_.end(), [&](const Part& part) { return part.group && part.main_step == step; });
}

WriteTransaction::Part* WriteTransaction::part_of(std::size_t step) {
  for (auto& part : parts_) {
    if (step >= part.first_step && step <= part.main_step) return &part;
  }
  return nullptr;
}

WriteReply WriteTransaction::nothing_applied() const {
  MutationOutcome outcome;
  outcome.after_known = false;
  return WriteReply(request_.mutations.size(), outcome);
}

Error WriteTransaction::swallowed(const Part& part) const {
  return Error::of(ErrorCode::busy,
                   fmt::format("the table did nothing with {}, {} times: other writers came between, or a trigger swallows "
                               "it; nothing was written", mutation_of(part).key, attempts_),
                   "retry, or write this row alone");
}

std::optional<WriteTransaction::Refusal> WriteTransaction::take_error(const Reply& reply) {
  const auto& error = *reply.error;
  // It does not say which of them.
  if (is_of_group(reply.refused)) {
    grouped_ = false;
    return Refusal{};
  }
  auto* part = part_of(reply.refused);
  if (error.state == sqlstate::kNothingDone) {
    if (part == nullptr || !guesses(*part)) return Refusal{Result<WriteReply>(nothing_applied())};
    part->expects_row = !part->expects_row;
    if (attempts_ < kRowAttemptsMax) return Refusal{};
    return Refusal{Result<WriteReply>(swallowed(*part))};
  }
  const auto class_is = [&](const char* prefix) { return error.state.starts_with(prefix); };
  const bool of_rows = reply.refused > 0 && (class_is("22") || class_is("23") || class_is("42") || class_is("P0") ||
                                             class_is("44") || class_is("2F") || class_is("38") || class_is("0A"));
  if (!of_rows && error.state != sqlstate::kSealed && error.state != sqlstate::kNotCanonical) return std::nullopt;
  return Refusal{Result<WriteReply>(explain(part, error))};
}

// Which column, as far as PostgreSQL says: by its name, by the parameter that is no value of its type, or by the type that
// the message names.
Error WriteTransaction::explain(const Part* part, const SqlError& error) const {
  if (error.state == sqlstate::kNotCanonical) {
    return invalid(error.message, part ? fmt::format("Use {}:{}.", part->plan->name(), error.detail) : "");
  }
  if (error.state == sqlstate::kSealed) return Error::of(ErrorCode::unsupported, error.message, error.hint);
  if (part == nullptr) return invalid(fmt::format("the table refused it ({}): {}", error.state, error.message), error.hint);
  std::string columns;
  const auto name = [&](const std::string& column) {
    columns += fmt::format("{}'{}'", columns.empty() ? "" : ", ", column);
  };
  const auto& all = part->plan->columns();
  std::size_t parameter = part->key.size();
  for (std::size_t i = 0; i < part->cells.size(); ++i) {
    const auto& column = all[part->columns[i]];
    const bool has_parameter = part->cells[i]->kind != Cell::Kind::clear;
    parameter += has_parameter ? 1 : 0;
    if (error.parameter > 0 ? has_parameter && parameter == static_cast<std::size_t>(error.parameter)
                            : error.column.empty() && error.constraint.empty() && error.state.starts_with("22") &&
                                  (part->cells.size() == 1 || error.message.find(column.type_sql) != std::string::npos)) {
      name(column.shown);
    }
  }
  if (!error.column.empty()) {
    const auto sql = quoted_identifier(error.column);
    const auto shown = std::find_if(all.begin(), all.end(), [&](const auto& column) { return column.sql == sql; });
    name(shown == all.end() ? error.column : shown->shown);
  }
  std::string where = columns.empty() ? "" : fmt::format("column {} of ", columns);
  if (!error.constraint.empty()) where = fmt::format("constraint '{}' of ", error.constraint) + where;
  auto what = fmt::format("{}{}: {}", where, part->plan->name(), error.message);
  if (!error.detail.empty() && error.state != "23514") what += fmt::format(" ({})", error.detail);
  return invalid(std::move(what), error.hint);
}

}  // namespace freshet::storage::postgres
