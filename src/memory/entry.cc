// Making and destroying entries, and what they cost. See memory/entry.h.
#include "memory/entry.h"

#include <cassert>
#include <cstring>
#include <new>

#include "memory/block_pool.h"

namespace freshet::memory {

bool Entry::is_outlined(std::size_t payload_bytes) { return !BlockPool::stays_mapped(sizeof(Entry) + payload_bytes); }

std::size_t Entry::footprint_of(std::size_t key_bytes, std::size_t value_bytes) {
  const std::size_t payload_bytes = key_bytes + value_bytes;
  const std::size_t own = BlockPool::footprint_of(block_bytes_of(payload_bytes));
  return is_outlined(payload_bytes) ? own + BlockPool::footprint_of(payload_bytes) : own;
}

Entry* Entry::make(const NewEntry& from) {
  const std::size_t payload_bytes = from.key.size() + from.value.size();
  assert(payload_bytes <= kPayloadBytesMax);
  BlockPool& pool = BlockPool::shared();
  void* const block = pool.allocate(block_bytes_of(payload_bytes));
  char* payload = static_cast<char*>(block) + sizeof(Entry);
  const bool outlined = is_outlined(payload_bytes);
  if (outlined) {
    try {
      payload = static_cast<char*>(pool.allocate(payload_bytes));
    } catch (const std::bad_alloc&) {
      pool.free(block, block_bytes_of(payload_bytes));
      throw;
    }
  }
  if (!from.key.empty()) std::memcpy(payload, from.key.data(), from.key.size());
  if (!from.value.empty()) std::memcpy(payload + from.key.size(), from.value.data(), from.value.size());
  return new (block) Entry(from, outlined ? payload : nullptr);
}

Entry::Entry(const NewEntry& from, char* outlined)
    : hash_(from.hash),
      witness_(from.witness.get()),
      version_(from.version),
      expires_at_ms_(from.expires_at_ms),
      key_bytes_(static_cast<std::uint32_t>(from.key.size())),
      value_bytes_(static_cast<std::uint32_t>(from.value.size())),
      shape_(static_cast<std::uint8_t>((from.present ? kPresent : 0) | (outlined ? kOutlined : 0))) {
  if (witness_) intrusive_ptr_add_ref(witness_);
  if (outlined) outlined_payload() = outlined;
}

void Entry::destroy(const Entry* entry) {
  BlockPool& pool = BlockPool::shared();
  const std::size_t payload_bytes = entry->payload_bytes();
  if (entry->shape_ & kOutlined) pool.free(entry->outlined_payload(), payload_bytes);
  if (entry->witness_) intrusive_ptr_release(entry->witness_);
  entry->~Entry();
  pool.free(const_cast<Entry*>(entry), block_bytes_of(payload_bytes));
}

}  // namespace freshet::memory
