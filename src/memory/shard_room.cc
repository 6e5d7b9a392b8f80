// Making room in a shard. See memory/shard.h.
#include <algorithm>
#include <cstring>
#include <utility>

#include "memory/shard.h"

namespace freshet::memory {

std::size_t Shard::policy_bytes() const {
  return picking_ ? picking_->overhead_bytes() + at_slot_.capacity() * sizeof(char*) : sifting_->overhead_bytes();
}

std::size_t Shard::bytes_beside_segments() const {
  return index_.bytes() + outside_bytes_ + policy_bytes() + witnesses_.bytes();
}

// Room at the queue's end. Null if even an empty shard has none.
char* Shard::make_room(std::size_t queue, std::size_t bytes) {
  for (;;) {
    if (char* const room = log_->append(queue, bytes)) return room;
    if (log_->spare() > 1 || fits(pool_->segment_bytes() * (2 - log_->spare()))) {
      log_->add_segment(queue);
    } else if (!shed()) {
      return nullptr;
    }
  }
}

// A step towards more room; false if there is none to be had.
bool Shard::shed() {
  if (log_->spare() > 1) {
    log_->drop_spare();
    return true;
  }
  if (index_.size() == 0 && log_->bytes() > 0) {
    log_->clear();  // All of it is dead.
    return true;
  }
  if (picking_) return pick_or_rewrite();
  return compact() || (outside_bytes_ > log_->bytes() ? sift_record() : sift_segment());
}

bool Shard::pick_or_rewrite() {
  if (log_->dead_bytes() * kDeadPart <= log_->bytes() && pick_one()) return true;
  return rewrite_sparsest();
}

// Who is picked is dead at once. False if there is nobody.
bool Shard::pick_one() {
  const Slot slot = picking_->take_victim();
  if (slot == PickingPolicy::kNoSlot) {
    admitted_ = false;  // It has begun anew.
    return false;
  }
  if (slot == replaced_) {
    replaced_ = PickingPolicy::kNoSlot;
    return true;
  }
  const Record record(std::exchange(at_slot_[slot], nullptr));
  const Head head = record.head();
  evict(record, head, hash_of(record, head));
  return true;
}

// What is alive in it, at the queue's end. False if there is no segment.
bool Shard::rewrite_sparsest() {
  Segment* const sparsest = log_->sparsest();
  if (!sparsest) return false;
  log_->take_out(*sparsest);
  log_->for_each(*sparsest, [&](Record record, const Head& head) {
    move(record, head, room_behind(sparsest->queue, log_->bytes_of(head)));
  });
  log_->make_spare(*sparsest);
  return true;
}

// Writes neighbours together, into a segment fewer as a rule; false if nowhere enough records have left. The first target
// is the spare one; by the time that it is full, a source is empty and becomes the next.
bool Shard::compact() {
  if (log_->dead_bytes() < pool_->segment_bytes() || log_->spare() == 0) return false;
  const SegmentLog::Run run = log_->sparse_run();
  if (!run.oldest) return false;
  Segment* source = run.oldest;
  Segment* target = nullptr;
  for (std::size_t i = 0; i < run.segments; ++i) {
    Segment* const newer = source->newer;
    log_->for_each(*source, [&](Record record, const Head& head) {
      char* const to = room_before(source, source->queue, target, log_->bytes_of(head));
      if (grouping_) grouping_->on_move(source->group, group_of(Record(to)), cost_of(head), head.policy);
      move(record, head, to);
    });
    log_->take_out(*source);
    log_->make_spare(*source);
    source = newer;
  }
  return true;
}

void Shard::evict(Record record, const Head& head, std::uint64_t hash) {
  leave(record, head, hash);
  ++counts_.evicted;
}

void Shard::move(Record record, const Head& head, char* to) {
  std::memcpy(to, record.address(), log_->bytes_of(head));
  if (picking_) at_slot_[slot_of(record, head)] = to;
  index_.replace(hash_of(record, head), record.address(), to);
}

// Its queue, which it has left already, may be another from now on.
void Shard::move_judged(Record record, const Head& head, std::size_t queue, char* to, std::uint8_t byte) {
  queue_bytes_[queue] += cost_of(head);
  move(record, head, to);
  Record(to).set_policy(byte);
  join_group(Record(to), queue, cost_of(head), byte);
}

// Null if there is none. Of groups one that costs nothing first, and what has been begun to its end.
segments::Segment* Shard::segment_to_sift() {
  if (index_.size() == 0) return nullptr;
  if (!grouping_) return log_->at_hand(sifting_->queue_to_sift(queue_bytes_));
  Groups groups(*log_);
  if (groups.empty()) return groups.empty();
  if (groups.under_way()) return groups.under_way();
  return &groups.segment(grouping_->choose(groups));
}

// Makes a spare segment of the one that the policy would have sifted. False if there is none.
bool Shard::sift_segment() {
  Segment* const segment = segment_to_sift();
  if (!segment) return false;
  sift(*segment);
  return true;
}

// Taken out of its queue first, so that what is written anew is not written into it. Its neighbours then hold what stays:
// the older one if it has room, which has been sifted before, else one that takes its place. What was judged in this round
// already stays unasked.
void Shard::sift(Segment& segment) {
  Segment* const newer = segment.newer;
  Segment* kept = newer ? segment.older : nullptr;
  const char* const judged_to = segment.memory() + segment.sifted;
  log_->take_out(segment);
  bool any_stayed = false;
  log_->for_each(segment, [&](Record record, const Head& head) {
    const std::uint64_t hash = hash_of(record, head);
    std::uint8_t byte = head.policy;
    const int verdict =
        record.address() < judged_to ? SiftingPolicy::kStays : sifting_->sift(segment.queue, hash, cost_of(head), byte);
    if (verdict == SiftingPolicy::kLeaves) {
      drop(record, head, hash, segment.queue);
      ++counts_.evicted;
      return;
    }
    const bool stays = verdict == SiftingPolicy::kStays;
    any_stayed |= stays;
    const std::size_t queue = stays ? segment.queue : static_cast<std::size_t>(verdict);
    const std::size_t bytes = log_->bytes_of(head);
    char* const to = stays ? room_before(newer, queue, kept, bytes) : room_behind(queue, bytes);
    queue_bytes_[segment.queue] -= cost_of(head);
    move_judged(record, head, queue, to, byte);
  });
  if (any_stayed) log_->move_hand(segment.queue, newer);
  log_->make_spare(segment);
}

// Judges one record. False if there is none.
bool Shard::sift_record() {
  Segment* const found = segment_to_sift();
  if (!found) return false;
  Segment& segment = *found;
  while (segment.sifted < segment.end) {
    Record record(segment.memory() + segment.sifted);
    const Head head = record.head();
    segment.sifted += static_cast<std::uint32_t>(log_->bytes_of(head));
    if (head.dead) continue;
    const std::uint64_t hash = hash_of(record, head);
    std::uint8_t byte = head.policy;
    const int verdict = sifting_->sift(segment.queue, hash, cost_of(head), byte);
    if (verdict == SiftingPolicy::kLeaves) {
      evict(record, head, hash);
    } else if (verdict == SiftingPolicy::kStays) {
      record.set_policy(byte);
    } else {
      const auto queue = static_cast<std::size_t>(verdict);
      char* const to = room_behind(queue, log_->bytes_of(head));
      queue_bytes_[segment.queue] -= cost_of(head);
      if (grouping_) grouping_->on_leave(segment.group, cost_of(head), head.policy);
      move_judged(record, head, queue, to, byte);
      log_->kill(record, head);
    }
    return true;
  }
  end_round(segment);
  return true;
}

// All of the segment's records have been judged: those that are still there in the next round again.
void Shard::end_round(Segment& segment) {
  segment.sifted = SegmentLog::kHeaderBytes;
  if (!SegmentLog::is_empty(segment)) return log_->move_hand(segment.queue, segment.newer);
  log_->take_out(segment);
  log_->make_spare(segment);
}

// In `kept`, or in a segment of its own between it and `newer`; at the queue's end if there is nothing newer.
char* Shard::room_before(Segment* newer, std::size_t queue, Segment*& kept, std::size_t bytes) {
  if (!newer) return room_behind(queue, bytes);
  char* const room = kept ? log_->append(*kept, bytes) : nullptr;
  if (room) return room;
  kept = &log_->insert_before(*newer);
  return log_->append(*kept, bytes);
}

char* Shard::room_behind(std::size_t queue, std::size_t bytes) {
  char* const room = log_->append(queue, bytes);
  if (room) return room;
  log_->add_segment(queue);
  return log_->append(queue, bytes);
}

// What every change ends with: the index grows in steps, and a capacity may have become less.
void Shard::settle() {
  for (bool more = true; more && !fits(0); index_.shrink_if_sparse(kHashOf)) more = shed();
  index_.shrink_if_sparse(kHashOf);
  if (index_.size() == 0) {
    log_->clear();
    at_slot_ = std::vector<char*>();
    witnesses_.shrink_if_empty();
    if (!fits(0) && sifting_) sifting_->forget();
  }
  tell_capacity();
}

// What entries come to when memory is full; a policy that picks may be told too little, but not too much. For it, a segment
// that is written to is half full, one is spare, less than one does not fit any more, and of the others a part is dead.
void Shard::tell_capacity() {
  const std::size_t unused = picking_ ? pool_->segment_bytes() * 5 / 2 : 0;
  const std::size_t taken = bytes_beside_segments() - outside_bytes_ + unused;
  const std::size_t left = capacity_bytes_ - std::min(capacity_bytes_, taken);
  const std::size_t bytes = picking_ ? left - left / kDeadPart : left;
  const std::size_t change = bytes > told_bytes_ ? bytes - told_bytes_ : told_bytes_ - bytes;
  if (change == 0 || change * kToldPart < told_bytes_) return;
  told_bytes_ = bytes;
  picking_ ? picking_->set_capacity(bytes) : sifting_->set_capacity(bytes);
}

}  // namespace freshet::memory
