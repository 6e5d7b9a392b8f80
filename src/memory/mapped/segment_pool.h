// Where segments come from: huge pages, cut into pieces of one size. What is not in use is kept for the next who asks, or
// goes back to the system when a whole huge page is free; its addresses stay mapped either way, for a reader without a lock
// may still be reading there. Thread-safe. May use base.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>

#include "memory/mapped/block_classes.h"

namespace freshet::memory {

class SegmentPool {
 public:
  static constexpr std::size_t kSegmentBytesMin = std::size_t{1} << 10;
  static constexpr std::size_t kSegmentBytesMax = kRegionBytes / 2;

  // A power of two.
  explicit SegmentPool(std::size_t segment_bytes);
  // Nothing of it is in use any more.
  ~SegmentPool();
  SegmentPool(const SegmentPool&) = delete;
  SegmentPool& operator=(const SegmentPool&) = delete;

  std::size_t segment_bytes() const { return segment_bytes_; }
  // Aligned to its size. What it holds is undefined. Throws std::bad_alloc as operator new does.
  char* take();
  void give_back(char* segment);
  // Huge pages held, in use or not.
  std::size_t bytes() const;

 private:
  static constexpr std::size_t kPiecesAWord = 64;
  static constexpr std::size_t kWords = kRegionBytes / kSegmentBytesMin / kPiecesAWord;

  struct Region {
    std::uint64_t free[kWords] = {};  // A bit a piece.
    std::size_t free_count = 0;

    void set_free(std::size_t piece) { free[piece / kPiecesAWord] |= std::uint64_t{1} << piece % kPiecesAWord; }
    // The lowest one, which is then in use. There is one.
    std::size_t take_piece();
  };

  void add_region();

  const std::size_t segment_bytes_;
  const std::size_t pieces_;  // Of a region.
  mutable std::mutex mutex_;
  std::map<char*, Region> regions_;
  std::set<char*> with_free_;     // Of these: where a piece is free.
  std::size_t free_count_ = 0;    // Pieces, in all.
};

}  // namespace freshet::memory
