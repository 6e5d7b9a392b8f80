// Which format a trace is in: from its first bytes, and from its name where they leave it open. A pure function. May use
// base only.
#pragma once

#include <cstddef>
#include <string_view>

#include "freshet/result.h"
#include "trace/reader.h"

namespace freshet::trace {

inline constexpr std::size_t kDetectBytes = 16 << 10;

Result<Format> detect_format(std::string_view start, std::string_view name);

}  // namespace freshet::trace
