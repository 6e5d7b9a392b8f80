// Between operations on rows and the Redis protocol: the commands of an operation on all of its rows, and what their answers
// say. May use the checker, protocol and storage rooms.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checker/history/history.h"
#include "protocol/reply.h"

namespace freshet::checker {

// Which commands: there are several for most operations.
enum class Form : std::uint8_t {
  field,    // HGET, HSET, HSETNX, HINCRBY, DEL.
  fields,   // HGETALL; else as `field`.
  object,   // GET, SET with the row as a JSON object; else as `field`.
  reading,  // FRESHET.GET, which tells where the answer came from; else as `field`.
};

using Command = std::vector<std::string>;

// An operation as it is sent: by which commands, and on which column.
struct Manner {
  Form form = Form::field;
  std::string_view column;
};

// The commands for one row; as many for each of the operation's rows.
std::vector<Command> row_commands_of(const Operation& operation, const std::string& row, const Manner& manner);

// How the answers fit what was asked.
struct Fit {
  bool fits = true;   // Else the answer belongs to no such command: a write's outcome is unknown, a read has failed.
  std::string torn;   // The answers contradict each other, so that not all rows changed at one moment: how.
};

// Completes the operation from the answers for its rows, in their order.
Fit interpret_rows(std::span<const protocol::Reply> replies, std::size_t rows, const Manner& manner, Operation& operation);
// What an error says of the operation's outcome.
void interpret_row_error(const protocol::Reply& error, Operation& operation);
// What two rows of one operation were answered must be the same; else how they differ.
std::string difference(const Operation& first, const Operation& second);

}  // namespace freshet::checker
