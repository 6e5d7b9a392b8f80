// Taking and giving back blocks. See memory/mapped/block_pool.h.
#include "memory/mapped/block_pool.h"

#include <bit>
#include <cassert>
#include <mutex>
#include <new>

#include "memory/mapped/address_ranges.h"
#include "memory/mapped/block_poison.h"
#include "memory/mapped/sequence.h"

namespace freshet::memory {
namespace {

// How glibc's malloc rounds: chunks of 16 bytes with a header of 8; large blocks are mappings of whole pages.
constexpr std::size_t kChunkBytes = 16;
constexpr std::size_t kChunkHeaderBytes = 8;
constexpr std::size_t kMappedBytesMin = 128 * 1024;
constexpr std::size_t kSystemPageBytes = 4096;
// The region's header, divided among its pages.
constexpr std::size_t kHeaderBytesAPage = kRegionHeaderBytes / kPagesARegion;

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }
constexpr bool is_thrifty(std::size_t bytes, std::size_t rounded) { return rounded - bytes <= bytes / kWastedPart; }

enum class Source { block, pages, regions, system };

Source source_of(std::size_t bytes) {
  if (bytes <= kBlockBytesMax) return block_class_of(bytes) == BlockClasses::kNone ? Source::system : Source::block;
  if (bytes <= BlockPool::kRunPagesMax * kPageBytes) {
    return is_thrifty(bytes, round_up(bytes, kPageBytes)) ? Source::pages : Source::system;
  }
  return is_thrifty(bytes, round_up(bytes, kRegionBytes)) ? Source::regions : Source::system;
}

std::size_t system_footprint_of(std::size_t bytes) {
  if (bytes >= kMappedBytesMin) return round_up(bytes + 2 * kChunkHeaderBytes, kSystemPageBytes);
  return round_up(bytes + kChunkHeaderBytes, kChunkBytes);
}

}  // namespace

BlockPool& BlockPool::shared() {
  static BlockPool* const pool = new BlockPool;
  return *pool;
}

BlockPool::~BlockPool() {
  assert(spares_ == regions_ && "blocks are still in use");
  while (Region* region = by_free_pages_[kPagesARegion].front()) {
    by_free_pages_[kPagesARegion].remove(*region);
    Region::give_back(region);
  }
}

bool BlockPool::stays_mapped(std::size_t bytes) { return source_of(bytes) != Source::system; }

std::size_t BlockPool::footprint_of(std::size_t bytes) {
  switch (source_of(bytes)) {
    case Source::block: return kBlockClasses.all[block_class_of(bytes)].footprint;
    case Source::pages: return round_up(bytes, kPageBytes) / kPageBytes * (kPageBytes + kHeaderBytesAPage);
    case Source::regions: return round_up(bytes, kRegionBytes);
    case Source::system: break;
  }
  return system_footprint_of(bytes);
}

void* BlockPool::allocate(std::size_t bytes) {
  void* block = nullptr;
  switch (source_of(bytes)) {
    case Source::block: block = allocate_block(block_class_of(bytes)); break;
    case Source::pages: block = take_whole_pages(round_up(bytes, kPageBytes) / kPageBytes); break;
    case Source::regions:
      block = AddressRanges::shared().take(round_up(bytes, kRegionBytes));
      mapped_bytes_.fetch_add(round_up(bytes, kRegionBytes), std::memory_order_relaxed);
      break;
    case Source::system: return ::operator new(bytes);
  }
  unpoison(block, bytes);
  release_fence();  // Before the caller's writes: memory/mapped/sequence.h.
  return block;
}

void BlockPool::free(void* block, std::size_t bytes) {
  switch (source_of(bytes)) {
    case Source::block: return free_block(block, block_class_of(bytes));
    case Source::pages:
      poison(block, bytes);
      return give_back_pages(static_cast<std::byte*>(block), round_up(bytes, kPageBytes) / kPageBytes);
    case Source::regions:
      mapped_bytes_.fetch_sub(round_up(bytes, kRegionBytes), std::memory_order_relaxed);
      return AddressRanges::shared().give_back(block, round_up(bytes, kRegionBytes));
    case Source::system: return ::operator delete(block);
  }
}

BlockPage* BlockPool::PagesOfClass::fullest() const {
  for (std::size_t rank = kRanks; rank-- > 0;) {
    if (!ranks_[rank].empty()) return ranks_[rank].front();
  }
  return nullptr;
}

void BlockPool::PagesOfClass::rank(BlockPage& page, std::uint8_t rank) {
  if (page.rank == rank) return;
  if (page.rank != kUnranked) ranks_[page.rank].remove(page);
  if (rank != kUnranked) ranks_[rank].push_front(page);
  page.rank = rank;
}

void* BlockPool::PagesOfClass::take_from(BlockPage& page) {
  void* const block = page.take();
  rank(page, page.full() ? kUnranked : static_cast<std::uint8_t>(page.used * kRanks / page.blocks));
  return block;
}

bool BlockPool::PagesOfClass::give_back_to(BlockPage& page, void* block) {
  page.give_back(block);
  rank(page, page.used == 0 ? kUnranked : static_cast<std::uint8_t>(page.used * kRanks / page.blocks));
  return page.used == 0;
}

// Two threads that find no page each bring one; each takes its block from its own, so that no page in a class is unused.
void* BlockPool::allocate_block(std::uint8_t of_class) {
  PagesOfClass& pages = classes_[of_class];
  {
    std::lock_guard hold(pages.lock);
    if (BlockPage* page = pages.fullest()) return pages.take_from(*page);
  }
  const std::byte* const memory = take_page();
  Region& region = Region::of(memory);
  BlockPage& fresh = region.start_page(region.page_number_of(memory), kBlockClasses.all[of_class]);
  fresh.rank = kUnranked;
  std::lock_guard hold(pages.lock);
  return pages.take_from(fresh);
}

void BlockPool::free_block(void* block, std::uint8_t of_class) {
  Region& region = Region::of(block);
  const std::size_t number = region.page_number_of(block);
  poison(block, kBlockClasses.all[of_class].bytes);
  {
    PagesOfClass& pages = classes_[of_class];
    std::lock_guard hold(pages.lock);
    if (!pages.give_back_to(region.page(number), block)) return;
  }
  give_back_pages(region.page_memory(number), 1);
}

void BlockPool::list(Region& region) {
  const unsigned free_pages = region.free_pages();
  by_free_pages_[free_pages].push_front(region);
  listed_ |= std::uint64_t{1} << free_pages;
  spares_ += free_pages == kPagesARegion;
}

void BlockPool::unlist(Region& region) {
  const unsigned free_pages = region.free_pages();
  by_free_pages_[free_pages].remove(region);
  if (by_free_pages_[free_pages].empty()) listed_ &= ~(std::uint64_t{1} << free_pages);
  spares_ -= free_pages == kPagesARegion;
}

Region* BlockPool::find_region(std::size_t count, FindPages find, std::size_t& first) const {
  std::size_t searched = 0;
  for (std::uint64_t lists = listed_ >> count << count; lists != 0; lists &= lists - 1) {
    for (Region* region = by_free_pages_[static_cast<std::size_t>(std::countr_zero(lists))].front(); region;
         region = region->next) {
      first = find(*region);
      if (first != kPagesARegion) return region;
      if (++searched == kRegionsSearchedMax) return nullptr;
    }
  }
  return nullptr;
}

std::byte* BlockPool::take_pages_of(Region& region, std::size_t first, std::size_t count) {
  region.take_pages(first, count);
  list(region);
  return region.page_memory(first);
}

std::byte* BlockPool::take_pages(std::size_t count, FindPages find) {
  {
    std::lock_guard hold(regions_lock_);
    std::size_t first = 0;
    if (Region* region = find_region(count, find, first)) {
      unlist(*region);
      return take_pages_of(*region, first, count);
    }
  }
  Region& fresh = *Region::make();
  mapped_bytes_.fetch_add(kRegionBytes, std::memory_order_relaxed);
  std::lock_guard hold(regions_lock_);
  ++regions_;
  return take_pages_of(fresh, find(fresh), count);
}

void BlockPool::give_back_pages(std::byte* memory, std::size_t count) {
  Region& region = Region::of(memory);
  Chain<Region> leaving;
  {
    std::lock_guard hold(regions_lock_);
    unlist(region);
    region.give_back_pages(region.page_number_of(memory), count);
    list(region);
    while (spares_ > 1 + regions_ / kRegionsASpare) {
      Region& spare = *by_free_pages_[kPagesARegion].front();
      unlist(spare);
      leaving.push_front(spare);
      --regions_;
    }
  }
  while (Region* spare = leaving.front()) {
    leaving.remove(*spare);
    mapped_bytes_.fetch_sub(kRegionBytes, std::memory_order_relaxed);
    Region::give_back(spare);
  }
}

}  // namespace freshet::memory
