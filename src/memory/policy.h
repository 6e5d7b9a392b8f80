// Who leaves when memory is full: what memory asks of the eviction room. A policy either sifts (memory/sifting.h): a whole
// segment is taken, and it judges each of its records; or it sifts and says which segment, by what it has counted of each
// (memory/grouping.h); or it picks single victims (memory/picking.h), for which each record carries four bytes and the shard
// eight, and every hit takes the lock. Each shard has a policy of its own.
// May use base.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <variant>

#include "memory/grouping.h"
#include "memory/picking.h"
#include "memory/sifting.h"

namespace freshet::memory {

using ShardPolicy =
    std::variant<std::unique_ptr<SiftingPolicy>, std::unique_ptr<GroupingPolicy>, std::unique_ptr<PickingPolicy>>;
using PolicyFactory = std::function<ShardPolicy(std::size_t shard_capacity_bytes)>;

}  // namespace freshet::memory
