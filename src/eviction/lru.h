// Least recently used: one queue; a hit moves its entry to the front, and the entry at the back leaves. The classic
// baseline. A hit writes to three entries (the queue's links), which costs more than what S3-FIFO does.
// May use base and memory.
#pragma once

#include "memory/entry_list.h"
#include "memory/policy.h"

namespace freshet::eviction {

class Lru final : public memory::EvictionPolicy {
 public:
  void on_insert(memory::Entry& entry) override { queue_.push_front(entry); }
  void on_hit(memory::Entry& entry) override;
  void on_replace(memory::Entry& earlier, memory::Entry& replacement) override { queue_.replace(earlier, replacement); }
  void on_erase(memory::Entry& entry) override { queue_.remove(entry); }
  memory::Entry* take_victim() override { return queue_.pop_back(); }
  void set_capacity(std::size_t) override {}
  std::size_t overhead_bytes() const override { return 0; }

 private:
  memory::EntryList queue_;
};

// A memory::PolicyFactory.
std::unique_ptr<memory::EvictionPolicy> make_lru(std::size_t shard_capacity_bytes);

}  // namespace freshet::eviction
