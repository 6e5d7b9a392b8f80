// One request of a trace, whatever format it came in, and the mixing of ids into hashes. May use base only.
#pragma once

#include <cstdint>

namespace freshet::trace {

// A `write` is of a block device: an access as any other. A `store` puts a value into a cache: it brings the object in, or
// changes its size, and asks for nothing.
enum class Operation : std::uint8_t { read, write, erase, store };

struct Record {
  std::uint64_t key = 0;   // A well-mixed hash of the trace's id or key.
  std::uint32_t size = 0;  // Bytes of the object, at most kSizeMax.
  std::uint32_t time_s = 0;
  Operation operation = Operation::read;
  friend bool operator==(const Record&, const Record&) = default;
};

inline constexpr std::uint32_t kSizeMax = UINT32_MAX - 1;

// One to one, and every bit of the result depends on every bit of the id (the finaliser of SplitMix64).
constexpr std::uint64_t mix(std::uint64_t id) {
  id = (id ^ (id >> 30)) * 0xbf58476d1ce4e5b9;
  id = (id ^ (id >> 27)) * 0x94d049bb133111eb;
  return id ^ (id >> 31);
}

}  // namespace freshet::trace
