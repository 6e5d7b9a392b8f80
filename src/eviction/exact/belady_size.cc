// See eviction/exact/belady_size.h.
#include "eviction/exact/belady_size.h"

#include <bit>
#include <limits>

namespace freshet::eviction::exact {
namespace {

constexpr int kBits = 7;  // Of a size that decide its class.

}  // namespace

std::size_t BeladySize::class_of(std::uint32_t size) {
  const int shift = std::bit_width(size) - kBits;
  if (shift <= 0) return size;
  return (static_cast<std::size_t>(shift) << (kBits - 1)) + (size >> shift);
}

void BeladySize::enter(Slot slot) {
  const std::size_t home = class_of(objects_[slot].size);
  while (classes_.size() <= home) classes_.emplace_back(place_);
  classes_[home].insert(slot, objects_[slot].next);
}

void BeladySize::on_insert(Slot slot, const Access& access) {
  make_room_for(objects_, slot);
  objects_[slot] = {access.size, access.next};
  enter(slot);
}

void BeladySize::on_resize(Slot slot, std::uint32_t size) {
  on_erase(slot);
  objects_[slot].size = size;
  enter(slot);
}

Slot BeladySize::take_victim() {
  SlotHeap<std::uint32_t>* best = nullptr;
  double most = 0;
  for (auto& heap : classes_) {
    if (heap.empty()) continue;
    const std::uint32_t next = heap.top_rank();
    const double idle = next == kNever ? std::numeric_limits<double>::infinity()
                                       : static_cast<double>(next) - static_cast<double>(requests_);
    const double product = next == kNever ? idle : idle * objects_[heap.top()].size;
    if (best != nullptr && product < most) continue;
    most = product;
    best = &heap;
  }
  return best == nullptr ? kNoSlot : best->pop();
}

std::size_t BeladySize::overhead_bytes() const {
  std::size_t bytes = bytes_of(objects_) + bytes_of(place_) + bytes_of(classes_);
  for (const auto& heap : classes_) bytes += heap.bytes();
  return bytes;
}

}  // namespace freshet::eviction::exact
