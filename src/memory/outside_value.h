// A value that is too large to stand in a segment: a block of its own, counted, so that who reads it can keep it without
// copying megabytes under a shard's lock. Known by where its bytes are; the count stands before them.
//
// Thread-safe. Without the shard's lock only who has a reference may touch it. May use memory/mapped.
#pragma once

#include <cstddef>
#include <string_view>

namespace freshet::memory {

class OutsideValue {
 public:
  OutsideValue() = delete;

  // What one costs.
  static std::size_t footprint_of(std::size_t value_bytes);
  // A copy, with one reference. Throws std::bad_alloc as operator new does.
  static std::string_view make(std::string_view value);
  static void hold(std::string_view value);
  static void release(std::string_view value);
};

}  // namespace freshet::memory
