// One queue, and one bit an entry that says whether it was read since somebody last looked: what CLOCK and SIEVE have in
// common. The bit is the entry's frequency(), 0 or 1. A marked entry has nothing to gain from another hit: it is settled.
// May use memory.
#pragma once

#include "memory/queue_policy.h"

namespace freshet::eviction {

class MarkingQueue : public memory::QueuePolicy {
 public:
  void on_hit(memory::Entry& entry) override { set_marked(entry, true); }
  void on_replace(memory::Entry& earlier, memory::Entry& replacement) override {
    set_marked(replacement, is_marked(earlier));
    QueuePolicy::on_replace(earlier, replacement);
  }

 protected:
  static bool is_marked(memory::Entry& entry) { return entry.frequency() != 0; }
  static void set_marked(memory::Entry& entry, bool marked) {
    entry.frequency() = marked ? 1 : 0;
    entry.set_settled(marked);
  }
};

}  // namespace freshet::eviction
