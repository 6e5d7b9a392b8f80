// Errors as values: what happened, what to do about it, and whether a retry is safe. Part of the public API; depends on
// the standard library only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace freshet {

enum class ErrorCode : std::uint8_t {
  invalid_argument,   // The request itself is wrong; it would fail again.
  wrong_type,         // The stored value is not of the kind that the operation needs (INCR of "abc").
  out_of_range,       // The result would leave the range of its type (INCR past 2^63-1), or a size its limit.
  version_mismatch,   // compare_and_set: the key is at another version.
  condition_failed,   // A condition such as "only if absent" did not hold.
  not_owner,          // This node does not own the key's slot, or cannot prove that it does.
  guard_mismatch,     // Storage refused the write: its token has been replaced. Not applied.
  deadline_exceeded,  // The deadline passed before the operation had any effect.
  unavailable,        // Storage is out of reach; nothing was applied.
  unknown_outcome,    // A write may or may not have been applied.
  stale,              // No answer as fresh as the read asked for.
  busy,               // A named limit of this node is reached.
  unsupported,        // Not offered; `remedy` names what to use.
  corrupted,          // Stored data failed its own check.
  internal,           // A bug in Freshet.
};

// Whether sending the same operation again is safe.
enum class Retry : std::uint8_t {
  safe,     // Nothing was applied; the same call may succeed later.
  unsafe,   // It may have been applied: an increment sent again may count twice.
  useless,  // It would fail in the same way.
};

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string what;    // What happened and where, in one sentence.
  std::string remedy;  // What to do, in one sentence; may be empty.
  Retry retry = Retry::useless;

  // The error with the code's usual answer to "is a retry safe?".
  static Error of(ErrorCode code, std::string what, std::string remedy = {}) {
    return Error{code, std::move(what), std::move(remedy), default_retry(code)};
  }
  static Retry default_retry(ErrorCode code) {
    switch (code) {
      case ErrorCode::not_owner:
      case ErrorCode::guard_mismatch:
      case ErrorCode::deadline_exceeded:
      case ErrorCode::unavailable:
      case ErrorCode::stale:
      case ErrorCode::busy:
        return Retry::safe;
      case ErrorCode::unknown_outcome:
        return Retry::unsafe;
      default:
        return Retry::useless;
    }
  }
  friend bool operator==(const Error&, const Error&) = default;
};

std::string_view name_of(ErrorCode code);

}  // namespace freshet
