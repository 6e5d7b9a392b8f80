// Commands and answers of rows.
#include "checker/rows/row_commands.h"

#include <fmt/format.h>

#include "base/text.h"
#include "checker/rows/row_table.h"
#include "storage/row_parse.h"

namespace freshet::checker {
namespace {

using protocol::Reply;
using protocol::ReplyType;

// Freshet's prefix for a write that may have been applied.
constexpr std::string_view kUnknownPrefix = "UNKNOWN";

std::string object_of(const std::string& value) {
  return fmt::format("{{\"{}\":{}}}", kTextColumn, base::quote_json(value));
}

Command read_command(const std::string& row, const Manner& manner) {
  switch (manner.form) {
    case Form::fields:
      return {"HGETALL", row};
    case Form::object:
      return {"GET", row};
    case Form::reading:
      return {"FRESHET.GET", row};
    default:
      return {"HGET", row, std::string(manner.column)};
  }
}

// The column in a row's JSON. A row without it was written by nobody here.
bool take_object(const Reply& reply, std::string_view column, Operation& operation) {
  if (reply.is_null()) return true;
  const auto cells = reply.is_text() ? storage::parse_row_object(reply.text) : Error::of(ErrorCode::corrupted, "no object");
  if (!cells) return false;
  for (const storage::ParsedCell& cell : *cells) {
    if (cell.name == column) operation.result = cell.text;
  }
  return operation.result.has_value();
}

bool take_reading(const Reply& reply, std::string_view column, Operation& operation) {
  const Reply* value = reply.find("value");
  const Reply* source = reply.find("source");
  if (value == nullptr || source == nullptr) return false;
  operation.source = source->text == "memory" ? Source::memory : Source::storage;
  return take_object(*value, column, operation);
}

bool take_fields(const Reply& reply, std::string_view column, Operation& operation) {
  if (reply.items.empty()) return reply.is(ReplyType::array) || reply.is(ReplyType::map);
  const Reply* value = reply.find(column);
  if (value == nullptr || !value->is_text()) return false;
  operation.result = value->text;
  return true;
}

bool take_field(const Reply& reply, Operation& operation) {
  if (reply.is_text()) operation.result = reply.text;
  return reply.is_text() || reply.is_null();
}

bool take_read(const Reply& reply, const Manner& manner, Operation& operation) {
  switch (manner.form) {
    case Form::object:
      return take_object(reply, manner.column, operation);
    case Form::fields:
      return take_fields(reply, manner.column, operation);
    case Form::reading:
      return take_reading(reply, manner.column, operation);
    default:
      return take_field(reply, operation);
  }
}

// SET, with NX or XX: OK, or null where the condition did not hold.
bool take_set(const Reply& reply, Operation& operation) {
  operation.applied = !reply.is_null();
  const bool conditional = operation.kind != Kind::set;
  return reply.is_null() ? conditional : reply.is_text() && reply.text == "OK";
}

bool take_count(const Reply& reply, Operation& operation) {
  if (!reply.is(ReplyType::integer)) return false;
  if (operation.kind == Kind::increment) {
    operation.result = std::to_string(reply.integer);
  } else if (operation.kind == Kind::set) {
    operation.found = reply.integer == 0;  // HSET: how many fields had no value before.
  } else {
    operation.applied = reply.integer == 1;
  }
  return reply.integer == 0 || reply.integer == 1 || operation.kind == Kind::increment;
}

// Whether the command is a SET.
bool is_set(const Operation& operation, Form form) {
  if (operation.kind == Kind::set_if_present) return true;
  return form == Form::object && operation.kind != Kind::increment && operation.kind != Kind::erase;
}

// One row's answers.
bool take_row(std::span<const Reply> replies, const Manner& manner, Operation& operation) {
  for (const Reply& reply : replies) {
    if (reply.is_error()) return false;
  }
  if (is_read(operation)) return take_read(replies[0], manner, operation);
  if (operation.kind == Kind::exchange) {
    if (manner.form == Form::object) return take_object(replies[0], manner.column, operation);
    operation.found = replies[1].integer == 0;
    return replies[1].is(ReplyType::integer) && take_field(replies[0], operation);
  }
  return is_set(operation, manner.form) ? take_set(replies[0], operation) : take_count(replies[0], operation);
}

}  // namespace

std::vector<Command> row_commands_of(const Operation& operation, const std::string& row, const Manner& manner) {
  const bool object = manner.form == Form::object;
  const std::string column(manner.column);
  const std::string& value = operation.argument;
  switch (operation.kind) {
    case Kind::get:
    case Kind::get_version:
      return {read_command(row, manner)};
    case Kind::increment:
      return {{"HINCRBY", row, column, std::to_string(operation.delta)}};
    case Kind::erase:
      return {{"DEL", row}};
    case Kind::set_if_absent:
      if (object) return {{"SET", row, object_of(value), "NX"}};
      return {{"HSETNX", row, column, value}};
    case Kind::set_if_present:
      return {{"SET", row, object_of(value), "XX"}};
    case Kind::exchange:
      if (object) return {{"SET", row, object_of(value), "GET"}};
      return {{"HGET", row, column}, {"HSET", row, column, value}};
    default:
      if (object) return {{"SET", row, object_of(value)}};
      return {{"HSET", row, column, value}};
  }
}

std::string difference(const Operation& first, const Operation& second) {
  if (first.result == second.result && first.applied == second.applied && first.found == second.found) return {};
  return fmt::format("one row of the pair: {}\n  the other:           {}", describe(first), describe(second));
}

void interpret_row_error(const Reply& error, Operation& operation) {
  const bool unknown = !is_read(operation) && error.text.starts_with(kUnknownPrefix);
  operation.outcome = unknown ? Outcome::unknown : Outcome::failed;
}

Fit interpret_rows(std::span<const Reply> replies, std::size_t rows, const Manner& manner, Operation& operation) {
  operation.outcome = Outcome::ok;
  if (replies.size() == 1 && replies[0].is_error()) {
    interpret_row_error(replies[0], operation);
    return {};
  }
  const std::size_t each = replies.size() / rows;
  const Operation asked = operation;
  for (std::size_t row = 0; row < rows; ++row) {
    Operation answered = asked;
    if (!take_row(replies.subspan(row * each, each), manner, answered)) {
      operation.outcome = is_read(operation) ? Outcome::failed : Outcome::unknown;
      return {false, {}};
    }
    if (answered.kind == Kind::exchange && answered.found && *answered.found != answered.result.has_value()) {
      return {true, "HGET and the HSET behind it in one transaction: " + describe(answered)};
    }
    std::string torn = row == 0 ? std::string() : difference(operation, answered);
    if (!torn.empty()) return {true, std::move(torn)};
    operation = std::move(answered);
  }
  return {};
}

}  // namespace freshet::checker
