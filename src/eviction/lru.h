// Least recently used: one queue; a hit moves its entry to the front, and the entry at the back leaves. The classic
// baseline. A hit writes to three entries (the queue's links), which costs more than what S3-FIFO does.
// May use memory.
#pragma once

#include "memory/queue_policy.h"

namespace freshet::eviction {

class Lru final : public memory::QueuePolicy {
 public:
  void on_hit(memory::Entry& entry) override {
    queue_.remove(entry);
    queue_.push_front(entry);
  }
};

}  // namespace freshet::eviction
