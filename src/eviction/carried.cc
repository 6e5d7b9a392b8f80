// See eviction/carried.h.
#include "eviction/carried.h"

#include <algorithm>
#include <cassert>

#include "base/clock.h"

namespace freshet::eviction {

using memory::Entry;

bool Carried::admit(std::uint64_t hash, std::size_t bytes) {
  time_s_ = static_cast<std::uint32_t>(base::now() / base::kSecond);
  return policy().on_miss(access(hash, bytes));
}

void Carried::on_insert(Entry& entry) {
  const exact::Slot slot = entries_.take(&entry);
  entry.set_slot(slot);
  policy().on_insert(slot, access_of(entry));
}

void Carried::on_replace(Entry& earlier, Entry& replacement) {
  const exact::Slot slot = earlier.slot();
  earlier.clear_slot();
  replacement.set_slot(slot);
  entries_[slot] = &replacement;
  if (replacement.footprint() != earlier.footprint()) policy_->on_resize(slot, access_of(replacement).size);
}

void Carried::on_erase(Entry& entry) {
  const exact::Slot slot = entry.slot();
  policy_->on_erase(slot);
  release(slot);
}

Entry* Carried::take_victim() {
  const exact::Slot slot = policy_ ? policy_->take_victim() : exact::kNoSlot;
  if (slot == exact::kNoSlot) {
    assert(entries_.empty());
    policy_.reset();
    entries_ = {};
    return nullptr;
  }
  return release(slot);
}

void Carried::set_capacity(std::size_t bytes) {
  capacity_bytes_ = bytes;
  if (policy_) policy_->set_capacity(bytes);
}

std::size_t Carried::overhead_bytes() const {
  return (policy_ ? policy_->overhead_bytes() : 0) + entries_.bytes();
}

std::vector<memory::PolicyFact> Carried::describe() const {
  return policy_ ? policy_->describe() : std::vector<memory::PolicyFact>();
}

// Entries have at most 4 GiB and a header (memory/entry.h); a policy that takes the largest for a little smaller is none
// the worse.
exact::Access Carried::access(std::uint64_t hash, std::size_t bytes) const {
  const auto size = static_cast<std::uint32_t>(std::min<std::size_t>(bytes, UINT32_MAX));
  return {.key = key_of(hash), .size = size, .time_s = time_s_};
}

exact::Policy& Carried::policy() {
  if (!policy_) {
    policy_ = make_();
    policy_->set_capacity(capacity_bytes_);
  }
  return *policy_;
}

Entry* Carried::release(exact::Slot slot) {
  Entry* const entry = entries_[slot];
  entry->clear_slot();
  entries_.release(slot);
  return entry;
}

}  // namespace freshet::eviction
