// Regions and their pages. See memory/mapped/block_region.h.
#include "memory/mapped/block_region.h"

#include <cassert>
#include <new>

#include "memory/mapped/address_ranges.h"
#include "memory/mapped/block_poison.h"

namespace freshet::memory {

void BlockPage::start(const BlockClass& of, std::byte* first_block, std::size_t block_count) {
  first = first_block;
  block_bytes = of.bytes;
  blocks = static_cast<std::uint16_t>(block_count);
  used = 0;
  lowest_word = 0;
  free.fill(0);
  for (std::size_t i = 0; i < block_count; ++i) free[i / 64] |= std::uint64_t{1} << i % 64;
}

void* BlockPage::take() {
  assert(!full());
  while (free[lowest_word] == 0) ++lowest_word;
  const auto bit = static_cast<std::size_t>(std::countr_zero(free[lowest_word]));
  free[lowest_word] &= free[lowest_word] - 1;
  ++used;
  return first + (lowest_word * std::size_t{64} + bit) * block_bytes;
}

void BlockPage::give_back(void* block) {
  const auto offset = static_cast<std::uint32_t>(static_cast<std::byte*>(block) - first);
  const std::uint32_t number = offset / block_bytes;
  const auto word = static_cast<std::uint16_t>(number / 64);
  assert(number * block_bytes == offset && "not a block's beginning");
  assert((free[word] >> number % 64 & 1) == 0 && "freed twice");
  free[word] |= std::uint64_t{1} << number % 64;
  if (word < lowest_word) lowest_word = word;
  --used;
}

Region* Region::make() {
  auto* const region = new (AddressRanges::shared().take(kRegionBytes)) Region;
  poison(region->memory() + kRegionHeaderBytes, kRegionBytes - kRegionHeaderBytes);
  return region;
}

void Region::give_back(Region* region) {
  assert(region->free_ == UINT32_MAX);
  AddressRanges::shared().give_back(region, kRegionBytes);
}

BlockPage& Region::start_page(std::size_t number, const BlockClass& of) {
  if (number == 0) {
    pages_[0].start(of, memory() + kRegionHeaderBytes, of.blocks_first_page);
  } else {
    pages_[number].start(of, page_memory(number), of.blocks_a_page);
  }
  return pages_[number];
}

std::size_t Region::find_free_page() const {
  return free_ == 0 ? kPagesARegion : static_cast<std::size_t>(std::countr_zero(free_));
}

std::size_t Region::find_whole_pages(std::size_t count) const {
  std::uint32_t begins = free_ & ~std::uint32_t{1};
  for (std::size_t i = 1; i < count; ++i) begins &= begins >> 1;
  return begins == 0 ? kPagesARegion : static_cast<std::size_t>(std::countr_zero(begins));
}

}  // namespace freshet::memory
