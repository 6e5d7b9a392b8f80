// For tests: a host of an exact policy that is obviously right, with maps of the standard library. It can change its policy
// without losing what is cached. May use eviction/exact.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "eviction/exact/policy.h"

namespace freshet::eviction::shadow {

class PlainHost {
 public:
  PlainHost(std::unique_ptr<exact::Policy> policy, std::uint64_t capacity) : policy_(std::move(policy)) {
    set_capacity(capacity);
  }

  bool read(std::uint64_t key, std::uint32_t size) {
    const auto at = slot_of_.find(key);
    if (at == slot_of_.end()) {
      ++misses_;
      come_in(key, size);
      return false;
    }
    policy_->on_hit(at->second, {key, size, 0, exact::kNever});
    resize(key, size);
    return true;
  }
  void write(std::uint64_t key, std::uint32_t size) {
    if (slot_of_.contains(key)) {
      resize(key, size);
    } else {
      come_in(key, size);
    }
  }
  void erase(std::uint64_t key) {
    if (!slot_of_.contains(key)) return;
    policy_->on_erase(slot_of_[key]);
    forget(slot_of_[key]);
  }
  void set_capacity(std::uint64_t bytes) {
    capacity_ = bytes;
    policy_->set_capacity(bytes);
    make_room(0);
  }
  // All objects leave the one policy as its victims, and come into the other in that order.
  void change_policy(std::unique_ptr<exact::Policy> policy) {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> objects;
    while (used_ > 0) {
      const exact::Slot slot = policy_->take_victim();
      objects.push_back(cached_.at(slot));
      forget(slot);
    }
    policy_ = std::move(policy);
    policy_->set_capacity(capacity_);
    for (const auto& [key, size] : objects) come_in(key, size);
  }

  std::uint64_t misses() const { return misses_; }
  std::uint64_t used_bytes() const { return used_; }
  std::size_t objects() const { return cached_.size(); }

 private:
  void come_in(std::uint64_t key, std::uint32_t size) {
    const exact::Access access{key, size, 0, exact::kNever};
    if (!policy_->on_miss(access) || size > capacity_) return;
    make_room(size);
    exact::Slot slot = static_cast<exact::Slot>(cached_.size());
    if (!free_.empty()) {
      slot = free_.back();
      free_.pop_back();
    }
    cached_[slot] = {key, size};
    slot_of_[key] = slot;
    used_ += size;
    policy_->on_insert(slot, access);
  }
  void resize(std::uint64_t key, std::uint32_t size) {
    const exact::Slot slot = slot_of_[key];
    if (cached_[slot].second == size) return;
    if (size > capacity_) return erase(key);
    policy_->on_resize(slot, size);
    used_ = used_ - cached_[slot].second + size;
    cached_[slot].second = size;
    make_room(0);
  }
  void make_room(std::uint64_t bytes) {
    while (used_ + bytes > capacity_) {
      const exact::Slot victim = policy_->take_victim();
      ASSERT_TRUE(cached_.contains(victim)) << "a victim that is not here";
      forget(victim);
    }
  }
  void forget(exact::Slot slot) {
    const auto [key, size] = cached_.at(slot);
    used_ -= size;
    slot_of_.erase(key);
    cached_.erase(slot);
    free_.push_back(slot);
  }

  std::unique_ptr<exact::Policy> policy_;
  std::uint64_t capacity_ = 0;
  std::uint64_t used_ = 0;
  std::uint64_t misses_ = 0;
  std::map<std::uint64_t, exact::Slot> slot_of_;
  std::map<exact::Slot, std::pair<std::uint64_t, std::uint32_t>> cached_;  // Key and size.
  std::vector<exact::Slot> free_;
};

}  // namespace freshet::eviction::shadow
