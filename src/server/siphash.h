// SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012): without its key, its values tell
// nothing about what was hashed. May use the standard library only.
#pragma once

#include <cstdint>
#include <string_view>

namespace freshet::server {

struct SipKey {
  std::uint64_t first = 0;   // The key's first eight bytes, least significant first.
  std::uint64_t second = 0;
};

std::uint64_t siphash(const SipKey& key, std::string_view bytes);

}  // namespace freshet::server
