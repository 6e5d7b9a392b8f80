// A region of the block pool: two megabytes of memory in one huge page, with a header that describes its pages. Nothing here
// locks; memory/mapped/block_pool.h says which lock guards what. The bookkeeping of blocks is bits in the header, so that a
// free block is never touched. May use the standard library.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "memory/mapped/block_classes.h"

namespace freshet::memory {

// A list through the links inside its members.
template <typename Member>
class Chain {
 public:
  Member* front() const { return front_; }
  bool empty() const { return front_ == nullptr; }
  void push_front(Member& member) {
    member.next = front_;
    member.previous = nullptr;
    if (front_) front_->previous = &member;
    front_ = &member;
  }
  void remove(Member& member) {
    (member.previous ? member.previous->next : front_) = member.next;
    if (member.next) member.next->previous = member.previous;
  }

 private:
  Member* front_ = nullptr;
};

// A page that serves one class of blocks.
struct BlockPage {
  void start(const BlockClass& of, std::byte* first_block, std::size_t block_count);
  bool full() const { return used == blocks; }
  // The lowest free block; the page is not full.
  void* take();
  void give_back(void* block);

  BlockPage* next;
  BlockPage* previous;
  std::byte* first;
  std::uint32_t block_bytes;
  std::uint16_t blocks;
  std::uint16_t used;
  std::uint16_t lowest_word;  // Of `free`: there is none free before it.
  std::uint8_t rank;          // The list of its class in which it stands.
  std::array<std::uint64_t, kBlocksAPageMax / 64> free;
};

class Region {
 public:
  static Region* make();
  static void give_back(Region* region);
  static Region& of(const void* block) {
    return *reinterpret_cast<Region*>(reinterpret_cast<std::uintptr_t>(block) / kRegionBytes * kRegionBytes);
  }

  std::size_t page_number_of(const void* block) const {
    return static_cast<std::size_t>(static_cast<const std::byte*>(block) - memory()) / kPageBytes;
  }
  BlockPage& page(std::size_t number) { return pages_[number]; }
  std::byte* page_memory(std::size_t number) { return memory() + number * kPageBytes; }
  // Makes the page serve one class.
  BlockPage& start_page(std::size_t number, const BlockClass& of);

  unsigned free_pages() const { return static_cast<unsigned>(std::popcount(free_)); }
  // A page for blocks, which may be the shorter one; or the first of `count` neighbouring whole pages. kPagesARegion if
  // there is none.
  std::size_t find_free_page() const;
  std::size_t find_whole_pages(std::size_t count) const;
  void take_pages(std::size_t first, std::size_t count) { free_ &= ~mask_of(first, count); }
  void give_back_pages(std::size_t first, std::size_t count) { free_ |= mask_of(first, count); }

  Region* next = nullptr;
  Region* previous = nullptr;

 private:
  Region() = default;
  static std::uint32_t mask_of(std::size_t first, std::size_t count) {
    return static_cast<std::uint32_t>(((std::uint64_t{1} << count) - 1) << first);
  }
  std::byte* memory() { return reinterpret_cast<std::byte*>(this); }
  const std::byte* memory() const { return reinterpret_cast<const std::byte*>(this); }

  std::uint32_t free_ = UINT32_MAX;  // A bit a page.
  std::array<BlockPage, kPagesARegion> pages_;
};
static_assert(kPagesARegion == 32);
static_assert(sizeof(Region) <= kRegionHeaderBytes && kRegionHeaderBytes % 64 == 0);

}  // namespace freshet::memory
