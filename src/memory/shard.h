// One shard of the table: its lock, its index, its segments, its policy, and the accounting of its bytes. Every operation
// takes the lock once, but for copies: those of settled entries take none (memory/unlocked_reader.h), and whoever changes
// what they read says so by the sequence.
//
// Memory is the index, the segments in use and one spare one, what the policy keeps, and values too large for a segment,
// which stand outside. Room is made in three ways (shard_room.cc):
//   Neighbours that have become sparse, as records left them, are written together: order and the policy's bytes stay.
//   Segments are sifted (memory/sifting.h): the policy says of each record whether it leaves, stays in its place, or is
//   written anew at the end of a queue. A whole segment, when a segment is needed; what is kept goes into what is left of
//   others and into spare ones, and the sifted one is then spare. If most bytes stand outside, record by record,
//   until enough have left. Which segment: the oldest of the queue that the policy says, or, if the policy ranks segments
//   (memory/grouping.h), the one that it chooses.
//   A policy that picks single victims (memory/picking.h) gives each record a slot, which stands behind it. Who is picked is
//   dead at once; when a twelfth of the segments' bytes is dead, the sparsest segment is written anew.
// May use memory/segments and memory/mapped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/function_ref.h"
#include "base/slot.h"
#include "base/spin_lock.h"
#include "memory/entry.h"
#include "memory/mapped/segment_pool.h"
#include "memory/mapped/sequence.h"
#include "memory/outside_value.h"
#include "memory/policy.h"
#include "memory/segments/index.h"
#include "memory/segments/record.h"
#include "memory/segments/segment_log.h"
#include "memory/unlocked_reader.h"
#include "memory/witness_ids.h"

namespace freshet::memory {

struct ShardStats {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t entry_bytes = 0;
  std::uint64_t index_bytes = 0;
  std::uint64_t policy_bytes = 0;
  std::uint64_t inserted = 0;
  std::uint64_t evicted = 0;
  std::uint64_t erased = 0;
  std::uint64_t too_large = 0;
  std::uint64_t declined = 0;
};

class alignas(64) Shard {
 public:
  // A change takes some hundred nanoseconds: a reader that met two had better wait for the lock.
  static constexpr int kUnlockedTriesMax = 3;
  // A record may take so much of a segment: one in so many parts. Larger values stand outside.
  static constexpr std::size_t kRecordsASegmentMin = 4;
  // Of the segments' bytes so many'th may be dead while a policy picks.
  static constexpr std::size_t kDeadPart = 12;
  // A capacity that changed by less than one in so many parts is not told.
  static constexpr std::size_t kToldPart = 128;

  Shard() = default;
  ~Shard();

  // Once, before any other call.
  void start(std::shared_ptr<SegmentPool> pool, std::size_t capacity_bytes, ShardPolicy policy);

  // As Table::visit says.
  template <typename Visit>
  bool visit(std::string_view key, std::uint64_t hash, Visit&& visitor);
  template <typename Visit>
  bool inspect(std::string_view key, std::uint64_t hash, Visit&& visitor) const;
  // As Table::copy_judged says.
  template <typename Judge>
  bool copy(std::string_view key, std::uint64_t hash, std::span<char> to, EntryCopy& copied, const Judge& judge) {
    return UnlockedReader(index_, witnesses_, sequence_).copy_usual(key, hash, to, copied, judge) ||
           copy_any(key, hash, to, copied, judge());
  }

  // False if it does not fit, or the policy declines it; the key's earlier entry has left all the same. The entry's hash is
  // base::hash_of(key).
  bool insert(const NewEntry& entry);
  // The key has a value that is not to be taken: its earlier entry leaves.
  void refuse(std::string_view key, std::uint64_t hash);
  bool erase(std::string_view key, std::uint64_t hash);
  std::size_t erase_if(base::FunctionRef<bool(const Entry&)> leaves);
  // The records stand in segments of this pool from now on. Those too large for them are evicted, and what no longer fits.
  void set_capacity(std::size_t bytes, const std::shared_ptr<SegmentPool>& pool);
  // `policy` takes over the entries, those first that the earlier policy would have evicted first, or about so. Returns the
  // earlier one, so that whatever its end takes is not waited for under the lock.
  ShardPolicy set_policy(ShardPolicy policy);
  void prefetch(std::uint64_t hash) const { index_.prefetch(hash); }
  void prefetch_entry(std::uint64_t hash) const;
  ShardStats stats() const;
  std::vector<PolicyFact> describe_policy() const;

 private:
  using Record = segments::Record;
  using Head = segments::Head;
  using Contents = segments::Contents;
  using Segment = segments::Segment;
  using SegmentLog = segments::SegmentLog;
  using Slot = PickingPolicy::Slot;

  // Holds the lock, and tells readers without it that what they read is changing.
  class Change {
   public:
    explicit Change(Shard& shard) : shard_(shard), hold_(shard.lock_) { shard_.sequence_.begin_change(); }
    ~Change() { shard_.sequence_.end_change(); }

   private:
    Shard& shard_;
    const std::lock_guard<base::SpinLock> hold_;
  };

  template <typename IsCurrent>
  [[gnu::noinline]] bool copy_any(std::string_view key, std::uint64_t hash, std::span<char> to, EntryCopy& copied,
                                  IsCurrent is_current);
  char* find(std::string_view key, std::uint64_t hash) const;
  Entry view_of(Record record, const Head& head) const;
  static std::uint64_t hash_of(Record record, const Head& head) { return base::hash_of(record.key(head)); }
  static constexpr auto kHashOf = [](const char* at) {
    const Record record(const_cast<char*>(at));
    return hash_of(record, record.head());
  };
  void take_policy(ShardPolicy policy);
  std::unique_ptr<SegmentLog> make_log() const;

  // Bringing in and taking out: shard.cc.
  bool replace_or_add(const NewEntry& entry);
  bool write(const NewEntry& entry, std::size_t queue, std::uint8_t policy_byte);
  bool prepare(const NewEntry& entry, Contents& contents);
  bool overwrite(Record record, const Head& head, const NewEntry& entry);
  bool put_outside(Contents& contents) noexcept;
  void drop_outside(std::string_view value);
  void give_slot(Record record, const Head& head, Slot slot);
  void take_slot(std::uint64_t hash, Record record);
  void join_group(Record record, std::size_t queue, std::size_t bytes, std::uint8_t byte) const;
  void look_at_groups();
  void forget_new(std::uint64_t hash, std::size_t queue, std::uint8_t policy_byte);
  void take_out(Record record);
  void leave_policy(Record record, const Head& head, std::uint64_t hash, std::size_t queue);
  void leave(Record record, const Head& head, std::uint64_t hash);
  void drop(Record record, const Head& head, std::uint64_t hash, std::size_t queue);

  // Making room: shard_room.cc.
  bool fits(std::size_t more_bytes) const { return bytes_beside_segments() + log_->bytes() + more_bytes <= capacity_bytes_; }
  char* make_room(std::size_t queue, std::size_t bytes);
  bool shed();
  bool compact();
  bool pick_or_rewrite();
  bool pick_one();
  bool rewrite_sparsest();
  Segment* segment_to_sift();
  bool sift_segment();
  void sift(Segment& segment);
  bool sift_record();
  void end_round(Segment& segment);
  void evict(Record record, const Head& head, std::uint64_t hash);
  void move(Record record, const Head& head, char* to);
  void move_judged(Record record, const Head& head, std::size_t queue, char* to, std::uint8_t byte);
  char* room_before(Segment* newer, std::size_t queue, Segment*& kept, std::size_t bytes);
  char* room_behind(std::size_t queue, std::size_t bytes);
  void settle();
  void tell_capacity();

  // Another policy, other segments: shard_layout.cc.
  std::vector<char*> in_order_of_leaving();
  void carry_over(Record record);
  void move_to(std::shared_ptr<SegmentPool> pool);

  // Sizes. The largest record, without what a policy puts behind it: of any policy, since the next may be one that picks.
  std::size_t record_bytes_max() const { return log_->record_bytes_max() - sizeof(Slot); }
  std::size_t tail_bytes() const { return picking_ ? sizeof(Slot) : 0; }
  std::size_t policy_bytes() const;
  std::size_t bytes_beside_segments() const;
  std::size_t cost_of(const Head& head) const { return log_->cost_of(head); }
  Slot slot_of(Record record, const Head& head) const;
  std::size_t queue_of(Record record) const { return log_->segment_of(record.address()).queue; }
  Group& group_of(Record record) const { return log_->segment_of(record.address()).group; }

  mutable base::SpinLock lock_;
  Sequence sequence_;
  segments::Index index_;
  WitnessIds witnesses_;
  std::shared_ptr<SegmentPool> pool_;
  std::unique_ptr<SegmentLog> log_;
  std::unique_ptr<SiftingPolicy> sifting_;   // One of these two;
  std::unique_ptr<PickingPolicy> picking_;
  GroupingPolicy* grouping_ = nullptr;       // and the former, if that is what it is.
  std::vector<char*> at_slot_;               // The records by slot; null: free.
  Slot replaced_ = PickingPolicy::kNoSlot;   // The slot of a record that another takes the place of just now.
  bool admitted_ = false;                    // The policy has been asked for a slot for the new record.
  std::size_t capacity_bytes_ = 0;
  std::size_t told_bytes_ = 0;               // The capacity that the policy knows.
  std::size_t outside_bytes_ = 0;
  std::size_t queue_bytes_[SegmentLog::kQueues] = {};  // What the entries of each cost.
  ShardStats counts_;
};

inline Entry Shard::view_of(Record record, const Head& head) const {
  return Entry(record.key(head), record.value(head),
               {.version = head.version,
                .expires_at_ms = head.expires_at_ms,
                .witness = witnesses_.at(head.witness),
                .present = head.present,
                .outside = head.outside,
                .kind = head.kind});
}

template <typename Visit>
bool Shard::visit(std::string_view key, std::uint64_t hash, Visit&& visitor) {
  const std::lock_guard hold(lock_);
  char* const found = find(key, hash);
  if (!found) return false;
  Record record(found);
  const Head head = record.head();
  const Entry entry = view_of(record, head);
  if constexpr (std::is_void_v<std::invoke_result_t<Visit, const Entry&>>) {
    visitor(entry);
  } else {
    if (!visitor(entry)) return false;
  }
  if (picking_) {
    picking_->on_hit(slot_of(record, head), hash, cost_of(head));
  } else {
    const std::uint8_t byte = grouping_ ? grouping_->on_request(group_of(record), hash, cost_of(head), head.policy)
                                        : sifting_->on_hit(head.policy);
    if (byte != head.policy) record.set_policy(byte);
  }
  return true;
}

template <typename Visit>
bool Shard::inspect(std::string_view key, std::uint64_t hash, Visit&& visitor) const {
  const std::lock_guard hold(lock_);
  char* const found = find(key, hash);
  if (!found) return false;
  const Record record(found);
  visitor(static_cast<const Entry&>(view_of(record, record.head())));
  return true;
}

template <typename IsCurrent>
bool Shard::copy_any(std::string_view key, std::uint64_t hash, std::span<char> to, EntryCopy& copied,
                     IsCurrent is_current) {
  for (int tries = 1; tries < kUnlockedTriesMax; ++tries) {  // One has been.
    const Sight sight = UnlockedReader(index_, witnesses_, sequence_).copy(key, hash, to, copied, is_current);
    if (sight == Sight::found) return true;
    if (sight == Sight::absent || sight == Sight::refused) return false;
    if (sight == Sight::locked) break;
  }
  std::string_view outside;  // Copied when the lock is free again.
  const bool taken = visit(key, hash, [&](const Entry& entry) {
    if (entry.kind() != base::ValueKind::string || !is_current(entry.witness(), entry.expires_at_ms())) return false;
    const std::string_view value = entry.value();
    copied = {entry.present(), value.size(), entry.version()};
    if (value.size() > to.size()) return true;
    if (entry.is_outside()) {
      OutsideValue::hold(outside = value);
    } else {
      value.copy(to.data(), to.size());
    }
    return true;
  });
  if (!outside.empty()) {
    outside.copy(to.data(), to.size());
    OutsideValue::release(outside);
  }
  return taken;
}

}  // namespace freshet::memory
