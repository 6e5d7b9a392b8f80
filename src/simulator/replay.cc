// See simulator/replay.h.
#include "simulator/replay.h"

namespace freshet::simulator {

void Host::store(eviction::exact::Policy& policy, const Request& request) {
  if (slot_of_[request.object] != kNoSlot) return resize(policy, slot_of_[request.object], request.size);
  const auto access = access_of(request);
  if (!policy.on_miss(access) || request.size > capacity_) return;
  while (used_ + request.size > capacity_) release(policy.take_victim());
  const Slot slot = cached_.take({request.object, request.size});
  slot_of_[request.object] = slot;
  used_ += request.size;
  counts_.peak_bytes = std::max(counts_.peak_bytes, used_);
  policy.on_insert(slot, access);
}

void Host::resize(eviction::exact::Policy& policy, Slot slot, std::uint32_t size) {
  if (cached_[slot].size == size) return;
  if (size > capacity_) {
    policy.on_erase(slot);
    return release(slot);
  }
  policy.on_resize(slot, size);
  used_ += size - std::uint64_t{cached_[slot].size};
  cached_[slot].size = size;
  while (used_ > capacity_) release(policy.take_victim());
  counts_.peak_bytes = std::max(counts_.peak_bytes, used_);
}

}  // namespace freshet::simulator
