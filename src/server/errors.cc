// The mapping from error codes to prefixes; docs/COMMANDS.md lists it.
#include "server/errors.h"

namespace freshet::server {
namespace {

std::string_view prefix_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_owner:
    case ErrorCode::guard_mismatch: return "TRYAGAIN";
    case ErrorCode::deadline_exceeded: return "TIMEOUT";
    case ErrorCode::unavailable: return "UNAVAILABLE";
    case ErrorCode::unknown_outcome: return "UNKNOWN";
    case ErrorCode::stale: return "STALE";
    case ErrorCode::busy: return "BUSY";
    case ErrorCode::version_mismatch: return "VERSIONMISMATCH";
    case ErrorCode::corrupted: return "CORRUPTED";
    case ErrorCode::wrong_type: return "WRONGTYPE";
    default: return "ERR";
  }
}

}  // namespace

std::string error_text(const Error& error) {
  std::string text(prefix_of(error.code));
  text += ' ';
  if (error.code == ErrorCode::unknown_outcome && error.what.find("may have been applied") == std::string::npos) {
    text += "the write may have been applied: ";
  }
  text += error.what.empty() ? name_of(error.code) : std::string_view(error.what);
  if (!error.remedy.empty()) {
    text += "; ";
    text += error.remedy;
  }
  return text;
}

void write_error(protocol::ReplyWriter& reply, const Error& error) { reply.error(error_text(error)); }

std::string wrong_arity_text(std::string_view command) {
  return "ERR wrong number of arguments for '" + std::string(command) + "' command";
}

}  // namespace freshet::server
