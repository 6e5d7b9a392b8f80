// For tests: what a shard does with a sifting policy, one object after the other and without any memory: the policy's
// algorithm by itself. Keys are their own hashes. May use memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <map>
#include <optional>

#include "memory/sifting.h"

namespace freshet::eviction {

class SiftingHost {
 public:
  explicit SiftingHost(memory::SiftingPolicy& policy) : policy_(policy) {}

  bool has(std::uint64_t key) const { return objects_.contains(key); }
  std::size_t bytes() const { return queue_bytes_[0] + queue_bytes_[1]; }
  std::uint8_t byte(std::uint64_t key) const { return objects_.at(key).byte; }
  std::size_t queue(std::uint64_t key) const { return objects_.at(key).queue; }

  void insert(std::uint64_t key, std::size_t bytes) {
    std::uint8_t byte = 0;
    const std::size_t queue = policy_.queue_for(key, bytes, byte);
    objects_[key] = {bytes, byte, queue, {}};
    enter(key, queue);
  }
  void hit(std::uint64_t key) { objects_.at(key).byte = policy_.on_hit(objects_.at(key).byte); }
  void resize(std::uint64_t key, std::size_t bytes) {
    Object& object = objects_.at(key);
    queue_bytes_[object.queue] += bytes - object.bytes;
    object.bytes = bytes;
  }
  void erase(std::uint64_t key) {
    const Object object = objects_.at(key);
    policy_.on_erase(object.queue, key, object.byte);
    leave_queue(key);
    objects_.erase(key);
  }
  // Nothing if there is nobody.
  std::optional<std::uint64_t> take_victim() {
    while (!objects_.empty()) {
      std::size_t queue = policy_.queue_to_sift(queue_bytes_);
      if (queues_[queue].empty()) queue = 1 - queue;
      const Place at = hands_[queue] == queues_[queue].end() ? queues_[queue].begin() : hands_[queue];
      const std::uint64_t key = *at;
      std::uint8_t byte = objects_[key].byte;
      const int verdict = policy_.sift(queue, key, objects_[key].bytes, byte);
      if (verdict == memory::SiftingPolicy::kStays) {
        hands_[queue] = std::next(at);
      } else {
        leave_queue(key);
      }
      if (verdict == memory::SiftingPolicy::kLeaves) {
        objects_.erase(key);
        return key;
      }
      objects_[key].byte = byte;
      if (verdict >= 0) enter(key, static_cast<std::size_t>(verdict));
    }
    return std::nullopt;
  }

 private:
  using Place = std::list<std::uint64_t>::iterator;
  struct Object {
    std::size_t bytes;
    std::uint8_t byte;
    std::size_t queue;
    Place at;
  };

  void enter(std::uint64_t key, std::size_t queue) {
    Object& object = objects_[key];
    object.queue = queue;
    object.at = queues_[queue].insert(queues_[queue].end(), key);
    queue_bytes_[queue] += object.bytes;
  }
  void leave_queue(std::uint64_t key) {
    const Object& object = objects_[key];
    Place& hand = hands_[object.queue];
    const bool at_hand = hand == object.at;
    const Place behind = queues_[object.queue].erase(object.at);
    if (at_hand) hand = behind;
    queue_bytes_[object.queue] -= object.bytes;
  }

  memory::SiftingPolicy& policy_;
  std::map<std::uint64_t, Object> objects_;
  std::list<std::uint64_t> queues_[2];  // The oldest first.
  Place hands_[2] = {queues_[0].end(), queues_[1].end()};
  std::size_t queue_bytes_[2] = {};
};

}  // namespace freshet::eviction
