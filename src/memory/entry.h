// A cached entry: one immutable block of memory with its header, key and value, counted by references. The table holds one
// reference; a reader that pins an entry holds another and may keep it after it has left the table.
//
// Everything that a reader sees never changes once the entry is made. What the eviction policy keeps in it (the queue's
// links, its mark, the frequency) is touched only under the lock of the shard that holds it. May use base only.
#pragma once

#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "memory/witness.h"

namespace freshet::memory {

// What is to be cached. The table copies the bytes.
struct NewEntry {
  std::string_view key = {};
  std::uint64_t hash = 0;  // base::hash_of(key)
  bool present = true;     // False: the key is known to be absent.
  std::string_view value = {};
  std::uint64_t version = 0;
  std::int64_t expires_at_ms = 0;
  WitnessRef witness = {};
};

class Entry {
 public:
  // Key and value together: their sizes are kept in 32 bits.
  static constexpr std::size_t kPayloadBytesMax = UINT32_MAX;

  // A fresh entry with one reference, which is the caller's. The payload is at most kPayloadBytesMax.
  static Entry* make(const NewEntry& from);

  // What an entry costs: its block as the pool rounds it (memory/block_pool.h).
  static std::size_t footprint_of(std::size_t key_bytes, std::size_t value_bytes);

  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  std::string_view key() const { return {payload(), key_bytes_}; }
  std::string_view value() const { return {payload() + key_bytes_, value_bytes_}; }
  std::uint64_t hash() const { return hash_; }
  std::uint64_t version() const { return version_; }
  std::int64_t expires_at_ms() const { return expires_at_ms_; }
  bool present() const { return present_; }
  const Witness* witness() const { return witness_.get(); }
  std::size_t footprint() const { return footprint_of(key_bytes_, value_bytes_); }

  bool is(std::string_view key, std::uint64_t hash) const { return hash_ == hash && this->key() == key; }

  // For the eviction policy, under the shard's lock: a counter and a mark whose meaning is the policy's own; 0 at first.
  std::uint8_t& frequency() { return frequency_; }
  std::uint8_t& queue() { return queue_; }

  // Brings the lines that a hit reads towards the processor together, instead of one after the other.
  void prefetch() const {
    const char* block = reinterpret_cast<const char*>(this);
    for (std::size_t offset = 0; offset < kPrefetchBytes; offset += kLineBytes) __builtin_prefetch(block + offset);
  }

 private:
  friend class EntryList;
  friend void intrusive_ptr_add_ref(const Entry* entry) { entry->references_.fetch_add(1, std::memory_order_relaxed); }
  friend void intrusive_ptr_release(const Entry* entry) {
    if (entry->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(entry);
  }

  static constexpr std::size_t kLineBytes = 64;
  static constexpr std::size_t kPrefetchBytes = 3 * kLineBytes;  // The header, and a key and value of some 100 bytes.

  explicit Entry(const NewEntry& from);
  ~Entry() = default;
  static void destroy(const Entry* entry);
  static constexpr std::size_t block_bytes_of(std::size_t key_bytes, std::size_t value_bytes) {
    return sizeof(Entry) + key_bytes + value_bytes;
  }

  const char* payload() const { return reinterpret_cast<const char*>(this + 1); }

  // One cache line in all; the payload follows.
  const std::uint64_t hash_;
  const WitnessRef witness_;
  const std::uint64_t version_;
  const std::int64_t expires_at_ms_;
  const std::uint32_t key_bytes_;
  const std::uint32_t value_bytes_;
  mutable std::atomic<std::uint32_t> references_{1};
  const bool present_;
  std::uint8_t frequency_ = 0;
  std::uint8_t queue_ = 0;
  Entry* towards_front_ = nullptr;
  Entry* towards_back_ = nullptr;
};
static_assert(sizeof(Entry) == 64 && alignof(Entry) <= 16);

using EntryRef = boost::intrusive_ptr<const Entry>;

}  // namespace freshet::memory
