// Making and destroying entries, and what they cost. See memory/entry.h.
#include "memory/entry.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>

namespace freshet::memory {
namespace {

// How glibc's malloc rounds: chunks of 16 bytes with a header of 8, at least 32; large blocks are mappings of whole pages.
constexpr std::size_t kChunkBytes = 16;
constexpr std::size_t kChunkHeaderBytes = 8;
constexpr std::size_t kChunkBytesMin = 32;
constexpr std::size_t kMappedBytesMin = 128 * 1024;
constexpr std::size_t kPageBytes = 4096;

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

std::size_t Entry::footprint_of(std::size_t key_bytes, std::size_t value_bytes) {
  const std::size_t block = sizeof(Entry) + key_bytes + value_bytes;
  if (block >= kMappedBytesMin) return round_up(block + 2 * kChunkHeaderBytes, kPageBytes);
  return std::max(kChunkBytesMin, round_up(block + kChunkHeaderBytes, kChunkBytes));
}

Entry* Entry::make(const NewEntry& from) {
  assert(from.key.size() + from.value.size() <= kPayloadBytesMax);
  void* block = ::operator new(sizeof(Entry) + from.key.size() + from.value.size());
  auto* entry = new (block) Entry(from);
  char* payload = static_cast<char*>(block) + sizeof(Entry);
  if (!from.key.empty()) std::memcpy(payload, from.key.data(), from.key.size());
  if (!from.value.empty()) std::memcpy(payload + from.key.size(), from.value.data(), from.value.size());
  return entry;
}

Entry::Entry(const NewEntry& from)
    : hash_(from.hash),
      witness_(from.witness),
      version_(from.version),
      expires_at_ms_(from.expires_at_ms),
      key_bytes_(static_cast<std::uint32_t>(from.key.size())),
      value_bytes_(static_cast<std::uint32_t>(from.value.size())),
      present_(from.present) {}

void Entry::destroy(const Entry* entry) {
  entry->~Entry();
  ::operator delete(const_cast<Entry*>(entry));
}

}  // namespace freshet::memory
