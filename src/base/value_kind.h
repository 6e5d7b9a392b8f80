// What the value of a key is: told beside its bytes, from storage to memory. May use nothing.
#pragma once

#include <cstdint>

namespace freshet::base {

// The numbers are those of records in storage.
enum class ValueKind : std::uint8_t {
  string = 0,  // Any bytes; a row's too, whose form its collection knows.
  hash = 1,    // Fields and their values (storage/hash_fields.h).
};

}  // namespace freshet::base
