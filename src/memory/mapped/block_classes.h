// How the block pool cuts memory: regions of one huge page, pages within them, and the sizes of the blocks that a page is
// cut into. All of it is computed by the compiler. Regions are for the processor's sake (one translation for two megabytes),
// pages so that memory given up by one size can serve another. May use nothing else.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace freshet::memory {

inline constexpr std::size_t kRegionBytes = std::size_t{2} << 20;  // A huge page, and aligned as one.
inline constexpr std::size_t kPageBytes = std::size_t{64} << 10;
inline constexpr std::size_t kPagesARegion = kRegionBytes / kPageBytes;
inline constexpr std::size_t kRegionHeaderBytes = std::size_t{8} << 10;  // The first page of a region is so much shorter.

inline constexpr std::size_t kBlockUnitBytes = 16;  // Every block's size and alignment are multiples of it.
inline constexpr std::size_t kBlockBytesMin = 64;
inline constexpr std::size_t kBlockBytesMax = std::size_t{32} << 10;  // Half a page: larger ones are made of pages.
inline constexpr std::size_t kBlocksAPageMax = kPageBytes / kBlockBytesMin;
// From here on, sizes stand so far apart that a request takes a block only if it leaves little of it unused: so many'th.
inline constexpr std::size_t kThriftyBytesMin = std::size_t{8} << 10;
inline constexpr std::size_t kWastedPart = 16;

struct BlockClass {
  std::uint32_t bytes = 0;
  std::uint16_t blocks_a_page = 0;
  std::uint16_t blocks_first_page = 0;
  std::uint32_t footprint = 0;  // What a block costs: a region's bytes divided among the blocks that it holds.
};

// Sizes an eighth apart (sixteen bytes at least), each as large as the number of its blocks to a page allows. All powers of
// two are among them, and a block of a power of two from 64 on is aligned to 64.
struct BlockClasses {
  static constexpr std::size_t kCountMax = 128;

  std::array<BlockClass, kCountMax> all = {};
  std::size_t count = 0;
  // From a request in units, rounded up, to its class; kNone if it would waste too much.
  static constexpr std::uint8_t kNone = UINT8_MAX;
  std::array<std::uint8_t, kBlockBytesMax / kBlockUnitBytes + 1> by_units = {};

  constexpr BlockClasses() {
    for (std::size_t bytes = kBlockBytesMin;; bytes = after(bytes)) {
      const std::size_t blocks = kPageBytes / bytes;
      const std::size_t blocks_first = (kPageBytes - kRegionHeaderBytes) / bytes;
      const std::size_t blocks_a_region = blocks * (kPagesARegion - 1) + blocks_first;
      all[count++] = {static_cast<std::uint32_t>(bytes), static_cast<std::uint16_t>(blocks),
                      static_cast<std::uint16_t>(blocks_first),
                      static_cast<std::uint32_t>((kRegionBytes + blocks_a_region - 1) / blocks_a_region)};
      if (bytes == kBlockBytesMax) break;
    }
    std::size_t chosen = 0;
    for (std::size_t units = 0; units < by_units.size(); ++units) {
      const std::size_t bytes = units * kBlockUnitBytes;
      while (all[chosen].bytes < bytes) ++chosen;
      const bool wasteful = bytes > kThriftyBytesMin && all[chosen].footprint > bytes + bytes / kWastedPart;
      by_units[units] = wasteful ? kNone : static_cast<std::uint8_t>(chosen);
    }
  }

 private:
  static constexpr std::size_t bytes_of(std::size_t blocks) {
    return kPageBytes / blocks / kBlockUnitBytes * kBlockUnitBytes;
  }
  static constexpr std::size_t after(std::size_t bytes) {
    const std::size_t wanted =
        std::min(bytes + std::max(kBlockUnitBytes, std::bit_floor(bytes) / 8), std::bit_ceil(bytes + 1));
    const std::size_t smaller = bytes_of((kPageBytes + wanted - 1) / wanted);
    return smaller > bytes ? smaller : bytes_of(kPageBytes / wanted);
  }
};

inline constexpr BlockClasses kBlockClasses;
static_assert(kBlockClasses.all[kBlockClasses.count - 1].bytes == kBlockBytesMax);

// The class of a request of at most kBlockBytesMax, or BlockClasses::kNone.
constexpr std::uint8_t block_class_of(std::size_t bytes) {
  return kBlockClasses.by_units[(bytes + kBlockUnitBytes - 1) / kBlockUnitBytes];
}

}  // namespace freshet::memory
