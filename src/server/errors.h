// Errors as clients see them: Redis's prefixes where Redis has the case, words of Freshet's own for the rest.
// May use protocol.
#pragma once

#include <string>
#include <string_view>

#include "freshet/error.h"
#include "protocol/reply_writer.h"

namespace freshet::server {

inline constexpr std::string_view kSyntaxError = "ERR syntax error";
inline constexpr std::string_view kNotAnInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kWrongType = "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr std::string_view kOverflow = "ERR increment or decrement would overflow";
inline constexpr std::string_view kTooLong = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
inline constexpr std::string_view kNoAuthentication = "NOAUTH Authentication required.";

// "TRYAGAIN …", "UNAVAILABLE …": the code's prefix, what happened, and what to do.
std::string error_text(const Error& error);
void write_error(protocol::ReplyWriter& reply, const Error& error);
// "ERR wrong number of arguments for 'get' command".
std::string wrong_arity_text(std::string_view command);

}  // namespace freshet::server
