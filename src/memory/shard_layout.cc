// Every record of a shard written anew: for another policy, or into segments of another size. For as long as that takes the
// shard has its memory twice. See memory/shard.h.
#include <algorithm>
#include <cstring>
#include <utility>

#include "memory/shard.h"

namespace freshet::memory {

ShardPolicy Shard::set_policy(ShardPolicy policy) {
  const Change change(*this);
  const std::vector<char*> records = in_order_of_leaving();
  ShardPolicy earlier;
  if (sifting_) {
    earlier = std::move(sifting_);
    grouping_ = nullptr;
  } else {
    earlier = std::move(picking_);
  }
  take_policy(std::move(policy));
  const auto before = std::exchange(log_, make_log());
  at_slot_ = std::vector<char*>();
  std::ranges::fill(queue_bytes_, 0);
  told_bytes_ = 0;
  tell_capacity();
  for (char* const record : records) carry_over(Record(record));
  settle();
  return earlier;
}

// Of one queue after the other those first that no hit has marked.
std::vector<char*> Shard::in_order_of_leaving() {
  std::vector<char*> records;
  records.reserve(index_.size());
  if (picking_) {
    for (Slot slot = picking_->take_victim(); slot != PickingPolicy::kNoSlot; slot = picking_->take_victim()) {
      records.push_back(at_slot_[slot]);
    }
    return records;
  }
  log_->for_each([&](Record record, const Head&) { records.push_back(record.address()); });
  std::ranges::stable_partition(records, [](char* record) { return Record(record).head().policy == 0; });
  return records;
}

void Shard::carry_over(Record record) {
  const Head head = record.head();
  const std::uint64_t hash = hash_of(record, head);
  std::uint8_t byte = 0;
  const std::size_t queue = picking_ ? 0 : sifting_->queue_for(hash, cost_of(head), byte);
  char* const to = room_behind(queue, log_->bytes_of(head));
  std::memcpy(to, record.address(), head.bytes());
  Record(to).set_policy(byte);
  index_.replace(hash, record.address(), to);
  queue_bytes_[queue] += cost_of(head);
  join_group(Record(to), queue, cost_of(head), byte);
  if (!picking_) return;
  picking_->admit(hash, cost_of(head));  // Nobody is declined who is there already.
  give_slot(Record(to), head, picking_->on_insert(hash, cost_of(head)));
}

void Shard::set_capacity(std::size_t bytes, const std::shared_ptr<SegmentPool>& pool) {
  const Change change(*this);
  if (pool != pool_) move_to(pool);
  capacity_bytes_ = bytes;
  settle();
}

void Shard::move_to(std::shared_ptr<SegmentPool> pool) {
  const auto pool_before = std::exchange(pool_, std::move(pool));  // It ends after the log that uses it.
  const auto before = std::exchange(log_, make_log());
  before->for_each([&](Record record, const Head& head) {
    const std::size_t bytes = before->bytes_of(head);
    const std::size_t queue = before->segment_of(record.address()).queue;
    if (head.bytes() <= record_bytes_max()) {
      char* const to = room_behind(queue, bytes);
      const segments::Group& group = before->segment_of(record.address()).group;
      if (grouping_) grouping_->on_move(group, group_of(Record(to)), cost_of(head), head.policy);
      return move(record, head, to);
    }
    const std::uint64_t hash = hash_of(record, head);
    leave_policy(record, head, hash, queue);
    drop(record, head, hash, queue);
    ++counts_.evicted;
  });
}

}  // namespace freshet::memory
