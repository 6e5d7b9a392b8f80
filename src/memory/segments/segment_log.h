// A shard's segments: queues of them, in each of which records stand in the order in which they were written. A record is
// appended to a queue's newest segment; segments are taken away as a whole.
//
// A segment is aligned to its size, so that a record's address tells its segment. It begins with a header, and ends with as
// many bytes as a reader of a head may read behind a record. Not thread-safe: the shard locks. May use memory/mapped.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory/mapped/segment_pool.h"
#include "memory/segments/group.h"
#include "memory/segments/record.h"

namespace freshet::memory::segments {

struct Segment {
  Segment* newer = nullptr;
  Segment* older = nullptr;
  std::uint32_t end = 0;         // Where the next record would begin, from the segment's own begin.
  std::uint32_t dead_bytes = 0;  // Of records that have left.
  std::uint32_t sifted = 0;      // Records before this have been judged in the round that is under way.
  std::uint8_t queue = 0;
  Group group;

  char* memory() { return reinterpret_cast<char*>(this); }
};

class SegmentLog {
 public:
  static constexpr std::size_t kQueues = 4;
  static constexpr std::size_t kHeaderBytes = sizeof(Segment);

  // `tail_bytes`: so many stand behind each record, and are part of it.
  explicit SegmentLog(SegmentPool& pool, std::size_t tail_bytes = 0) : pool_(pool), tail_bytes_(tail_bytes) {}
  ~SegmentLog() { clear(); }
  SegmentLog(const SegmentLog&) = delete;
  SegmentLog& operator=(const SegmentLog&) = delete;

  std::size_t bytes_of(const Head& head) const { return head.bytes() + tail_bytes_; }
  // What an entry is held to cost: with its value, wherever that stands.
  std::size_t cost_of(const Head& head) const { return bytes_of(head) + (head.outside ? head.value_bytes : 0); }
  // The largest record that a segment takes.
  std::size_t record_bytes_max() const { return pool_.segment_bytes() - kHeaderBytes - Record::kHeadBytesMax; }
  std::size_t bytes() const { return segments_ * pool_.segment_bytes(); }
  std::size_t dead_bytes() const { return dead_bytes_; }
  static bool is_empty(const Segment& segment) { return segment.dead_bytes + kHeaderBytes == segment.end; }

  // Room for a record at a queue's end; null if its newest segment has not so much left.
  char* append(std::size_t queue, std::size_t bytes) {
    Segment* const segment = queues_[queue].newest;
    return segment ? append(*segment, bytes) : nullptr;
  }
  char* append(Segment& segment, std::size_t bytes);
  // The queue's newest segment from now on is an empty one: a spare one, or one from the pool.
  void add_segment(std::size_t queue);
  // An empty one takes its place in the queue before `newer`.
  Segment& insert_before(Segment& newer);
  // The queue's segment that is sifted next: the oldest at first, then the one behind the last where records stayed, and
  // after the newest the oldest again. Null if there is none.
  Segment* at_hand(std::size_t queue) const {
    const Queue& from = queues_[queue];
    return from.hand ? from.hand : from.oldest;
  }
  void move_hand(std::size_t queue, Segment* to) { queues_[queue].hand = to; }
  // Takes a segment out of its queue; its records stay where they are until it is made a spare one.
  void take_out(Segment& segment);
  void make_spare(Segment& segment) { spare_.push_back(&segment); }
  std::size_t spare() const { return spare_.size(); }
  // Gives a spare one back to the pool.
  void drop_spare();
  // All of them go: no record is left.
  void clear();

  // Neighbours of a queue that have a whole segment's bytes of dead between them: the shortest such run, at most kRunMax of
  // them. A queue's newest segment, which is still written to, is in none.
  struct Run {
    Segment* oldest = nullptr;  // Null: there is none.
    std::size_t segments = 0;
  };
  static constexpr std::size_t kRunMax = 4;
  Run sparse_run() const;
  // The segment with the most dead bytes; null if there is none.
  Segment* sparsest() const;

  // The record leaves: its bytes are dead.
  void kill(Record record, const Head& head);
  Segment& segment_of(const char* record) const {
    return *reinterpret_cast<Segment*>(reinterpret_cast<std::uintptr_t>(record) & ~(pool_.segment_bytes() - 1));
  }
  // Calls visit(Record, Head) for each record of the segment that has not left, in order. `visit` may kill it.
  template <typename Visit>
  void for_each(Segment& segment, Visit&& visit) const {
    for (std::size_t at = kHeaderBytes; at < segment.end;) {
      const Record record(segment.memory() + at);
      const Head head = record.head();
      at += bytes_of(head);
      if (!head.dead) visit(record, head);
    }
  }
  template <typename Visit>
  void for_each(Visit&& visit) {
    for_each_segment([&](Segment& segment, bool) { for_each(segment, visit); });
  }
  // Calls visit(Segment&, bool is_newest) for each segment, queue by queue, the oldest first.
  template <typename Visit>
  void for_each_segment(Visit&& visit) {
    for (Queue& queue : queues_) {
      for (Segment* segment = queue.oldest; segment; segment = segment->newer) visit(*segment, segment == queue.newest);
    }
  }

 private:
  Segment& take_spare(std::size_t queue) noexcept;
  struct Queue {
    Segment* oldest = nullptr;
    Segment* newest = nullptr;
    Segment* hand = nullptr;  // Null: the oldest.
  };

  SegmentPool& pool_;
  const std::size_t tail_bytes_;
  std::array<Queue, kQueues> queues_;
  std::vector<Segment*> spare_;
  std::size_t segments_ = 0;    // Spare ones included.
  std::size_t dead_bytes_ = 0;
};

}  // namespace freshet::memory::segments
