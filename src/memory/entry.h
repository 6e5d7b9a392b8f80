// An entry: what is cached of a key, as those see it who bring it in, look at it under a shard's lock, copy it without the
// lock, or pin it. How it is kept is another matter (memory/segments/record.h). May use memory/mapped.
#pragma once

#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/value_kind.h"
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
  base::ValueKind kind = base::ValueKind::string;
};

// What is known of an entry whose value was copied, a string; of a value larger than the buffer nothing is.
struct EntryCopy {
  bool present = false;
  std::size_t value_bytes = 0;
  std::uint64_t version = 0;
};

class PinnedEntry;
using EntryRef = boost::intrusive_ptr<const PinnedEntry>;

// A view of one. It means something for as long as the shard's lock is held, or the entry is pinned.
class Entry {
 public:
  struct Head {
    std::uint64_t version = 0;
    std::int64_t expires_at_ms = 0;
    const Witness* witness = nullptr;
    bool present = true;
    bool outside = false;  // The value has a block of its own (memory/outside_value.h).
    base::ValueKind kind = base::ValueKind::string;
  };

  Entry(std::string_view key, std::string_view value, const Head& head) : key_(key), value_(value), head_(head) {}

  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }
  std::uint64_t version() const { return head_.version; }
  std::int64_t expires_at_ms() const { return head_.expires_at_ms; }
  bool present() const { return head_.present; }
  base::ValueKind kind() const { return head_.kind; }
  const Witness* witness() const { return head_.witness; }
  bool is_outside() const { return head_.outside; }

  // One that stays. Key and value are copied, but for a value with a block of its own, which is shared.
  EntryRef pin() const;

 protected:
  Entry(const Entry&) = default;
  const Head& head() const { return head_; }

 private:
  std::string_view key_;
  std::string_view value_;
  Head head_;
};

// An entry that a reader keeps, whatever becomes of the table's. Reference-counted, thread-safe.
class PinnedEntry final : public Entry {
 public:
  PinnedEntry(const PinnedEntry&) = delete;
  PinnedEntry& operator=(const PinnedEntry&) = delete;

 private:
  friend class Entry;
  friend void intrusive_ptr_add_ref(const PinnedEntry* entry) { entry->references_.fetch_add(1, std::memory_order_relaxed); }
  friend void intrusive_ptr_release(const PinnedEntry* entry) {
    if (entry->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(entry);
  }

  PinnedEntry(std::string_view key, std::string_view value, const Head& head);
  ~PinnedEntry();
  static void destroy(const PinnedEntry* entry);

  mutable std::atomic<std::uint32_t> references_{0};
};

}  // namespace freshet::memory
