// A cached entry: one immutable block of memory with its header, key and value, counted by references. The table holds one
// reference; a reader that pins an entry holds another and may keep it after it has left the table.
//
// Everything that a reader sees never changes once the entry is made. What the eviction policy keeps in it (the queue's
// links, its mark, the frequency) is touched only under the lock of the shard that holds it.
//
// Readers without the lock (memory/unlocked_reader.h) may still be reading when the entry is gone. So its block comes from
// memory that stays mapped; a payload of a size for which the pool has none stands outlined, in a block of its own that such
// readers leave alone. May use base only.
#pragma once

#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "memory/unlocked_read.h"
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
  bool written = false;    // A write or a change brings it in; else a read that found nothing.
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
  bool present() const { return shape_ & kPresent; }
  const Witness* witness() const { return witness_; }
  std::size_t footprint() const { return footprint_of(key_bytes_, value_bytes_); }

  bool is(std::string_view key, std::uint64_t hash) const { return hash_ == hash && this->key() == key; }

  // For the eviction policy, under the shard's lock: a counter and a mark whose meaning is the policy's own, 0 at first; and
  // for one that keeps no lists of entries (memory/entry_list.h) a number in place of the links. It is taken back by
  // clear_slot() before the entry is forgotten.
  std::uint8_t& frequency() { return frequency_; }
  std::uint8_t& queue() { return queue_; }
  std::uint32_t slot() const { return slot_; }
  void set_slot(std::uint32_t slot) { slot_ = slot; }
  void clear_slot() { towards_front_ = nullptr; }
  // Settled: the policy has nothing to do at this entry's next hit, so that it need not be told (memory/policy.h).
  bool settled() const { return settled_.load(std::memory_order_relaxed); }
  void set_settled(bool settled) { settled_.store(settled, std::memory_order_relaxed); }

  // What a reader without the lock sees of the header, which may be anything until it has validated it.
  struct Glimpse {
    std::uint64_t hash;
    const Witness* witness;
    std::uint64_t version;
    std::int64_t expires_at_ms;
    std::uint32_t key_bytes;
    std::uint32_t value_bytes;
    bool present;
    bool outlined;
    bool settled;
  };
  Glimpse glimpse() const {
    const std::uint8_t shape = peek(shape_);
    return {peek(hash_),        peek(witness_),         peek(version_),          peek(expires_at_ms_), peek(key_bytes_),
            peek(value_bytes_), (shape & kPresent) != 0, (shape & kOutlined) != 0, peek(settled_)};
  }
  // The key and behind it the value, unless outlined.
  const char* inline_payload() const { return reinterpret_cast<const char*>(this) + sizeof(Entry); }

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

  enum Shape : std::uint8_t { kPresent = 1, kOutlined = 2 };

  Entry(const NewEntry& from, char* outlined);
  ~Entry() = default;
  static void destroy(const Entry* entry);
  static bool is_outlined(std::size_t payload_bytes);
  // The entry's own block, which ends with the payload or with where that is.
  static std::size_t block_bytes_of(std::size_t payload_bytes) {
    return sizeof(Entry) + (is_outlined(payload_bytes) ? sizeof(char*) : payload_bytes);
  }

  std::size_t payload_bytes() const { return std::size_t{key_bytes_} + value_bytes_; }
  char*& outlined_payload() const { return *reinterpret_cast<char**>(const_cast<char*>(inline_payload())); }
  const char* payload() const { return shape_ & kOutlined ? outlined_payload() : inline_payload(); }

  // One cache line in all; the payload follows.
  const std::uint64_t hash_;
  const Witness* const witness_;  // Counted.
  const std::uint64_t version_;
  const std::int64_t expires_at_ms_;
  const std::uint32_t key_bytes_;
  const std::uint32_t value_bytes_;
  mutable std::atomic<std::uint32_t> references_{1};
  const std::uint8_t shape_;
  std::uint8_t frequency_ = 0;
  std::uint8_t queue_ = 0;
  std::atomic<bool> settled_{false};
  union {
    Entry* towards_front_ = nullptr;
    std::uint32_t slot_;
  };
  Entry* towards_back_ = nullptr;
};
static_assert(sizeof(Entry) == 64 && alignof(Entry) <= 16);

using EntryRef = boost::intrusive_ptr<const Entry>;

}  // namespace freshet::memory
