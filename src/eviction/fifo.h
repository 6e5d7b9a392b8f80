// First in, first out: a hit changes nothing, so that every entry is settled from the beginning and no hit takes a lock.
// May use memory.
#pragma once

#include "memory/queue_policy.h"

namespace freshet::eviction {

class Fifo final : public memory::QueuePolicy {
 public:
  void on_insert(memory::Entry& entry) override {
    QueuePolicy::on_insert(entry);
    entry.set_settled(true);
  }
  void on_replace(memory::Entry& earlier, memory::Entry& replacement) override {
    QueuePolicy::on_replace(earlier, replacement);
    replacement.set_settled(true);
  }
};

}  // namespace freshet::eviction
