// Bookkeeping of operations in flight.
#include "consistency/operations.h"

#include <algorithm>

namespace freshet::consistency {

void begin_fill(KeyOperations& key, const std::shared_ptr<Fill>& fill) {
  if (!key.writes.empty()) fill->overlapped = true;
  key.fills.push_back(fill);
}

void end_fill(KeyOperations& key, const std::shared_ptr<Fill>& fill) { std::erase(key.fills, fill); }

void begin_write(KeyOperations& key, WritePart& part) {
  for (const auto& fill : key.fills) fill->overlapped = true;
  if (key.writes.empty()) {
    key.group = WriteGroup{true, part.guard->slice(), std::nullopt};
  } else {
    part.overlapped = true;
    for (auto* other : key.writes) other->overlapped = true;
    if (key.group.slice != part.guard->slice()) key.group.cacheable = false;
  }
  key.writes.push_back(&part);
}

void begin_outside_write(KeyOperations& key) {
  for (const auto& fill : key.fills) fill->overlapped = true;
  for (auto* write : key.writes) write->overlapped = true;
  key.group.cacheable = false;
}

Settled end_write(KeyOperations& key, WritePart& part, const storage::KeyState* state, bool definite) {
  std::erase(key.writes, &part);
  auto& group = key.group;
  if (!definite) group.cacheable = false;
  // Without a version (rows) nothing says which of two writes was the later one.
  if (part.overlapped && state && state->version == 0) group.cacheable = false;
  if (state && (!group.newest || group.newest->version <= state->version)) group.newest = *state;
  if (!key.writes.empty()) return {};
  Settled settled;
  if (group.cacheable) settled = {std::move(group.newest), group.slice};
  group = WriteGroup{};
  return settled;
}

}  // namespace freshet::consistency
