// Outcomes as text: a table for people, JSON lines for programs. Pure functions.
#pragma once

#include <span>
#include <string>

#include "simulator/simulation.h"

namespace freshet::simulator {

// "64.0 MiB".
std::string size_text(std::uint64_t bytes);
// Miss ratios by policy and size, with speeds and the memory that the policies took.
std::string table_of(const Workload& workload, std::span<const Outcome> outcomes);
// One object a line: {"trace","policy","size_bytes","requests","object_miss_ratio","byte_miss_ratio","requests_per_s",
// "peak_bytes"}.
std::string json_of(const Workload& workload, std::span<const Outcome> outcomes);

}  // namespace freshet::simulator
