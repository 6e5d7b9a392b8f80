// Every command of Freshet: the table that a server is started with, and the documentation made from it. May use server.
#pragma once

#include "server/command.h"

namespace freshet::server {

const CommandTable& command_table();

// "unknown command 'x', with args beginning with: …", and for well-known commands what to use instead.
std::string unknown_command_text(std::span<const std::string_view> args);

// The documentation of every command, in Markdown: docs/COMMANDS.md.
std::string commands_markdown();

}  // namespace freshet::server
