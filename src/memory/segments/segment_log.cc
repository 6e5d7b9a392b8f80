// See memory/segments/segment_log.h.
#include "memory/segments/segment_log.h"

#include <cassert>
#include <new>

namespace freshet::memory::segments {

void SegmentLog::clear() {
  for (Queue& queue : queues_) {
    while (Segment* const segment = queue.oldest) {
      take_out(*segment);
      make_spare(*segment);
    }
  }
  while (spare() > 0) drop_spare();
}

char* SegmentLog::append(Segment& segment, std::size_t bytes) {
  if (segment.end + bytes > pool_.segment_bytes() - Record::kHeadBytesMax) return nullptr;
  char* const record = segment.memory() + segment.end;
  segment.end += static_cast<std::uint32_t>(bytes);
  return record;
}

// Without the memory that the limit promises nothing can go on: then the process ends (noexcept).
Segment& SegmentLog::take_spare(std::size_t queue) noexcept {
  if (spare_.empty()) {
    spare_.push_back(reinterpret_cast<Segment*>(pool_.take()));
    ++segments_;
  }
  Segment* const segment = spare_.back();
  spare_.pop_back();
  return *new (segment)
      Segment{.end = kHeaderBytes, .sifted = kHeaderBytes, .queue = static_cast<std::uint8_t>(queue), .group = {}};
}

void SegmentLog::add_segment(std::size_t queue) {
  Segment& segment = take_spare(queue);
  Queue& into = queues_[queue];
  segment.older = into.newest;
  (into.newest ? into.newest->newer : into.oldest) = &segment;
  into.newest = &segment;
}

Segment& SegmentLog::insert_before(Segment& newer) {
  Segment& segment = take_spare(newer.queue);
  segment.older = newer.older;
  segment.newer = &newer;
  (newer.older ? newer.older->newer : queues_[newer.queue].oldest) = &segment;
  newer.older = &segment;
  return segment;
}

void SegmentLog::take_out(Segment& segment) {
  Queue& from = queues_[segment.queue];
  if (from.hand == &segment) from.hand = segment.newer;
  (segment.older ? segment.older->newer : from.oldest) = segment.newer;
  (segment.newer ? segment.newer->older : from.newest) = segment.older;
  dead_bytes_ -= segment.dead_bytes;
}

void SegmentLog::drop_spare() {
  pool_.give_back(spare_.back()->memory());
  spare_.pop_back();
  --segments_;
}

SegmentLog::Run SegmentLog::sparse_run() const {
  Run best{nullptr, kRunMax + 1};
  for (const Queue& queue : queues_) {
    for (Segment* first = queue.oldest; first && first != queue.newest; first = first->newer) {
      std::size_t dead = 0, length = 0;
      for (Segment* at = first; at != queue.newest && length + 1 < best.segments; at = at->newer) {
        dead += at->dead_bytes;
        ++length;
        if (dead >= record_bytes_max()) best = {first, length};
      }
    }
  }
  return best.oldest ? best : Run{};
}

Segment* SegmentLog::sparsest() const {
  Segment* best = nullptr;
  for (const Queue& queue : queues_) {
    for (Segment* at = queue.oldest; at; at = at->newer) {
      if (!best || at->dead_bytes > best->dead_bytes) best = at;
    }
  }
  return best;
}

void SegmentLog::kill(Record record, const Head& head) {
  record.kill();
  Segment& segment = segment_of(record.address());
  segment.dead_bytes += static_cast<std::uint32_t>(bytes_of(head));
  dead_bytes_ += bytes_of(head);
}

}  // namespace freshet::memory::segments
