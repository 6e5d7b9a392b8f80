// CLOCK, also called FIFO with reinsertion or second chance: who came first leaves first, unless it was read since; then its
// mark is taken away and it goes to the back of the queue. Corbató: "A paging experiment with the Multics system", 1969.
// The first hit of an entry takes the shard's lock, later ones take none. What leaves, and when, is what
// eviction/exact/clock.h says. May use memory.
#pragma once

#include "eviction/marking_queue.h"

namespace freshet::eviction {

class Clock final : public MarkingQueue {
 public:
  memory::Entry* take_victim() override {
    while (memory::Entry* const entry = queue_.pop_back()) {
      if (!is_marked(*entry)) return entry;
      set_marked(*entry, false);
      queue_.push_front(*entry);
    }
    return nullptr;
  }
};

}  // namespace freshet::eviction
