// The policies that the table can run, by name. Four sift segments (memory/sifting.h), and most of their hits take no lock;
// the others pick single victims: LRU, and the simulator's objects, carried (eviction/carried.h), of which GL-Cache's learn
// (eviction/learning.h).
// May use memory, eviction/exact and eviction/gl_cache.
#pragma once

#include <span>
#include <string_view>

#include "freshet/result.h"
#include "memory/policy.h"

namespace freshet::eviction {

struct TablePolicy {
  std::string_view name;   // As one types it: "s3fifo". The setting cache.policy lists the same.
  std::string_view title;  // As one writes it: "S3-FIFO".
  memory::PolicyFactory make;
};

inline constexpr std::string_view kDefaultPolicy = "s3fifo";
// The name of none of them: the table chooses by itself (eviction/adaptive).
inline constexpr std::string_view kAutomaticPolicy = "auto";

std::span<const TablePolicy> table_policies();
// Null if there is none of that name.
const TablePolicy* table_policy(std::string_view name);
// The error for a name that is neither one of theirs nor kAutomaticPolicy: it names those there are.
Result<void> check_policy_name(std::string_view name);

}  // namespace freshet::eviction
