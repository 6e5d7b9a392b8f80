// Pinning. See memory/entry.h.
#include "memory/entry.h"

#include <algorithm>
#include <new>

#include "memory/outside_value.h"

namespace freshet::memory {

EntryRef Entry::pin() const {
  const std::size_t payload_bytes = key_.size() + (is_outside() ? 0 : value_.size());
  auto* const block = static_cast<char*>(operator new(sizeof(PinnedEntry) + payload_bytes));
  char* const key = block + sizeof(PinnedEntry);
  char* const behind_key = std::ranges::copy(key_, key).out;
  if (!is_outside()) std::ranges::copy(value_, behind_key);
  const char* const value = is_outside() ? value_.data() : behind_key;
  return EntryRef(new (block) PinnedEntry({key, key_.size()}, {value, value_.size()}, head_));
}

PinnedEntry::PinnedEntry(std::string_view key, std::string_view value, const Head& head) : Entry(key, value, head) {
  if (head.witness) intrusive_ptr_add_ref(head.witness);
  if (head.outside) OutsideValue::hold(value);
}

PinnedEntry::~PinnedEntry() {
  if (head().witness) intrusive_ptr_release(head().witness);
  if (head().outside) OutsideValue::release(value());
}

void PinnedEntry::destroy(const PinnedEntry* entry) {
  entry->~PinnedEntry();
  operator delete(const_cast<PinnedEntry*>(entry));
}

}  // namespace freshet::memory
