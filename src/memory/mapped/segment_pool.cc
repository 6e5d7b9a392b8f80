// See memory/mapped/segment_pool.h.
#include "memory/mapped/segment_pool.h"

#include <bit>
#include <cassert>
#include <cstdint>
#include <utility>

#include "memory/mapped/address_ranges.h"
#include "memory/mapped/sequence.h"

namespace freshet::memory {

SegmentPool::SegmentPool(std::size_t segment_bytes)
    : segment_bytes_(segment_bytes), pieces_(kRegionBytes / segment_bytes) {
  assert(std::has_single_bit(segment_bytes) && segment_bytes >= kSegmentBytesMin && segment_bytes <= kSegmentBytesMax);
}

SegmentPool::~SegmentPool() {
  for (auto& [memory, region] : regions_) {
    assert(region.free_count == pieces_);
    AddressRanges::shared().give_back(memory, kRegionBytes);
  }
}

std::size_t SegmentPool::bytes() const {
  const std::lock_guard hold(mutex_);
  return regions_.size() * kRegionBytes;
}

std::size_t SegmentPool::Region::take_piece() {
  std::size_t word = 0;
  while (free[word] == 0) ++word;
  const auto bit = static_cast<std::size_t>(std::countr_zero(free[word]));
  free[word] &= free[word] - 1;
  --free_count;
  return word * kPiecesAWord + bit;
}

// The lowest region that has one: so the others become free.
char* SegmentPool::take() {
  const std::lock_guard hold(mutex_);
  if (with_free_.empty()) add_region();
  char* const memory = *with_free_.begin();
  Region& region = regions_.at(memory);
  const std::size_t piece = region.take_piece();
  --free_count_;
  if (region.free_count == 0) with_free_.erase(memory);
  release_fence();  // What is written there comes after what the last owner said of its change (memory/mapped/sequence.h).
  return memory + piece * segment_bytes_;
}

void SegmentPool::add_region() {
  auto* const memory = static_cast<char*>(AddressRanges::shared().take(kRegionBytes));
  Region& region = regions_[memory];
  for (std::size_t piece = 0; piece < pieces_; ++piece) region.set_free(piece);
  region.free_count = pieces_;
  free_count_ += pieces_;
  with_free_.insert(memory);
}

void SegmentPool::give_back(char* segment) {
  const auto address = reinterpret_cast<std::uintptr_t>(segment);
  auto* const memory = reinterpret_cast<char*>(address / kRegionBytes * kRegionBytes);
  const auto piece = static_cast<std::size_t>(segment - memory) / segment_bytes_;
  {
    const std::lock_guard hold(mutex_);
    const auto at = regions_.find(memory);
    assert(at != regions_.end());
    Region& region = at->second;
    region.set_free(piece);
    ++free_count_;
    if (++region.free_count == 1) with_free_.insert(memory);
    // One free region is kept, for who takes next.
    if (region.free_count != pieces_ || free_count_ < 2 * pieces_) return;
    free_count_ -= pieces_;
    with_free_.erase(memory);
    regions_.erase(at);
  }
  AddressRanges::shared().give_back(memory, kRegionBytes);
}

}  // namespace freshet::memory
