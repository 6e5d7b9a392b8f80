// For tests: each policy once more, as plainly as it can be said, with lists and linear searches. Nothing is shared with the
// policies but their constants and the frequency sketch. May use this room's files.
#pragma once

#include <algorithm>
#include <cstdint>
#include <list>
#include <vector>

#include "eviction/exact/policy.h"

namespace freshet::eviction::exact {

class Model {
 public:
  struct Object {
    Slot slot = kNoSlot;
    std::uint64_t key = 0;
    std::uint32_t size = 0;
    std::uint32_t next = kNever;
    std::uint32_t count = 0;  // Hits, frequency or mark, as the policy has it.
  };

  virtual ~Model() = default;
  virtual bool on_miss(const Access&) { return true; }
  virtual void on_insert(const Object& object) = 0;
  virtual void on_hit(Slot slot, const Access& access) = 0;
  virtual void on_resize(Slot slot, std::uint32_t size) = 0;
  virtual void on_erase(Slot slot) = 0;
  // Whether the policy may evict this one now; the model then forgets it.
  virtual bool leaves(Slot victim) = 0;
  virtual void set_capacity(std::uint64_t) {}
};

using ObjectList = std::list<Model::Object>;

inline ObjectList::iterator find_slot(ObjectList& list, Slot slot) {
  return std::find_if(list.begin(), list.end(), [&](const auto& object) { return object.slot == slot; });
}
inline ObjectList::iterator find_key(ObjectList& list, std::uint64_t key) {
  return std::find_if(list.begin(), list.end(), [&](const auto& object) { return object.key == key; });
}
inline std::uint64_t bytes_in(const ObjectList& list) {
  std::uint64_t bytes = 0;
  for (const auto& object : list) bytes += object.size;
  return bytes;
}
inline bool move_to(ObjectList& from, Slot slot, ObjectList& to, ObjectList::iterator where) {
  const auto at = find_slot(from, slot);
  if (at == from.end()) return false;
  to.splice(where, from, at);
  return true;
}

// For the models below whose objects all stand in one list.
class OneListModel : public Model {
 public:
  void on_insert(const Object& object) override { list_.push_back(object); }
  void on_resize(Slot slot, std::uint32_t size) override { find_slot(list_, slot)->size = size; }
  void on_erase(Slot slot) override { list_.erase(find_slot(list_, slot)); }

 protected:
  bool forget(ObjectList::iterator chosen, Slot victim) {
    const bool same = chosen->slot == victim;
    list_.erase(chosen);
    return same;
  }
  ObjectList list_;  // The oldest first.
};

}  // namespace freshet::eviction::exact
