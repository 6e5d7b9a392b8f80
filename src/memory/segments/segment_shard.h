// One shard of a table whose entries are records in segments: its lock, its index, its segments, its policy, and the
// accounting of its bytes. It is to memory/shard.h's shard what records are to blocks: a head of twelve bytes and a slot of
// eight instead of a header of a line, no rounding, no holes between blocks, and old records thrown out by whole segments.
//
// Memory is the index, the segments in use and one spare one, and values too large for a segment, which stand outside. When
// it is full, a segment is sifted: the policy says of each record whether it leaves, stays in its place, or is written anew
// at the end of a queue. What is kept goes into what is left of a segment and into the spare one; the sifted one is then
// spare. Before that, neighbours that have become sparse, as records left them, are written together: order and the
// policy's bytes stay.
//
// A policy that picks single victims (memory/segments/picking.h) gives each record a slot, which stands behind it. What it
// picks is dead at once; when a twelfth of the segments' bytes is dead, the sparsest segment is written anew.
//
// Readers without the lock follow memory/unlocked_reader.h. What they read stays mapped. May use base and memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "base/slot.h"
#include "base/spin_lock.h"
#include "memory/entry.h"
#include "memory/sequence.h"
#include "memory/segments/compact_index.h"
#include "memory/segments/picking.h"
#include "memory/segments/record.h"
#include "memory/segments/segment_log.h"
#include "memory/segments/sifting.h"
#include "memory/segments/witness_ids.h"
#include "memory/shard.h"
#include "memory/unlocked_reader.h"

namespace freshet::memory::segments {

// An entry as a visitor sees it, under the lock.
class EntryView {
 public:
  EntryView(Record record, const Head& head, const Witness* witness) : record_(record), head_(head), witness_(witness) {}

  std::string_view key() const { return record_.key(head_); }
  std::string_view value() const { return record_.value(head_); }
  std::uint64_t version() const { return head_.version; }
  std::int64_t expires_at_ms() const { return head_.expires_at_ms; }
  bool present() const { return head_.present; }
  const Witness* witness() const { return witness_; }

 private:
  Record record_;
  Head head_;
  const Witness* witness_;
};

class alignas(64) SegmentShard {
 public:
  static constexpr int kUnlockedTriesMax = Shard::kUnlockedTriesMax;
  // A record may take so much of a segment: one in so many parts. Larger values stand outside.
  static constexpr std::size_t kRecordsASegmentMin = 8;

  // Of the segments' bytes so many'th may be dead while a policy picks.
  static constexpr std::size_t kDeadPart = 12;
  // A capacity that changed by less than one in so many parts is not told.
  static constexpr std::size_t kToldPart = 128;

  SegmentShard(SegmentPool& pool, std::size_t capacity_bytes, std::unique_ptr<SiftingPolicy> policy);
  SegmentShard(SegmentPool& pool, std::size_t capacity_bytes, std::unique_ptr<PickingPolicy> policy);
  ~SegmentShard();

  // As Table::visit says.
  template <typename Visit>
  bool visit(std::string_view key, std::uint64_t hash, Visit&& visitor);
  template <typename IsCurrent>
  bool copy(std::string_view key, std::uint64_t hash, std::span<char> to, EntryCopy& copied, IsCurrent&& is_current);
  // False if it does not fit, or the policy declines it; the key's earlier entry has left all the same. The entry's hash is
  // base::hash_of(key).
  bool insert(const NewEntry& entry);
  bool erase(std::string_view key, std::uint64_t hash);
  std::size_t erase_if(base::FunctionRef<bool(const EntryView&)> leaves);
  void set_capacity(std::size_t bytes);
  void prefetch(std::uint64_t hash) const { index_.prefetch(hash); }
  void prefetch_record(std::uint64_t hash) const;
  ShardStats stats() const;

 private:
  using Slot = PickingPolicy::Slot;

  class Change {
   public:
    explicit Change(SegmentShard& shard) : shard_(shard), hold_(shard.lock_) { shard_.sequence_.begin_change(); }
    ~Change() { shard_.sequence_.end_change(); }

   private:
    SegmentShard& shard_;
    const std::lock_guard<base::SpinLock> hold_;
  };

  char* find(std::string_view key, std::uint64_t hash) const;
  template <typename IsCurrent>
  Sight copy_unlocked(std::string_view key, std::uint64_t hash, std::span<char> to, EntryCopy& copied,
                      IsCurrent& is_current) const;

  std::size_t bytes_beside_segments() const;
  bool fits(std::size_t more_bytes) const { return bytes_beside_segments() + log_.bytes() + more_bytes <= capacity_bytes_; }
  char* make_room(std::size_t queue, std::size_t bytes);
  bool make_spare();
  bool compact();
  bool sift_one();
  bool pick_one();
  void rewrite(Segment& segment);
  // What a policy that picks is told of its size: with the value, wherever that stands.
  static std::size_t cost_of(const Head& head) {
    return head.head_bytes + std::size_t{head.key_bytes} + head.value_bytes + sizeof(Slot);
  }
  Slot slot_of(Record record, const Head& head) const;
  void give_slot(Record record, const Head& head, Slot slot);
  void take_slot(const NewEntry& entry, Record record);
  void leave_policy(Record record, const Head& head, std::uint64_t hash);
  void sift(Segment& segment);
  void move(Record record, const Head& head, char* to);
  char* room_before(Segment* newer, std::size_t queue, Segment*& kept, std::size_t bytes);
  char* room_behind(std::size_t queue, std::size_t bytes);
  bool replace_or_add(const NewEntry& entry);
  bool write(const NewEntry& entry, std::size_t queue, std::uint8_t policy_byte);
  bool overwrite(Record record, const Head& head, const NewEntry& entry);
  const char* put_outside(std::string_view value);
  void drop_outside(std::string_view value);
  void leave(Record record, const Head& head, std::uint64_t hash);
  void let_go(Record record, const Head& head);
  void settle();
  void tell_capacity();

  mutable base::SpinLock lock_;
  Sequence sequence_;
  CompactIndex index_;
  WitnessIds witnesses_;
  SegmentLog log_;
  std::unique_ptr<SiftingPolicy> policy_;    // One of these two.
  std::unique_ptr<PickingPolicy> picking_;
  std::vector<char*> at_slot_;               // The records by slot; null: free.
  Slot replaced_ = PickingPolicy::kNoSlot;   // The slot of a record that another takes the place of just now.
  const std::size_t segment_bytes_;
  std::size_t capacity_bytes_;
  std::size_t told_bytes_ = 0;      // The capacity that a policy that picks knows.
  std::size_t outside_bytes_ = 0;
  std::size_t live_bytes_ = 0;      // Of records that are in the index.
  ShardStats counts_;
};

template <typename Visit>
bool SegmentShard::visit(std::string_view key, std::uint64_t hash, Visit&& visitor) {
  const std::lock_guard hold(lock_);
  char* const found = find(key, hash);
  if (!found) return false;
  Record record(found);
  const Head head = record.head();
  if (!visitor(EntryView(record, head, witnesses_.at(head.witness)))) return false;
  if (picking_) {
    picking_->on_hit(slot_of(record, head), hash, cost_of(head));
  } else if (!(head.policy & SiftingPolicy::kSettled)) {
    record.set_policy(policy_->on_hit(head.policy));
  }
  return true;
}

template <typename IsCurrent>
bool SegmentShard::copy(std::string_view key, std::uint64_t hash, std::span<char> to, EntryCopy& copied,
                        IsCurrent&& is_current) {
  for (int tries = 0; tries < kUnlockedTriesMax; ++tries) {
    const Sight sight = copy_unlocked(key, hash, to, copied, is_current);
    if (sight == Sight::found) return true;
    if (sight == Sight::absent || sight == Sight::refused) return false;
    if (sight == Sight::locked) break;
  }
  return visit(key, hash, [&](const EntryView& entry) {
    if (!is_current(entry.witness(), entry.expires_at_ms())) return false;
    copied = {entry.present(), entry.value().size(), entry.version()};
    if (entry.value().size() <= to.size()) entry.value().copy(to.data(), to.size());
    return true;
  });
}

// The steps and what makes each of them safe: memory/unlocked_reader.h.
template <typename IsCurrent>
Sight SegmentShard::copy_unlocked(std::string_view key, std::uint64_t hash, std::span<char> to, EntryCopy& copied,
                                  IsCurrent& is_current) const {
  const Sequence::Value begun = sequence_.now();
  if (Sequence::is_changing(begun)) return Sight::changed;
  const auto still = [&] { return sequence_.is_still(begun); };
  return index_.find_unlocked(hash, still, [&](const char* at) {
    __builtin_prefetch(at + 64);
    const Head seen = Record::glimpse(at);
    if (!still()) return Sight::changed;
    if (seen.key_bytes != key.size()) return Sight::absent;
    if (seen.outside || !(seen.policy & SiftingPolicy::kSettled)) return Sight::locked;
    const char* const payload = at + seen.head_bytes;
    const bool same = peek_equal(payload, key);
    const bool current = is_current(witnesses_.peek_at(seen.witness, still), seen.expires_at_ms);
    if (seen.value_bytes <= to.size()) peek_bytes(payload + seen.key_bytes, seen.value_bytes, to.data());
    if (!still()) return Sight::changed;
    if (!same) return Sight::absent;
    if (!current) return Sight::refused;
    copied = {seen.present, seen.value_bytes, seen.version};
    return Sight::found;
  });
}

}  // namespace freshet::memory::segments
