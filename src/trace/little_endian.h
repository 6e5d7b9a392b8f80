// Little-endian numbers in packed records. May use nothing.
#pragma once

#include <bit>
#include <cstring>

namespace freshet::trace {

static_assert(std::endian::native == std::endian::little, "numbers are read and written as the processor keeps them");

template <typename Number>
Number load(const char* from) {
  Number number;
  std::memcpy(&number, from, sizeof number);
  return number;
}

template <typename Number>
void store(char* into, Number number) {
  std::memcpy(into, &number, sizeof number);
}

}  // namespace freshet::trace
