// Names of error codes, for messages and metrics.
#include "freshet/error.h"

namespace freshet {

std::string_view name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::wrong_type: return "wrong_type";
    case ErrorCode::out_of_range: return "out_of_range";
    case ErrorCode::version_mismatch: return "version_mismatch";
    case ErrorCode::condition_failed: return "condition_failed";
    case ErrorCode::not_owner: return "not_owner";
    case ErrorCode::guard_mismatch: return "guard_mismatch";
    case ErrorCode::deadline_exceeded: return "deadline_exceeded";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::unknown_outcome: return "unknown_outcome";
    case ErrorCode::stale: return "stale";
    case ErrorCode::busy: return "busy";
    case ErrorCode::unsupported: return "unsupported";
    case ErrorCode::corrupted: return "corrupted";
    case ErrorCode::internal: return "internal";
  }
  return "internal";
}

}  // namespace freshet
