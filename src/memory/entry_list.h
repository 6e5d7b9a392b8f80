// A queue of entries through the links inside them: no allocation, any entry leaves in constant time. An entry is in at most
// one list. For eviction policies and the table; used under the shard's lock, or on entries that have left the table.
// May use base only.
#pragma once

#include <cassert>
#include <cstddef>

#include "memory/entry.h"

namespace freshet::memory {

class EntryList {
 public:
  EntryList() = default;
  EntryList(const EntryList&) = delete;
  EntryList& operator=(const EntryList&) = delete;

  bool empty() const { return front_ == nullptr; }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return bytes_; }  // The sum of the footprints.
  // Null if empty.
  Entry* back() const { return back_; }
  // The neighbour of an entry in the list; null at the front.
  static Entry* towards_front(const Entry& entry) { return entry.towards_front_; }

  void push_front(Entry& entry) {
    assert(entry.towards_front_ == nullptr && entry.towards_back_ == nullptr);
    entry.towards_back_ = front_;
    (front_ ? front_->towards_front_ : back_) = &entry;
    front_ = &entry;
    ++size_;
    bytes_ += entry.footprint();
  }

  void remove(Entry& entry) {
    assert(size_ > 0);
    (entry.towards_front_ ? entry.towards_front_->towards_back_ : front_) = entry.towards_back_;
    (entry.towards_back_ ? entry.towards_back_->towards_front_ : back_) = entry.towards_front_;
    entry.towards_front_ = entry.towards_back_ = nullptr;
    --size_;
    bytes_ -= entry.footprint();
  }

  // Null if empty.
  Entry* pop_back() {
    Entry* entry = back_;
    if (entry) remove(*entry);
    return entry;
  }

  // Puts `replacement` where `earlier` stood.
  void replace(Entry& earlier, Entry& replacement) {
    replacement.towards_front_ = earlier.towards_front_;
    replacement.towards_back_ = earlier.towards_back_;
    (replacement.towards_front_ ? replacement.towards_front_->towards_back_ : front_) = &replacement;
    (replacement.towards_back_ ? replacement.towards_back_->towards_front_ : back_) = &replacement;
    earlier.towards_front_ = earlier.towards_back_ = nullptr;
    bytes_ += replacement.footprint();
    bytes_ -= earlier.footprint();
  }

 private:
  Entry* front_ = nullptr;
  Entry* back_ = nullptr;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace freshet::memory
