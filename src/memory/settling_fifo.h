// For tests: first in, first out, every entry settled from the beginning, so that copies take no lock unless they must;
// those that did are counted. May use memory.
#pragma once

#include <memory>
#include <utility>

#include "memory/queue_policy.h"
#include "memory/table.h"

namespace freshet::memory {

class SettlingFifo final : public QueuePolicy {
 public:
  // `hits` is added to under the shard's lock.
  explicit SettlingFifo(std::uint64_t& hits) : hits_(hits) {}

  void on_insert(Entry& entry) override {
    QueuePolicy::on_insert(entry);
    entry.set_settled(true);
  }
  void on_hit(Entry&) override { ++hits_; }
  void on_replace(Entry& earlier, Entry& replacement) override {
    QueuePolicy::on_replace(earlier, replacement);
    replacement.set_settled(true);
  }

 private:
  std::uint64_t& hits_;
};

// A table whose policies count in `hits`: with more than one shard, from one thread only.
inline TableOptions settling_table(std::size_t capacity_bytes, unsigned shards, std::uint64_t& hits) {
  TableOptions options;
  options.capacity_bytes = capacity_bytes;
  options.shards = shards;
  options.policy = [&hits](std::size_t) { return std::make_unique<SettlingFifo>(hits); };
  return options;
}

}  // namespace freshet::memory
