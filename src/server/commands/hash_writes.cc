// Writes of the hash family on rows of guarded tables: their columns. The table judges types and constraints; what is
// cached, and answered from, is what it finally holds. NULL is an absent field. Keys of the key-value table: hash_values.cc.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "protocol/number.h"
#include "server/commands/access.h"
#include "server/commands/handlers.h"
#include "server/commands/hash_values.h"

namespace freshet::server::handlers {
namespace {

using storage::Cell;
using storage::ColumnKind;
using storage::Mutation;
using storage::MutationKind;
using storage::MutationOutcome;

// Else it is one of the key-value table's: those of observed collections, which are read-only, have been refused before.
bool is_guarded_row(const Context& context) {
  return context.engine.kind_of(context.args[1]) == cache::CollectionKind::guarded_row;
}

Mutation change(Context& context) {
  Mutation mutation;
  mutation.kind = MutationKind::change;
  mutation.key = context.args[1];
  mutation.expiry.mode = storage::Expiry::Mode::keep;
  return mutation;
}

// Pairs of fields and values, of a repeated field the last. False after an error reply.
bool read_pairs(Context& context, std::vector<Cell>& cells) {
  const auto args = context.args;
  if (args.size() % 2 != 0) return context.reply.error(wrong_arity_text(to_lower(args[0]))), false;
  for (std::size_t i = 2; i < args.size(); i += 2) {
    const auto known = std::find_if(cells.begin(), cells.end(), [&](const Cell& cell) { return cell.column == args[i]; });
    if (known != cells.end()) {
      known->text = args[i + 1];
    } else {
      cells.push_back({std::string(args[i]), Cell::Kind::set, std::string(args[i + 1])});
    }
  }
  return true;
}

// One column of a state; nothing if it is NULL, or there is no row.
std::optional<std::string_view> field_of(const cache::HitView& view, std::string_view name) {
  if (!view.present || !view.shape) return std::nullopt;
  const auto column = view.shape->find(name);
  return column ? storage::column_of(view.value, *column) : std::nullopt;
}

// How many of the fields went from NULL to a value, or (`to_null`) the other way.
std::int64_t count_crossed(const cache::Engine& engine, std::string_view key, const std::vector<std::string>& fields,
                           const MutationOutcome& outcome, bool to_null) {
  if (!outcome.before || !outcome.applied) return 0;
  const auto before = view_of(engine, key, *outcome.before);
  const auto after = view_of(engine, key, outcome.after);
  return std::count_if(fields.begin(), fields.end(), [&](const std::string& field) {
    const bool was = field_of(before, field).has_value();
    const bool is = field_of(after, field).has_value();
    return was == to_null && is != to_null;
  });
}

std::vector<std::string> fields_of(const std::vector<Cell>& cells) {
  std::vector<std::string> fields;
  for (const auto& cell : cells) fields.push_back(cell.column);
  return fields;
}

// Adds to a column, whose text is then written by `write`.
void add(Context& context, std::string_view delta, void (*write)(protocol::ReplyWriter&, std::string_view)) {
  Mutation mutation = change(context);
  mutation.cells.push_back({std::string(context.args[2]), Cell::Kind::add, std::string(delta)});
  auto done = [key = mutation.key, field = std::string(context.args[2]), write](Session& session,
                                                                               MutationOutcome&& outcome) {
    const auto sum = field_of(view_of(session.engine(), key, outcome.after), field);
    if (!sum) return session.reply().error("ERR the table made NULL of the sum");
    write(session.reply(), *sum);
  };
  write_key(context, std::move(mutation), std::move(done));
}

bool is_finite_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return end == text.data() + text.size() && error == std::errc() && std::isfinite(value);
}

void write_integer(protocol::ReplyWriter& reply, std::string_view text) {
  const auto value = protocol::parse_integer(text);
  if (value) return reply.integer(*value);
  reply.error(fmt::format("ERR the table made '{}' of the sum, which is no integer", text));
}

void write_bulk(protocol::ReplyWriter& reply, std::string_view text) { reply.bulk(text); }

}  // namespace

void hset(Context& context) {
  if (!is_guarded_row(context)) return hash_values::hset(context);
  Mutation mutation = change(context);
  mutation.want_before = true;
  if (!read_pairs(context, mutation.cells)) return;
  auto done = [key = mutation.key, fields = fields_of(mutation.cells)](Session& session, MutationOutcome&& outcome) {
    session.reply().integer(count_crossed(session.engine(), key, fields, outcome, false));
  };
  write_key(context, std::move(mutation), std::move(done));
}

void hmset(Context& context) {
  if (!is_guarded_row(context)) return hash_values::hmset(context);
  Mutation mutation = change(context);
  if (!read_pairs(context, mutation.cells)) return;
  write_key(context, std::move(mutation), [](Session& session, MutationOutcome&&) { session.reply().ok(); });
}

void hsetnx(Context& context) {
  if (!is_guarded_row(context)) return hash_values::hsetnx(context);
  Mutation mutation = change(context);
  mutation.cells.push_back({std::string(context.args[2]), Cell::Kind::set_if_null, std::string(context.args[3])});
  write_key(context, std::move(mutation), [](Session& session, MutationOutcome&& outcome) {
    session.reply().integer(outcome.applied ? 1 : 0);
  });
}

// A name that is no column is an absent field.
void hdel(Context& context) {
  if (!is_guarded_row(context)) return hash_values::hdel(context);
  const auto shape = context.engine.shape_of(context.args[1]);
  Mutation mutation = change(context);
  mutation.condition = storage::Condition::if_present;
  mutation.want_before = true;
  for (const auto field : context.args.subspan(2)) {
    const auto repeated = [&](const Cell& cell) { return cell.column == field; };
    if (!shape->find(field) || std::any_of(mutation.cells.begin(), mutation.cells.end(), repeated)) continue;
    mutation.cells.push_back({std::string(field), Cell::Kind::clear, {}});
  }
  if (mutation.cells.empty()) return context.reply.integer(0);
  auto done = [key = mutation.key, fields = fields_of(mutation.cells)](Session& session, MutationOutcome&& outcome) {
    session.reply().integer(count_crossed(session.engine(), key, fields, outcome, true));
  };
  write_key(context, std::move(mutation), std::move(done));
}

void hincrby(Context& context) {
  if (!is_guarded_row(context)) return hash_values::hincrby(context);
  std::int64_t delta = 0;
  if (!read_integer(context.reply, context.args[3], delta)) return;
  const auto shape = context.engine.shape_of(context.args[1]);
  const auto column = shape->find(context.args[2]);
  if (column && shape->columns[*column].kind != ColumnKind::integer) {
    return context.reply.error(
        fmt::format("ERR hash value is not an integer: nor is the type of column '{}'", context.args[2].substr(0, 128)));
  }
  add(context, context.args[3], write_integer);
}

void hincrbyfloat(Context& context) {
  if (!is_guarded_row(context)) return hash_values::hincrbyfloat(context);
  if (!is_finite_number(context.args[3])) return context.reply.error("ERR value is not a valid float");
  add(context, context.args[3], write_bulk);
}

}  // namespace freshet::server::handlers
