// Logging: one line a message on standard error, with time, level and the room that speaks. A slow reader of standard error
// never stops a caller: messages wait in a queue of kLogQueueMessages and the oldest are dropped when it is full.
//
// Thread-safe. May use fmt; spdlog stays inside log.cc.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace freshet::base {

enum class LogLevel : std::uint8_t { debug, info, warning, error, off };

inline constexpr std::size_t kLogQueueMessages = 8192;

// "debug", "info", "warning", "error", "off".
std::optional<LogLevel> parse_log_level(std::string_view name);
void set_log_level(LogLevel level);
bool log_enabled(LogLevel level);

// Writes one line; line breaks and control characters inside `message` are escaped.
void log_line(LogLevel level, std::string_view room, std::string message);
// Waits until everything logged before is written (for a second at most): before the process ends.
void flush_log();

template <typename... Arguments>
void log(LogLevel level, std::string_view room, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (log_enabled(level)) log_line(level, room, fmt::format(format, std::forward<Arguments>(arguments)...));
}
template <typename... Arguments>
void log_info(std::string_view room, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  log(LogLevel::info, room, format, std::forward<Arguments>(arguments)...);
}
template <typename... Arguments>
void log_warning(std::string_view room, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  log(LogLevel::warning, room, format, std::forward<Arguments>(arguments)...);
}
template <typename... Arguments>
void log_error(std::string_view room, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  log(LogLevel::error, room, format, std::forward<Arguments>(arguments)...);
}

// The message as log_line writes it.
std::string escape_log_message(std::string_view message);

}  // namespace freshet::base
