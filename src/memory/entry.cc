// Making and destroying entries, and what they cost. See memory/entry.h.
#include "memory/entry.h"

#include <cassert>
#include <cstring>
#include <new>

#include "memory/block_pool.h"

namespace freshet::memory {

std::size_t Entry::footprint_of(std::size_t key_bytes, std::size_t value_bytes) {
  return BlockPool::footprint_of(block_bytes_of(key_bytes, value_bytes));
}

Entry* Entry::make(const NewEntry& from) {
  assert(from.key.size() + from.value.size() <= kPayloadBytesMax);
  void* block = BlockPool::shared().allocate(block_bytes_of(from.key.size(), from.value.size()));
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
  const std::size_t bytes = block_bytes_of(entry->key_bytes_, entry->value_bytes_);
  entry->~Entry();
  BlockPool::shared().free(const_cast<Entry*>(entry), bytes);
}

}  // namespace freshet::memory
