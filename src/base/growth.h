// Arrays that grow by an eighth: where every byte counts against a limit, the half that std::vector leaves empty as it
// doubles is too much. Nine moves an element in the long run instead of two. May use the standard library.
#pragma once

#include <cstddef>
#include <vector>

namespace freshet::base {

template <typename Value>
void grow_to(std::vector<Value>& values, std::size_t size, const Value& fresh = {}) {
  constexpr std::size_t kLeast = 8;
  if (size > values.capacity()) values.reserve(size + size / 8 + kLeast);
  values.resize(size, fresh);
}

template <typename Value>
void append(std::vector<Value>& values, const Value& value) {
  grow_to(values, values.size() + 1, value);
}

}  // namespace freshet::base
