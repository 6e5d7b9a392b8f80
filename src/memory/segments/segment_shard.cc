// Changing a shard of records. See memory/segments/segment_shard.h.
#include "memory/segments/segment_shard.h"

#include <cstring>
#include <utility>

#include "memory/block_pool.h"

namespace freshet::memory::segments {
namespace {

constexpr auto kHashOf = [](const char* at) {
  const Record record(const_cast<char*>(at));
  return base::hash_of(record.key(record.head()));
};

}  // namespace

SegmentShard::SegmentShard(SegmentPool& pool, std::size_t capacity_bytes, std::unique_ptr<SiftingPolicy> policy)
    : log_(pool), policy_(std::move(policy)), segment_bytes_(pool.segment_bytes()), capacity_bytes_(capacity_bytes) {
  policy_->set_capacity(capacity_bytes);
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
  return index_.bytes() + outside_bytes_ + policy_->overhead_bytes() + witnesses_.bytes();
}

// Room at the queue's end. Null if even an empty shard has none.
char* SegmentShard::make_room(std::size_t queue, std::size_t bytes) {
  for (;;) {
    if (char* const room = log_.append(queue, bytes)) return room;
    if (log_.spare() > 1 || fits(segment_bytes_ * (2 - log_.spare()))) {
      log_.add_segment(queue);
    } else if (!compact() && !sift_one()) {
      return nullptr;
    }
  }
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
    SegmentLog::for_each(*source, [&](Record record, const Head& head) {
      char* to = target ? log_.append(*target, head.bytes()) : nullptr;
      if (!to) {
        target = &log_.insert_before(*source);
        to = log_.append(*target, head.bytes());
      }
      move(record, head, to);
    });
    log_.take_out(*source);
    log_.make_spare(*source);
    source = newer;
  }
  return true;
}

void SegmentShard::move(Record record, const Head& head, char* to) {
  std::memcpy(to, record.address(), head.bytes());
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
  SegmentLog::for_each(segment, [&](Record record, const Head& head) {
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
    char* const to = verdict == SiftingPolicy::kStays ? room_before(newer, segment.queue, kept, head.bytes())
                                                      : room_behind(static_cast<std::size_t>(verdict), head.bytes());
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
  live_bytes_ -= head.bytes();
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
  std::size_t queue = 0;
  std::uint8_t byte = 0;
  if (char* const found = find(entry.key, entry.hash)) {
    const Record record(found);
    const Head head = record.head();
    if (overwrite(record, head, entry)) {
      ++counts_.inserted;
      return true;
    }
    queue = log_.segment_of(found).queue;
    byte = head.policy;
    leave(record, head, entry.hash);
  } else {
    queue = policy_->queue_for(entry.hash);
  }
  const bool taken = write(entry, queue, byte);
  ++(taken ? counts_.inserted : counts_.too_large);
  settle();
  return taken;
}

// In place, if the record has exactly the room: its queue and its byte stay.
bool SegmentShard::overwrite(Record record, const Head& head, const NewEntry& entry) {
  Contents contents{.key = entry.key,
                    .value = entry.value,
                    .version = entry.version,
                    .expires_at_ms = entry.expires_at_ms,
                    .present = entry.present};
  if (head.outside || Record::bytes_of(contents) != head.bytes()) return false;
  contents.witness = witnesses_.use(entry.witness);
  if (entry.witness && contents.witness == 0) return false;
  witnesses_.give_back(head.witness);
  Record::write(contents, record.address());
  record.set_policy(head.policy);
  return true;
}

bool SegmentShard::write(const NewEntry& entry, std::size_t queue, std::uint8_t policy_byte) {
  Contents contents{.key = entry.key,
                    .value = entry.value,
                    .version = entry.version,
                    .expires_at_ms = entry.expires_at_ms,
                    .present = entry.present};
  const bool outside = Record::bytes_of(contents) > log_.record_bytes_max() / kRecordsASegmentMin;
  if (outside && !(contents.outside = put_outside(entry.value))) return false;
  contents.witness = witnesses_.use(entry.witness);
  const bool known = contents.witness != 0 || !entry.witness;
  char* const room = known ? make_room(queue, Record::bytes_of(contents)) : nullptr;
  if (!room) {
    witnesses_.give_back(contents.witness);
    if (outside) drop_outside({contents.outside, entry.value.size()});
    return false;
  }
  Record::write(contents, room);
  Record(room).set_policy(policy_byte);
  live_bytes_ += Record::bytes_of(contents);
  index_.insert(entry.hash, room, kHashOf);
  return true;
}

// A value that is too large for a segment. Null if there is no room for it.
const char* SegmentShard::put_outside(std::string_view value) {
  const std::size_t footprint = BlockPool::footprint_of(value.size());
  while (!fits(footprint + segment_bytes_) && sift_one()) {
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
  policy_->on_erase(log_.segment_of(found).queue, hash, head.policy);
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
    policy_->on_erase(log_.segment_of(record.address()).queue, hash, head.policy);
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
  policy_->set_capacity(bytes);
  settle();
}

// What every change ends with: the index grows in steps, and a capacity may have become less.
void SegmentShard::settle() {
  while (!fits(0)) {
    if (log_.spare() > 1) {
      log_.drop_spare();
    } else if (!sift_one()) {
      while (log_.spare() > 0) log_.drop_spare();
      break;
    }
  }
  index_.shrink_if_sparse(kHashOf);
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
