// Changing a shard of records. See memory/segments/segment_shard.h.
#include "memory/segments/segment_shard.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "memory/block_pool.h"

namespace freshet::memory::segments {
namespace {

constexpr auto kHashOf = [](const char* at) {
  const Record record(const_cast<char*>(at));
  return base::hash_of(record.key(record.head()));
};

Contents contents_of(const NewEntry& entry) {
  return {.key = entry.key,
          .value = entry.value,
          .version = entry.version,
          .expires_at_ms = entry.expires_at_ms,
          .present = entry.present};
}

}  // namespace

SegmentShard::SegmentShard(SegmentPool& pool, std::size_t capacity_bytes, std::unique_ptr<SiftingPolicy> policy)
    : log_(pool), policy_(std::move(policy)), segment_bytes_(pool.segment_bytes()), capacity_bytes_(capacity_bytes) {
  policy_->set_capacity(capacity_bytes);
}

SegmentShard::SegmentShard(SegmentPool& pool, std::size_t capacity_bytes, std::unique_ptr<PickingPolicy> policy)
    : log_(pool, sizeof(Slot)), picking_(std::move(policy)), segment_bytes_(pool.segment_bytes()),
      capacity_bytes_(capacity_bytes) {
  tell_capacity();
}

SegmentShard::~SegmentShard() {
  log_.for_each([&](Record record, const Head& head) {
    if (head.outside) drop_outside(record.value(head));
  });
}

char* SegmentShard::find(std::string_view key, std::uint64_t hash) const {
  return index_.find(hash, [&](char* at) {
    const Record record(at);
    return record.key(record.head()) == key;
  });
}

void SegmentShard::prefetch_record(std::uint64_t hash) const {
  const Sequence::Value begun = sequence_.now();
  const char* const record =
      index_.guess(hash, [&] { return !Sequence::is_changing(begun) && sequence_.is_still(begun); });
  for (std::size_t line = 0; record && line < 3; ++line) __builtin_prefetch(record + line * 64);
}

std::size_t SegmentShard::bytes_beside_segments() const {
  const std::size_t policy = picking_ ? picking_->overhead_bytes() + at_slot_.capacity() * sizeof(char*)
                                      : policy_->overhead_bytes();
  return index_.bytes() + outside_bytes_ + policy + witnesses_.bytes();
}

// Room at the queue's end. Null if even an empty shard has none.
char* SegmentShard::make_room(std::size_t queue, std::size_t bytes) {
  for (;;) {
    if (char* const room = log_.append(queue, bytes)) return room;
    if (log_.spare() > 1 || fits(segment_bytes_ * (2 - log_.spare()))) {
      log_.add_segment(queue);
    } else if (!make_spare()) {
      return nullptr;
    }
  }
}

// A step towards a spare segment; false if there is nothing to make it of.
bool SegmentShard::make_spare() {
  if (!picking_) return compact() || sift_one();
  if (log_.dead_bytes() * kDeadPart < log_.bytes() && pick_one()) return true;
  Segment* const sparsest = log_.sparsest();
  if (sparsest) rewrite(*sparsest);
  return sparsest != nullptr;
}

// Who is picked is dead at once. False if there is nobody.
bool SegmentShard::pick_one() {
  const Slot slot = picking_->take_victim();
  if (slot == PickingPolicy::kNoSlot) return false;
  if (slot == replaced_) {
    replaced_ = PickingPolicy::kNoSlot;
    return true;
  }
  const Record record(std::exchange(at_slot_[slot], nullptr));
  const Head head = record.head();
  leave(record, head, base::hash_of(record.key(head)));
  ++counts_.evicted;
  return true;
}

// What is alive in it, at the queue's end.
void SegmentShard::rewrite(Segment& segment) {
  log_.take_out(segment);
  log_.for_each(segment, [&](Record record, const Head& head) {
    move(record, head, room_behind(segment.queue, log_.bytes_of(head)));
  });
  log_.make_spare(segment);
}

SegmentShard::Slot SegmentShard::slot_of(Record record, const Head& head) const {
  Slot slot;
  std::memcpy(&slot, record.address() + head.bytes(), sizeof slot);
  return slot;
}

void SegmentShard::give_slot(Record record, const Head& head, Slot slot) {
  std::memcpy(record.address() + head.bytes(), &slot, sizeof slot);
  if (slot >= at_slot_.size()) at_slot_.resize(slot + 1);
  at_slot_[slot] = record.address();
}

// That of the record whose place it takes, unless the policy has picked that meanwhile.
void SegmentShard::take_slot(const NewEntry& entry, Record record) {
  const Head head = record.head();
  Slot slot = std::exchange(replaced_, PickingPolicy::kNoSlot);
  if (slot != PickingPolicy::kNoSlot) {
    picking_->on_resize(slot, cost_of(head));
  } else {
    slot = picking_->on_insert(entry.hash, cost_of(head));
  }
  give_slot(record, head, slot);
}

// The record leaves for another reason than room.
void SegmentShard::leave_policy(Record record, const Head& head, std::uint64_t hash) {
  if (!picking_) return policy_->on_erase(log_.segment_of(record.address()).queue, hash, head.policy);
  const Slot slot = slot_of(record, head);
  at_slot_[slot] = nullptr;
  picking_->on_erase(slot);
}

// Writes neighbours together, into a segment fewer as a rule; false if nowhere enough records have left. The first target
// is the spare one; by the time that it is full, a source is empty and becomes the next.
bool SegmentShard::compact() {
  if (log_.dead_bytes() < segment_bytes_ || log_.spare() == 0) return false;
  const SegmentLog::Run run = log_.sparse_run();
  if (!run.oldest) return false;
  Segment* source = run.oldest;
  Segment* target = nullptr;
  for (std::size_t i = 0; i < run.segments; ++i) {
    Segment* const newer = source->newer;
    log_.for_each(*source, [&](Record record, const Head& head) {
      move(record, head, room_before(source, source->queue, target, log_.bytes_of(head)));
    });
    log_.take_out(*source);
    log_.make_spare(*source);
    source = newer;
  }
  return true;
}

void SegmentShard::move(Record record, const Head& head, char* to) {
  std::memcpy(to, record.address(), log_.bytes_of(head));
  if (picking_) at_slot_[slot_of(record, head)] = to;
  index_.replace(base::hash_of(record.key(head)), record.address(), to);
}

// Makes a spare segment of the one that the policy would have sifted. False if there is none.
bool SegmentShard::sift_one() {
  const std::size_t bytes[] = {log_.bytes_of(0), log_.bytes_of(1)};
  if (bytes[0] + bytes[1] == 0) return false;
  std::size_t queue = policy_->queue_to_sift(bytes);
  if (bytes[queue] == 0) queue = 1 - queue;
  sift(*log_.at_hand(queue));
  return true;
}

// Taken out of its queue first, so that what is written anew is not written into it. Its neighbours then hold what stays:
// the older one if it has room, which has been sifted before, else one that takes its place.
void SegmentShard::sift(Segment& segment) {
  Segment* const newer = segment.newer;
  Segment* kept = newer ? segment.older : nullptr;
  log_.take_out(segment);
  bool any_stayed = false;
  log_.for_each(segment, [&](Record record, const Head& head) {
    const std::uint64_t hash = base::hash_of(record.key(head));
    std::uint8_t byte = head.policy;
    const int verdict = policy_->sift(segment.queue, hash, byte);
    if (verdict == SiftingPolicy::kLeaves) {
      index_.erase(hash, record.address());
      let_go(record, head);
      ++counts_.evicted;
      return;
    }
    any_stayed |= verdict == SiftingPolicy::kStays;
    char* const to = verdict == SiftingPolicy::kStays ? room_before(newer, segment.queue, kept, log_.bytes_of(head))
                                                      : room_behind(static_cast<std::size_t>(verdict), log_.bytes_of(head));
    move(record, head, to);
    Record(to).set_policy(byte);
  });
  if (any_stayed) log_.move_hand(segment.queue, newer);
  log_.make_spare(segment);
}

// In `kept`, or in a segment of its own between it and `newer`; at the queue's end if there is nothing newer.
char* SegmentShard::room_before(Segment* newer, std::size_t queue, Segment*& kept, std::size_t bytes) {
  if (!newer) return room_behind(queue, bytes);
  char* room = kept ? log_.append(*kept, bytes) : nullptr;
  if (room) return room;
  kept = &log_.insert_before(*newer);
  return log_.append(*kept, bytes);
}

char* SegmentShard::room_behind(std::size_t queue, std::size_t bytes) {
  char* const room = log_.append(queue, bytes);
  if (room) return room;
  log_.add_segment(queue);
  return log_.append(queue, bytes);
}

// What a record holds beside its own bytes.
void SegmentShard::let_go(Record record, const Head& head) {
  live_bytes_ -= log_.bytes_of(head);
  witnesses_.give_back(head.witness);
  if (head.outside) drop_outside(record.value(head));
}

void SegmentShard::leave(Record record, const Head& head, std::uint64_t hash) {
  index_.erase(hash, record.address());
  log_.kill(record, head);
  let_go(record, head);
}

bool SegmentShard::insert(const NewEntry& entry) {
  const Change change(*this);
  const bool taken = replace_or_add(entry);
  if (taken) ++counts_.inserted;
  settle();
  return taken;
}

bool SegmentShard::replace_or_add(const NewEntry& entry) {
  char* const found = find(entry.key, entry.hash);
  if (!found) {
    const std::size_t bytes = Record::bytes_of(contents_of(entry)) + sizeof(Slot);
    if (picking_ && !picking_->admit(entry.hash, bytes)) {
      ++counts_.declined;
      return false;
    }
    return write(entry, picking_ ? 0 : policy_->queue_for(entry.hash), 0);
  }
  const Record record(found);
  const Head head = record.head();
  if (overwrite(record, head, entry)) return true;
  if (picking_) at_slot_[replaced_ = slot_of(record, head)] = nullptr;
  const std::size_t queue = log_.segment_of(found).queue;
  leave(record, head, entry.hash);
  return write(entry, queue, head.policy);
}

// In place, if the record has exactly the room: its queue and its byte stay.
bool SegmentShard::overwrite(Record record, const Head& head, const NewEntry& entry) {
  Contents contents = contents_of(entry);
  if (head.outside || Record::bytes_of(contents) != head.bytes()) return false;
  contents.witness = witnesses_.use(entry.witness);
  if (entry.witness && contents.witness == 0) return false;
  witnesses_.give_back(head.witness);
  Record::write(contents, record.address());
  record.set_policy(head.policy);
  return true;
}

bool SegmentShard::write(const NewEntry& entry, std::size_t queue, std::uint8_t policy_byte) {
  Contents contents = contents_of(entry);
  const bool outside = Record::bytes_of(contents) > log_.record_bytes_max() / kRecordsASegmentMin;
  if (outside) contents.outside = put_outside(entry.value);
  contents.witness = witnesses_.use(entry.witness);
  const bool ready = (contents.witness != 0 || !entry.witness) && (contents.outside || !outside);
  char* const room = ready ? make_room(queue, Record::bytes_of(contents) + (picking_ ? sizeof(Slot) : 0)) : nullptr;
  if (!room) {
    witnesses_.give_back(contents.witness);
    if (contents.outside) drop_outside({contents.outside, entry.value.size()});
    const Slot slot = std::exchange(replaced_, PickingPolicy::kNoSlot);
    if (slot != PickingPolicy::kNoSlot) picking_->on_erase(slot);
    ++counts_.too_large;
    return false;
  }
  Record::write(contents, room);
  Record(room).set_policy(policy_byte);
  live_bytes_ += log_.bytes_of(Record(room).head());
  index_.insert(entry.hash, room, kHashOf);
  if (picking_) take_slot(entry, Record(room));
  return true;
}

// A value that is too large for a segment. Null if there is no room for it.
const char* SegmentShard::put_outside(std::string_view value) {
  const std::size_t footprint = BlockPool::footprint_of(value.size());
  while (!fits(footprint + segment_bytes_) && make_spare()) {
    while (log_.spare() > 1) log_.drop_spare();
  }
  if (!fits(footprint)) return nullptr;
  auto* const block = static_cast<char*>(BlockPool::shared().allocate(value.size()));
  std::memcpy(block, value.data(), value.size());
  outside_bytes_ += footprint;
  return block;
}

void SegmentShard::drop_outside(std::string_view value) {
  outside_bytes_ -= BlockPool::footprint_of(value.size());
  BlockPool::shared().free(const_cast<char*>(value.data()), value.size());
}

bool SegmentShard::erase(std::string_view key, std::uint64_t hash) {
  const Change change(*this);
  char* const found = find(key, hash);
  if (!found) return false;
  const Record record(found);
  const Head head = record.head();
  leave_policy(record, head, hash);
  leave(record, head, hash);
  ++counts_.erased;
  settle();
  return true;
}

std::size_t SegmentShard::erase_if(base::FunctionRef<bool(const EntryView&)> leaves) {
  const Change change(*this);
  std::size_t left = 0;
  log_.for_each([&](Record record, const Head& head) {
    if (!leaves(EntryView(record, head, witnesses_.at(head.witness)))) return;
    const std::uint64_t hash = base::hash_of(record.key(head));
    leave_policy(record, head, hash);
    leave(record, head, hash);
    ++left;
  });
  counts_.erased += left;
  settle();
  return left;
}

void SegmentShard::set_capacity(std::size_t bytes) {
  const Change change(*this);
  capacity_bytes_ = bytes;
  if (policy_) policy_->set_capacity(bytes);
  settle();
}

// What every change ends with: the index grows in steps, and a capacity may have become less.
void SegmentShard::settle() {
  while (!fits(0)) {
    if (log_.spare() > 1) {
      log_.drop_spare();
    } else if (!make_spare()) {
      while (log_.spare() > 0) log_.drop_spare();
      break;
    }
  }
  index_.shrink_if_sparse(kHashOf);
  if (picking_) tell_capacity();
}

// What live records come to when memory is full: a segment that is written to and one that is spare are half full and empty,
// and of the others a part is dead.
void SegmentShard::tell_capacity() {
  const std::size_t taken = bytes_beside_segments() - outside_bytes_ + segment_bytes_ * 3 / 2;
  const std::size_t left = capacity_bytes_ - std::min(capacity_bytes_, taken);
  const std::size_t bytes = left - left / kDeadPart;
  const std::size_t change = bytes > told_bytes_ ? bytes - told_bytes_ : told_bytes_ - bytes;
  if (change * kToldPart < told_bytes_) return;
  told_bytes_ = bytes;
  picking_->set_capacity(bytes);
}

ShardStats SegmentShard::stats() const {
  const std::lock_guard hold(lock_);
  ShardStats stats = counts_;
  stats.entries = index_.size();
  stats.bytes = bytes_beside_segments() + log_.bytes();
  stats.entry_bytes = live_bytes_ + outside_bytes_;
  stats.index_bytes = index_.bytes();
  return stats;
}

}  // namespace freshet::memory::segments
