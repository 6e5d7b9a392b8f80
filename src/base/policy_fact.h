// What an eviction policy tells of itself: a number with a name and not a text, so that those of several shards can be put
// together. May use the standard library.
#pragma once

#include <cstdint>
#include <string_view>

namespace freshet::base {

struct PolicyFact {
  enum class Together : std::uint8_t { sum, mean, greatest };
  std::string_view name;  // Lasts as long as the program.
  double value = 0;
  Together together = Together::sum;  // Of a fact that some do not tell, the mean is that of those that do.
};

}  // namespace freshet::base
