// The seed of a test that draws another one each time: printed, and given by FRESHET_SEED to repeat a run. May use the
// standard library only.
#pragma once

#include <cstdlib>
#include <iostream>
#include <random>

namespace freshet::testing {

inline unsigned random_seed() {
  const char* given = std::getenv("FRESHET_SEED");
  const unsigned value = given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device()();
  std::cerr << "FRESHET_SEED=" << value << "\n";
  return value;
}

}  // namespace freshet::testing
