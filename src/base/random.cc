// Process-unique ids and entropy.
#include "base/random.h"

#include <sys/random.h>

#include <atomic>
#include <cstdlib>

#include <fmt/format.h>

namespace freshet::base {

std::uint64_t entropy() {
  std::uint64_t bits = 0;
  // getrandom of 8 bytes is never short once the pool is ready, and blocks until then.
  if (getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) std::abort();
  return bits;
}

UniqueId UniqueId::make() {
  static const std::uint64_t process = entropy() | 1;
  static std::atomic<std::uint64_t> counter{entropy() >> 16};
  return {process, counter.fetch_add(1, std::memory_order_relaxed)};
}

std::string UniqueId::to_text() const {
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xffff, low >> 48,
                     low & 0xffffffffffff);
}

std::array<unsigned char, 16> UniqueId::to_bytes() const {
  std::array<unsigned char, 16> bytes;
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<unsigned char>(high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<unsigned char>(low >> (56 - 8 * i));
  }
  return bytes;
}

UniqueId UniqueId::from_bytes(const unsigned char* bytes) {
  UniqueId id;
  for (std::size_t i = 0; i < 8; ++i) {
    id.high = id.high << 8 | bytes[i];
    id.low = id.low << 8 | bytes[8 + i];
  }
  return id;
}

}  // namespace freshet::base
