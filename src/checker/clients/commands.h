// Between recorded operations and the Redis protocol: the command of an operation, and what its answer says.
// May use the checker room's history.h and protocol.
#pragma once

#include <string>
#include <vector>

#include "checker/history/history.h"
#include "protocol/reply.h"

namespace freshet::checker {

// The command to send.
std::vector<std::string> command_of(const Operation& operation);

// Completes the operation from its answer. An answer that fits no such command makes a write's outcome unknown and a read
// failed; false then.
bool interpret(const protocol::Reply& reply, Operation& operation);

}  // namespace freshet::checker
