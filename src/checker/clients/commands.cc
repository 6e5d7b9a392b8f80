// Commands and answers.
#include "checker/clients/commands.h"

#include "protocol/number.h"

namespace freshet::checker {
namespace {

using protocol::Reply;
using protocol::ReplyType;

// Freshet's prefix for a write that may have been applied, and for a version that did not match.
constexpr std::string_view kUnknownPrefix = "UNKNOWN";
constexpr std::string_view kMismatchPrefix = "VERSIONMISMATCH";

std::uint64_t version_of(const Reply* reply) {
  if (reply == nullptr) return 0;
  if (reply->is(ReplyType::integer)) return reply->integer > 0 ? static_cast<std::uint64_t>(reply->integer) : 0;
  const auto number = protocol::parse_integer(reply->text);
  return number && *number > 0 ? static_cast<std::uint64_t>(*number) : 0;
}

bool interpret_error(const Reply& reply, Operation& operation) {
  const std::string_view text = reply.text;
  if (!is_read(operation) && text.starts_with(kUnknownPrefix)) {
    operation.outcome = Outcome::unknown;
  } else if (operation.kind == Kind::compare_version && text.starts_with(kMismatchPrefix)) {
    operation.applied = false;
  } else {
    operation.outcome = Outcome::failed;
  }
  return true;
}

bool misfit(Operation& operation) {
  operation.outcome = is_read(operation) ? Outcome::failed : Outcome::unknown;
  return false;
}

bool interpret_value(const Reply& reply, Operation& operation) {
  if (!reply.is_null() && !reply.is_text()) return misfit(operation);
  if (reply.is_text()) operation.result = reply.text;
  return true;
}

// FRESHET.GET: names and values; a null value is an absent key.
bool interpret_reading(const Reply& reply, Operation& operation) {
  if (reply.is_null()) return true;
  const Reply* value = reply.find("value");
  const Reply* source = reply.find("source");
  if (value == nullptr || source == nullptr) return misfit(operation);
  operation.version = version_of(reply.find("version"));
  operation.source = source->text == "memory" ? Source::memory : Source::storage;
  return interpret_value(*value, operation);
}

bool interpret_count(const Reply& reply, Operation& operation) {
  if (!reply.is(ReplyType::integer)) return misfit(operation);
  if (operation.kind == Kind::increment) operation.result = std::to_string(reply.integer);
  if (operation.kind == Kind::append) operation.length = reply.integer;
  if (operation.kind == Kind::erase) operation.applied = reply.integer == 1;
  return true;
}

// FRESHET.SET … VERSION: the new version.
bool interpret_swap(const Reply& reply, Operation& operation) {
  if (reply.is_null()) {
    operation.applied = false;
    return true;
  }
  const Reply* named = reply.find("version");
  operation.version = version_of(named != nullptr ? named : &reply);
  return reply.is(ReplyType::integer) || reply.is_text() || named != nullptr ? true : misfit(operation);
}

bool interpret_set(const Reply& reply, Operation& operation) {
  if (reply.is_null() && operation.kind == Kind::set_if_absent) {
    operation.applied = false;
    return true;
  }
  return reply.is_text() && reply.text == "OK" ? true : misfit(operation);
}

}  // namespace

std::vector<std::string> command_of(const Operation& operation) {
  const std::string& key = operation.key;
  switch (operation.kind) {
    case Kind::get:
      return {"GET", key};
    case Kind::get_version:
      return {"FRESHET.GET", key};
    case Kind::increment:
      return {"INCRBY", key, std::to_string(operation.delta)};
    case Kind::append:
      return {"APPEND", key, operation.argument};
    case Kind::erase:
      return {"DEL", key};
    case Kind::set_if_absent:
      return {"SET", key, operation.argument, "NX"};
    case Kind::compare_version:
      return {"FRESHET.SET", key, operation.argument, "VERSION", std::to_string(operation.expected_version)};
    default:
      return {"SET", key, operation.argument};
  }
}

bool interpret(const Reply& reply, Operation& operation) {
  operation.outcome = Outcome::ok;
  if (reply.is_error()) return interpret_error(reply, operation);
  switch (operation.kind) {
    case Kind::get:
      return interpret_value(reply, operation);
    case Kind::get_version:
      return interpret_reading(reply, operation);
    case Kind::increment:
    case Kind::append:
    case Kind::erase:
      return interpret_count(reply, operation);
    case Kind::compare_version:
      return interpret_swap(reply, operation);
    default:
      return interpret_set(reply, operation);
  }
}

}  // namespace freshet::checker
