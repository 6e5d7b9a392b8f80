// See eviction/exact/arc.h.
#include "eviction/exact/arc.h"

#include <algorithm>

namespace freshet::eviction::exact {

bool Arc::on_miss(const Access& access) {
  incoming_ = once_ghosts_.holds(access.key) ? Ghost::once : often_ghosts_.holds(access.key) ? Ghost::often : Ghost::none;
  incoming_bytes_ = access.size;
  if (incoming_ != Ghost::none) adapt(access);
  return true;
}

void Arc::adapt(const Access& access) {
  const bool grow = incoming_ == Ghost::once;
  Ghosts& here = grow ? once_ghosts_ : often_ghosts_;
  const Ghosts& there = grow ? often_ghosts_ : once_ghosts_;
  const double quotient = static_cast<double>(there.bytes()) / static_cast<double>(std::max<std::uint64_t>(here.bytes(), 1));
  const auto step = static_cast<std::uint64_t>(std::max(1.0, quotient) * static_cast<double>(access.size));
  target_ = grow ? std::min(target_ + step, capacity_) : target_ - std::min(target_, step);
  here.take(access.key);
}

void Arc::on_insert(Slot slot, const Access& access) {
  make_room_for(links_, slot);
  make_room_for(objects_, slot);
  objects_[slot] = {access.key, access.size, false};
  enter(slot, incoming_ != Ghost::none);
  trim_ghosts();
}

void Arc::on_resize(Slot slot, std::uint32_t size) {
  (objects_[slot].often ? often_bytes_ : once_bytes_) += size - std::uint64_t{objects_[slot].size};
  objects_[slot].size = size;
}

Slot Arc::take_victim() {
  if (once_.empty() && often_.empty()) return kNoSlot;
  const bool over = once_bytes_ > target_ || (once_bytes_ == target_ && incoming_ == Ghost::often);
  // With T1 alone as large as the cache there is no room for ghosts of it: the paper's case of L1 = T1.
  const bool forget = incoming_ == Ghost::none && once_bytes_ + incoming_bytes_ > capacity_;
  const bool from_once = often_.empty() || (!once_.empty() && (over || forget));
  const Slot slot = from_once ? once_.back() : often_.back();
  leave(slot);
  if (!forget) (from_once ? once_ghosts_ : often_ghosts_).push(objects_[slot].key, objects_[slot].size);
  trim_ghosts();
  return slot;
}

void Arc::trim_ghosts() {
  once_ghosts_.trim(capacity_ - std::min(capacity_, once_bytes_));
  const std::uint64_t others = once_bytes_ + often_bytes_ + once_ghosts_.bytes();
  often_ghosts_.trim(2 * capacity_ - std::min(2 * capacity_, others));
}

void Arc::set_capacity(std::uint64_t bytes) {
  capacity_ = bytes;
  target_ = std::min(target_, capacity_);
  trim_ghosts();
}

std::size_t Arc::overhead_bytes() const {
  return bytes_of(links_) + bytes_of(objects_) + once_ghosts_.overhead_bytes() + often_ghosts_.overhead_bytes();
}

}  // namespace freshet::eviction::exact
