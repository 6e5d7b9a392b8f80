// What one mutation makes of one key's state: a pure function, so that it can be tested without a database.
// May use storage's interface.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "freshet/result.h"
#include "storage/storage.h"

namespace freshet::storage::embedded {

struct Effect {
  bool applied = false;
  KeyState after;  // Without its version: the caller draws one if `applied`. Not applied: the state as it is.
};

// Errors: wrong_type, out_of_range. `now_ms` is the database's clock.
Result<Effect> effect_of(const Mutation& mutation, const KeyState& current, OperationId operation, std::int64_t now_ms);

// Whether the effect or the reply depends on the state before. What does not is written without a read.
bool needs_state(const Mutation& mutation);

// The state as conditions see it: a record past its deadline counts as absent.
KeyState as_seen(const KeyState& state, std::int64_t now_ms);

// A signed 64-bit decimal as Redis reads it: "-" allowed, but no plus sign, no spaces, no leading zeros, no "-0".
std::optional<std::int64_t> parse_integer(std::string_view text);

}  // namespace freshet::storage::embedded
