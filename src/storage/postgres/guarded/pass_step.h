// The first statements of a transaction that writes rows: it passes the guards of its keys, and tells those who follow the
// tables. On the storage's loop. May use storage.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "storage/postgres/guarded/row_write.h"
#include "storage/postgres/options.h"

namespace freshet::storage::postgres {

// Of all keys of these requests, read ones included, so that cells are locked in ascending order, once; noted as passed are
// the keys of `writes`. `wait_ms`: how long it may wait for a lock; nothing: as long as its session may.
Step pass_step(const std::vector<const WriteRequest*>& requests, const std::vector<RowWrite*>& writes,
               std::optional<std::int32_t> wait_ms, const PostgresOptions& options);

// Tells whoever follows the tables' changes that these have passed; nothing if nobody follows them.
std::optional<Step> told_step(const std::vector<RowWrite*>& writes);

}  // namespace freshet::storage::postgres
