// Changes of a hash of the key-value table, as decisions of Engine::update_locked: its fields are read, changed and written
// whole. May use cache.
#pragma once

#include <functional>

#include "cache/engine.h"
#include "storage/hash_fields.h"

namespace freshet::cache {

// Changes the fields; false: leaves them as they are, and nothing is written. It may be called again, with other fields.
// What it gives to the fields must live as long as it does.
using ChangeFields = std::function<Result<bool>(storage::HashFields& fields)>;

// An absent key has no fields, and one that has none left goes. The expiry stays, or becomes `expiry`. Errors of the
// decision: wrong_type (it is a string), out_of_range (the hash would be too large), corrupted.
Decide deciding_on_fields(ChangeFields change, storage::Expiry expiry = {storage::Expiry::Mode::keep, 0});

}  // namespace freshet::cache
