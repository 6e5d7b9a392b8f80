// A policy over one queue of entries: who comes in enters at the front, a changed value takes the place of the one before,
// a hit changes nothing, and the back leaves. First in, first out; the policies of the eviction room that keep one queue
// change a thing or two of it. May use base only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory/entry_list.h"
#include "memory/policy.h"

namespace freshet::memory {

class QueuePolicy : public EvictionPolicy {
 public:
  bool admit(std::uint64_t, std::size_t) override { return true; }
  void on_insert(Entry& entry) override { queue_.push_front(entry); }
  void on_hit(Entry&) override {}
  void on_replace(Entry& earlier, Entry& replacement) override { queue_.replace(earlier, replacement); }
  void on_erase(Entry& entry) override { queue_.remove(entry); }
  Entry* take_victim() override { return queue_.pop_back(); }
  void set_capacity(std::size_t) override {}
  std::size_t overhead_bytes() const override { return 0; }

 protected:
  EntryList queue_;
};

}  // namespace freshet::memory
