// Changing a shard: what comes in and what goes. See memory/shard.h.
#include "memory/shard.h"

#include <cassert>
#include <cstring>
#include <utility>

#include "base/growth.h"

namespace freshet::memory {
namespace {

segments::Contents contents_of(const NewEntry& entry) {
  return {.key = entry.key,
          .value = entry.value,
          .version = entry.version,
          .expires_at_ms = entry.expires_at_ms,
          .present = entry.present,
          .kind = entry.kind};
}

}  // namespace

void Shard::start(std::shared_ptr<SegmentPool> pool, std::size_t capacity_bytes, ShardPolicy policy) {
  assert(!log_);
  pool_ = std::move(pool);
  capacity_bytes_ = capacity_bytes;
  take_policy(std::move(policy));
  log_ = make_log();
  tell_capacity();
}

void Shard::take_policy(ShardPolicy policy) {
  if (auto* const sifting = std::get_if<std::unique_ptr<SiftingPolicy>>(&policy)) sifting_ = std::move(*sifting);
  if (auto* const grouping = std::get_if<std::unique_ptr<GroupingPolicy>>(&policy)) {
    grouping_ = grouping->get();
    sifting_ = std::move(*grouping);
  }
  if (auto* const picking = std::get_if<std::unique_ptr<PickingPolicy>>(&policy)) picking_ = std::move(*picking);
  assert(!sifting_ != !picking_);
}

std::unique_ptr<segments::SegmentLog> Shard::make_log() const { return std::make_unique<SegmentLog>(*pool_, tail_bytes()); }

Shard::~Shard() {
  if (!log_) return;
  log_->for_each([&](Record record, const Head& head) {
    if (head.outside) drop_outside(record.value(head));
  });
}

char* Shard::find(std::string_view key, std::uint64_t hash) const {
  return index_.find(hash, [&](char* at) {
    const Record record(at);
    return record.key(record.head()) == key;
  });
}

void Shard::prefetch_entry(std::uint64_t hash) const {
  const Sequence::Value begun = sequence_.now();
  const char* const record =
      index_.guess(hash, [&] { return !Sequence::is_changing(begun) && sequence_.is_still(begun); });
  // The head, and a key and value of some 100 bytes.
  for (std::size_t line = 0; record && line < 3; ++line) __builtin_prefetch(record + line * 64);
}

bool Shard::insert(const NewEntry& entry) {
  const Change change(*this);
  const bool taken = replace_or_add(entry);
  if (taken) ++counts_.inserted;
  look_at_groups();
  settle();
  return taken;
}

// What the policy keeps of what it sees has to have room, too: before settle().
void Shard::look_at_groups() {
  if (!grouping_ || !grouping_->wants_to_look()) return;
  Groups groups(*log_);
  grouping_->look(groups);
}

bool Shard::replace_or_add(const NewEntry& entry) {
  char* const found = find(entry.key, entry.hash);
  if (!found) {
    if (picking_) {
      admitted_ = true;
      if (!picking_->admit(entry.hash, Record::bytes_of(contents_of(entry)) + sizeof(Slot))) {
        ++counts_.declined;
        return false;
      }
    }
    std::uint8_t byte = 0;
    const std::size_t queue =
        picking_ ? 0 : sifting_->queue_for(entry.hash, Record::bytes_of(contents_of(entry)), byte);
    return write(entry, queue, byte);
  }
  const Record record(found);
  const Head head = record.head();
  if (overwrite(record, head, entry)) return true;
  if (picking_) {
    at_slot_[replaced_ = slot_of(record, head)] = nullptr;
    admitted_ = false;
  }
  const std::size_t queue = queue_of(record);
  leave(record, head, entry.hash);
  const bool taken = write(entry, queue, head.policy);
  if (!taken) ++counts_.evicted;  // The earlier one.
  return taken;
}

// In place, if the record has exactly the room: its queue and its byte stay.
bool Shard::overwrite(Record record, const Head& head, const NewEntry& entry) {
  Contents contents = contents_of(entry);
  if (head.outside || Record::bytes_of(contents) != head.bytes()) return false;
  contents.witness = witnesses_.use(entry.witness);
  if (entry.witness && contents.witness == 0) return false;
  witnesses_.give_back(head.witness);
  Record::write(contents, record.address());
  record.set_policy(head.policy);
  return true;
}

bool Shard::write(const NewEntry& entry, std::size_t queue, std::uint8_t policy_byte) {
  Contents contents = contents_of(entry);
  char* const room =
      prepare(entry, contents) ? make_room(queue, Record::bytes_of(contents) + tail_bytes()) : nullptr;
  if (!room) {
    witnesses_.give_back(contents.witness);
    if (contents.outside) drop_outside({contents.outside, entry.value.size()});
    forget_new(entry.hash, queue, policy_byte);
    ++counts_.too_large;
    return false;
  }
  Record::write(contents, room);
  Record(room).set_policy(policy_byte);
  const std::size_t cost = cost_of(Record(room).head());
  queue_bytes_[queue] += cost;
  index_.insert(entry.hash, room, kHashOf);
  join_group(Record(room), queue, cost, policy_byte);
  if (picking_) take_slot(entry.hash, Record(room));
  return true;
}

// Whatever the record refers to. False if it, or that, has no room.
bool Shard::prepare(const NewEntry& entry, Contents& contents) {
  const std::size_t inline_bytes_max = record_bytes_max() / kRecordsASegmentMin;
  if (Record::bytes_of(contents) > inline_bytes_max && entry.value.size() > sizeof(char*) && !put_outside(contents)) {
    return false;
  }
  if (Record::bytes_of(contents) > record_bytes_max()) return false;
  contents.witness = witnesses_.use(entry.witness);
  return contents.witness != 0 || !entry.witness;
}

// Without the memory that the limit promises nothing can go on: then the process ends (noexcept).
bool Shard::put_outside(Contents& contents) noexcept {
  const std::size_t footprint = OutsideValue::footprint_of(contents.value.size());
  while (!fits(footprint + pool_->segment_bytes()) && shed()) continue;
  if (!fits(footprint)) return false;
  contents.outside = OutsideValue::make(contents.value).data();
  outside_bytes_ += footprint;
  return true;
}

void Shard::drop_outside(std::string_view value) {
  outside_bytes_ -= OutsideValue::footprint_of(value.size());
  OutsideValue::release(value);
}

Shard::Slot Shard::slot_of(Record record, const Head& head) const {
  Slot slot;
  std::memcpy(&slot, record.address() + head.bytes(), sizeof slot);
  return slot;
}

void Shard::give_slot(Record record, const Head& head, Slot slot) {
  std::memcpy(record.address() + head.bytes(), &slot, sizeof slot);
  if (slot >= at_slot_.size()) base::grow_to(at_slot_, slot + 1);
  at_slot_[slot] = record.address();
}

// That of the record whose place it takes, unless the policy has picked that meanwhile.
void Shard::take_slot(std::uint64_t hash, Record record) {
  const Head head = record.head();
  Slot slot = std::exchange(replaced_, PickingPolicy::kNoSlot);
  if (slot != PickingPolicy::kNoSlot) {
    picking_->on_resize(slot, cost_of(head));
  } else {
    if (!admitted_) picking_->admit(hash, cost_of(head));
    slot = picking_->on_insert(hash, cost_of(head));
  }
  give_slot(record, head, slot);
}

void Shard::join_group(Record record, std::size_t queue, std::size_t bytes, std::uint8_t byte) const {
  if (grouping_) grouping_->on_write(group_of(record), queue, bytes, byte);
}

// The policy knows it, or what it was to replace, already.
void Shard::forget_new(std::uint64_t hash, std::size_t queue, std::uint8_t policy_byte) {
  if (sifting_) return sifting_->on_erase(queue, hash, policy_byte);
  const Slot slot = std::exchange(replaced_, PickingPolicy::kNoSlot);
  if (slot != PickingPolicy::kNoSlot) picking_->on_erase(slot);
}

void Shard::refuse(std::string_view key, std::uint64_t hash) {
  const Change change(*this);
  ++counts_.too_large;
  if (char* const found = find(key, hash)) take_out(Record(found));
  settle();
}

bool Shard::erase(std::string_view key, std::uint64_t hash) {
  const Change change(*this);
  char* const found = find(key, hash);
  if (!found) return false;
  take_out(Record(found));
  settle();
  return true;
}

std::size_t Shard::erase_if(base::FunctionRef<bool(const Entry&)> leaves) {
  const Change change(*this);
  const std::size_t before = index_.size();
  log_->for_each([&](Record record, const Head& head) {
    if (leaves(view_of(record, head))) take_out(record);
  });
  const std::size_t left = before - index_.size();
  settle();
  return left;
}

// For another reason than room.
void Shard::take_out(Record record) {
  const Head head = record.head();
  const std::uint64_t hash = hash_of(record, head);
  leave_policy(record, head, hash, queue_of(record));
  leave(record, head, hash);
  ++counts_.erased;
}

void Shard::leave_policy(Record record, const Head& head, std::uint64_t hash, std::size_t queue) {
  if (!picking_) return sifting_->on_erase(queue, hash, head.policy);
  const Slot slot = slot_of(record, head);
  at_slot_[slot] = nullptr;
  picking_->on_erase(slot);
}

void Shard::leave(Record record, const Head& head, std::uint64_t hash) {
  drop(record, head, hash, queue_of(record));
  if (grouping_) grouping_->on_leave(group_of(record), cost_of(head), head.policy);
  log_->kill(record, head);
}

// It is not to be found any more, and lets go of what it holds beside its own bytes.
void Shard::drop(Record record, const Head& head, std::uint64_t hash, std::size_t queue) {
  index_.erase(hash, record.address());
  queue_bytes_[queue] -= cost_of(head);
  witnesses_.give_back(head.witness);
  if (head.outside) drop_outside(record.value(head));
}

std::vector<PolicyFact> Shard::describe_policy() const {
  const std::lock_guard hold(lock_);
  if (grouping_) return grouping_->describe();
  return picking_ ? picking_->describe() : std::vector<PolicyFact>();
}

ShardStats Shard::stats() const {
  const std::lock_guard hold(lock_);
  ShardStats stats = counts_;
  stats.entries = index_.size();
  stats.bytes = bytes_beside_segments() + log_->bytes();
  stats.index_bytes = index_.bytes();
  stats.policy_bytes = policy_bytes();
  for (const std::size_t bytes : queue_bytes_) stats.entry_bytes += bytes;
  return stats;
}

}  // namespace freshet::memory
