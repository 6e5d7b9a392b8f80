// SIEVE: a queue and a hand. Zhang, Yang, Yue, Vigfusson, Rashmi: "SIEVE is simpler than LRU: an efficient turn-key eviction
// algorithm for web caches", NSDI 2024.
//
// New entries enter at the young end. A hit marks. The hand walks from old to young, takes marks away as it passes, and
// evicts the first entry without one; at the young end it starts again at the old end. Unlike CLOCK, an entry that is passed
// over keeps its place: new entries and survivors are not mixed, so that the hand sifts the new ones quickly.
//
// The first hit of an entry takes the shard's lock, later ones take none until the hand has passed. What leaves is
// what eviction/exact/sieve.h says, and when. May use memory.
#pragma once

#include "eviction/marking_queue.h"

namespace freshet::eviction {

class Sieve final : public MarkingQueue {
 public:
  void on_replace(memory::Entry& earlier, memory::Entry& replacement) override {
    if (hand_ == &earlier) hand_ = &replacement;
    MarkingQueue::on_replace(earlier, replacement);
  }
  void on_erase(memory::Entry& entry) override {
    if (hand_ == &entry) hand_ = memory::EntryList::towards_front(entry);
    MarkingQueue::on_erase(entry);
  }
  memory::Entry* take_victim() override {
    while (!queue_.empty()) {
      memory::Entry& entry = hand_ ? *hand_ : *queue_.back();
      hand_ = memory::EntryList::towards_front(entry);
      if (!is_marked(entry)) {
        queue_.remove(entry);
        return &entry;
      }
      set_marked(entry, false);
    }
    return nullptr;
  }

 private:
  memory::Entry* hand_ = nullptr;  // Whom it asks next; null: it has come to the young end, and starts at the old one.
};

}  // namespace freshet::eviction
