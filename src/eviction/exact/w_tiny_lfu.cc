// See eviction/exact/w_tiny_lfu.h.
#include "eviction/exact/w_tiny_lfu.h"

namespace freshet::eviction::exact {

void WTinyLfu::on_insert(Slot slot, const Access& access) {
  make_room_for(links_, slot);
  make_room_for(objects_, slot);
  objects_[slot] = {access.key, access.size, kWindow};
  enter(slot, access.size <= window_bytes_max_ ? kWindow : kProbation);
  sketch_.reserve(lists_[kWindow].size() + lists_[kProbation].size() + lists_[kProtected].size());
}

void WTinyLfu::on_hit(Slot slot, const Access& access) {
  const Part part = objects_[slot].part;
  if (part != kWindow) sketch_.add(access.key);
  if (part != kProbation) return lists_[part].move_to_front(slot);
  leave(slot);
  enter(slot, kProtected);
  shrink_protected();
}

// An object that the window cannot hold: is there room for it in main, or is it worth more than main's tail?
bool WTinyLfu::admits_at_once(const Access& access) const {
  const Slot tail = main_tail();
  if (tail == kNoSlot || main_bytes() + access.size <= main_bytes_max_) return true;
  return sketch_.count(access.key) > sketch_.count(objects_[tail].key);
}

void WTinyLfu::shrink_protected() {
  while (bytes_[kProtected] > protected_bytes_max_) {
    const Slot tail = lists_[kProtected].back();
    leave(tail);
    enter(tail, kProbation);
  }
}

void WTinyLfu::on_resize(Slot slot, std::uint32_t size) {
  Object& object = objects_[slot];
  bytes_[object.part] += size - std::uint64_t{object.size};
  object.size = size;
  shrink_protected();
}

Slot WTinyLfu::take_victim() {
  while (!lists_[kWindow].empty() || main_tail() != kNoSlot) {
    const Slot tail = main_tail();
    const bool window_over = bytes_[kWindow] + incoming_bytes_ > window_bytes_max_;
    Slot victim = tail;
    if (!lists_[kWindow].empty() && (window_over || tail == kNoSlot)) {
      const Slot candidate = lists_[kWindow].back();
      if (main_bytes() + objects_[candidate].size <= main_bytes_max_) {
        leave(candidate);
        enter(candidate, kProbation);
        continue;
      }
      const bool admit = tail != kNoSlot && sketch_.count(objects_[candidate].key) > sketch_.count(objects_[tail].key);
      victim = admit ? tail : candidate;
    }
    leave(victim);
    return victim;
  }
  return kNoSlot;
}

void WTinyLfu::set_capacity(std::uint64_t bytes) {
  window_bytes_max_ = bytes / kWindowPart;
  main_bytes_max_ = bytes - window_bytes_max_;
  protected_bytes_max_ = main_bytes_max_ - main_bytes_max_ / kProbationPart;
  shrink_protected();
}

std::size_t WTinyLfu::overhead_bytes() const { return bytes_of(links_) + bytes_of(objects_) + sketch_.bytes(); }

}  // namespace freshet::eviction::exact
