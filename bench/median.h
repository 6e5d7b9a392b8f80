// Of a program's rounds. May use the standard library only.
#pragma once

#include <algorithm>
#include <vector>

namespace freshet {

// The upper one of two in the middle; there must be a value.
inline double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace freshet
