// Memory for the index, for witnesses, and for values that stand outside of the segments: blocks cut from regions of huge
// pages. A hit reads two lines at random from all that is cached; on ordinary pages each of them first costs a walk through
// the page tables, which is dearer than the line.
//
// A request takes a block of its class (memory/mapped/block_classes.h), whole pages of a region, whole regions, or, where
// these would leave too much of it unused, a block of operator new. The free pages of all regions are common to all
// classes: a page whose blocks are all free returns to them, and the memory of a region whose pages are all free returns to
// the system but for a reserve.
// What was once in a region stays mapped for ever (memory/mapped/address_ranges.h), so that readers without a lock may read
// a block that has just been given back: whatever they find there, they find memory.
// Blocks come from the fullest page of their class and pages from the fullest region, so that sparse ones drain.
//
// What it takes beyond the footprints of what is in use: the free blocks of partly used pages (while memory only grows, one
// page a class; after that what is left between blocks that stay, as in every allocator that does not move them), the free
// pages of partly used regions (less than one region while memory only grows), and the reserve. The tests hold it to this,
// while sizes change eightfold and back: a page a class, two regions, and of the footprints a quarter if the oldest leave,
// five quarters if one in ten that leave is anyone, twice if all are.
//
// Any thread may take and give back. Locks: one a class guards the pages that serve it, one the regions' free pages; never
// both at once, and neither while the system is asked for memory. May use base only.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/function_ref.h"
#include "base/spin_lock.h"
#include "memory/mapped/block_classes.h"
#include "memory/mapped/block_region.h"

namespace freshet::memory {

class BlockPool {
 public:
  // Pages in a row that are sought within a region; a longer block is made of regions of its own.
  static constexpr std::size_t kRunPagesMax = kPagesARegion / 2;
  // How many regions are looked at for pages in a row before a new region is made.
  static constexpr std::size_t kRegionsSearchedMax = 64;
  // Free regions that are kept: one, and one for so many.
  static constexpr std::size_t kRegionsASpare = 32;

  // The process's own, which is never destroyed: a pinned value may outlive its table and whatever else there is.
  static BlockPool& shared();
  // What a block of so many bytes costs: its own rounding, and its part of the pages' unusable ends and the headers.
  static std::size_t footprint_of(std::size_t bytes);
  // Whether a block of so many bytes may be read when it has been given back; all powers of two are such.
  static bool stays_mapped(std::size_t bytes);

  BlockPool() = default;
  ~BlockPool();  // All blocks have been given back.
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // Aligned to 16; to 64 if `bytes` is a power of two. Throws std::bad_alloc as operator new does.
  void* allocate(std::size_t bytes);
  // `bytes` as it was asked for.
  void free(void* block, std::size_t bytes);
  // What it has of the system's memory now, whether in use or not. Blocks of operator new are not counted.
  std::size_t mapped_bytes() const { return mapped_bytes_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kRanks = 4;            // Pages of a class by how full they are, in quarters.
  static constexpr std::uint8_t kUnranked = kRanks;   // Full, or not yet in use.

  class alignas(64) PagesOfClass {
   public:
    base::SpinLock lock;

    BlockPage* fullest() const;
    void* take_from(BlockPage& page);
    // Whether the page is now unused; it has then left the class.
    bool give_back_to(BlockPage& page, void* block);

   private:
    void rank(BlockPage& page, std::uint8_t rank);
    std::array<Chain<BlockPage>, kRanks> ranks_;
  };

  void* allocate_block(std::uint8_t of_class);
  void free_block(void* block, std::uint8_t of_class);
  // One page for blocks, or whole pages in a row.
  std::byte* take_page() { return take_pages(1, [](const Region& region) { return region.find_free_page(); }); }
  std::byte* take_whole_pages(std::size_t count) {
    return take_pages(count, [count](const Region& region) { return region.find_whole_pages(count); });
  }
  using FindPages = base::FunctionRef<std::size_t(const Region&)>;
  std::byte* take_pages(std::size_t count, FindPages find);
  void give_back_pages(std::byte* memory, std::size_t count);
  std::byte* take_pages_of(Region& region, std::size_t first, std::size_t count);
  Region* find_region(std::size_t count, FindPages find, std::size_t& first) const;
  void list(Region& region);
  void unlist(Region& region);

  std::array<PagesOfClass, kBlockClasses.count> classes_;

  alignas(64) base::SpinLock regions_lock_;
  std::array<Chain<Region>, kPagesARegion + 1> by_free_pages_;
  std::uint64_t listed_ = 0;  // Which of the lists are not empty.
  std::size_t regions_ = 0;
  std::size_t spares_ = 0;  // Wholly free.
  std::atomic<std::size_t> mapped_bytes_{0};
};

}  // namespace freshet::memory
