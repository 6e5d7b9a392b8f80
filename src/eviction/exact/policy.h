// Who leaves a cache that is full, as exact algorithms: the interface. May use base only.
//
// The host (the simulator, a shadow cache) knows the keys, counts the bytes and gives each cached object a *slot*: a small
// dense number that is used again once its object has left. A policy keeps its state in arrays of its own, by slot.
//
// The contract. A request for a key is either a hit, on_hit, or a miss, on_miss. Unless that declines, and if the object is
// not larger than the whole cache, the host calls take_victim until it fits, then on_insert. A policy knows exactly the
// slots that were announced by on_insert and not yet taken back by on_erase or take_victim; it holds no lock (one thread at
// a time), and on_hit never allocates. The requests so far are the calls of on_hit and on_miss; Access carries the trace's
// time. A capacity that shrinks takes effect as the host calls take_victim.
//
// Policies that draw random numbers take a seed and repeat exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "base/growth.h"
#include "base/policy_fact.h"

namespace freshet::eviction::exact {

using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = UINT32_MAX;
inline constexpr std::uint32_t kNever = UINT32_MAX;

// One request, as a policy sees it.
struct Access {
  std::uint64_t key = 0;      // A well-mixed hash of the key: equal keys, equal hashes.
  std::uint32_t size = 0;     // Bytes that the object would take.
  std::uint32_t time_s = 0;   // The trace's clock.
  std::uint32_t next = kNever;  // The number of the next request for the key. Only bounds such as Belady may look.
};

using base::PolicyFact;

class Policy {
 public:
  virtual ~Policy() = default;

  // A request found nothing. Room has not been made yet. False: the policy would rather not have the object.
  virtual bool on_miss(const Access&) { return true; }
  // The object of the last on_miss comes in, and fits.
  virtual void on_insert(Slot slot, const Access& access) = 0;
  virtual void on_hit(Slot slot, const Access& access) = 0;
  // The object's value has changed, and with it its size.
  virtual void on_resize(Slot slot, std::uint32_t size) = 0;
  // The object leaves for another reason than room: forget it.
  virtual void on_erase(Slot slot) = 0;
  // Chooses who leaves, and forgets it. kNoSlot only if the policy knows no object.
  virtual Slot take_victim() = 0;

  // The bytes that the host may cache, from now on.
  virtual void set_capacity(std::uint64_t bytes) = 0;
  // What the policy itself takes beside the objects: arrays, ghosts, tables.
  virtual std::size_t overhead_bytes() const = 0;
  // To look into: what it has learnt, if it learns.
  virtual std::vector<PolicyFact> describe() const { return {}; }
};

// A policy of the class; those that draw random numbers take the seed.
template <typename ExactPolicy>
std::unique_ptr<Policy> make(std::uint64_t seed) {
  if constexpr (std::is_constructible_v<ExactPolicy, std::uint64_t>) {
    return std::make_unique<ExactPolicy>(seed);
  } else {
    return std::make_unique<ExactPolicy>();
  }
}

// Rooms in the arrays that are indexed by slot.
template <typename Array>
void make_room_for(Array& array, Slot slot, const typename Array::value_type& fresh = {}) {
  if (slot >= array.size()) base::grow_to(array, slot + std::size_t{1}, fresh);
}

template <typename Array>
std::size_t bytes_of(const Array& array) {
  return array.capacity() * sizeof(typename Array::value_type);
}

}  // namespace freshet::eviction::exact
