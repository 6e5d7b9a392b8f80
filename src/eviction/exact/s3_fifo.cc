// See eviction/exact/s3_fifo.h.
#include "eviction/exact/s3_fifo.h"

namespace freshet::eviction::exact {

void S3Fifo::on_insert(Slot slot, const Access& access) {
  make_room_for(count_, slot);
  make_room_for(objects_, slot);
  count_[slot] = 0;
  objects_[slot] = {access.key, access.size, returns_};
  if (returns_) {
    main_.push_back(slot);
  } else {
    small_.push_back(slot);
    small_bytes_ += access.size;
  }
}

void S3Fifo::on_resize(Slot slot, std::uint32_t size) {
  if (!objects_[slot].in_main) small_bytes_ += size - std::uint64_t{objects_[slot].size};
  objects_[slot].size = size;
}

void S3Fifo::on_erase(Slot slot) {
  if (objects_[slot].in_main) {
    main_.erase(slot);
  } else {
    small_.erase(slot);
    small_bytes_ -= objects_[slot].size;
  }
}

Slot S3Fifo::take_victim() {
  while (!small_.empty() || !main_.empty()) {
    const bool from_small = main_.empty() || (small_bytes_ >= small_bytes_max_ && !small_.empty());
    const Slot victim = from_small ? take_from_small() : take_from_main();
    if (victim != kNoSlot) return victim;
  }
  return kNoSlot;
}

// Small's tail moves to main, or leaves: then it is the victim.
Slot S3Fifo::take_from_small() {
  const Slot slot = small_.pop_front();
  const Object& object = objects_[slot];
  small_bytes_ -= object.size;
  if (count_[slot] >= kCountToMove) {
    enter_main(slot);
    return kNoSlot;
  }
  ghosts_.push(object.key, object.size);
  ghosts_.trim(ghost_bytes_max_);
  return slot;
}

Slot S3Fifo::take_from_main() {
  for (;;) {
    const Slot slot = main_.pop_front();
    if (count_[slot] == 0) return slot;
    --count_[slot];
    main_.push_back(slot);
  }
}

void S3Fifo::enter_main(Slot slot) {
  objects_[slot].in_main = true;
  count_[slot] = 0;
  main_.push_back(slot);
}

void S3Fifo::set_capacity(std::uint64_t bytes) {
  small_bytes_max_ = bytes / kSmallPart;
  ghost_bytes_max_ = bytes - small_bytes_max_;
  ghosts_.trim(ghost_bytes_max_);
}

std::size_t S3Fifo::overhead_bytes() const {
  return small_.bytes() + main_.bytes() + ghosts_.overhead_bytes() + bytes_of(count_) + bytes_of(objects_);
}

}  // namespace freshet::eviction::exact
