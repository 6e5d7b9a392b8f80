// The error for an operation on a value of another kind. See storage/storage.h.
#include "storage/storage.h"

namespace freshet::storage {
namespace {

constexpr std::string_view kText = "Operation against a key holding the wrong kind of value";

}  // namespace

Error wrong_kind() { return Error::of(ErrorCode::wrong_type, std::string(kText)); }

bool is_wrong_kind(const Error& error) { return error.code == ErrorCode::wrong_type && error.what == kText; }

}  // namespace freshet::storage
