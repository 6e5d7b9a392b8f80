// Ranges of addresses that stay mapped. See memory/mapped/address_ranges.h.
#include "memory/mapped/address_ranges.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <iterator>
#include <new>

#include "memory/mapped/block_classes.h"
#include "memory/mapped/block_poison.h"
#include "memory/mapped/sequence.h"

namespace freshet::memory {
namespace {

void* map_anywhere(std::size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

bool is_aligned(const void* memory) { return reinterpret_cast<std::uintptr_t>(memory) % kRegionBytes == 0; }

// The kernel often aligns such a mapping by itself. If not: more than is needed, and what is too much, which nobody has
// seen, goes back.
void* map_aligned(std::size_t bytes) {
  void* const lucky = map_anywhere(bytes);
  if (is_aligned(lucky)) return lucky;
  munmap(lucky, bytes);
  auto* const wide = static_cast<std::byte*>(map_anywhere(bytes + kRegionBytes));
  const std::size_t before = kRegionBytes - reinterpret_cast<std::uintptr_t>(wide) % kRegionBytes;
  if (before == kRegionBytes) {
    munmap(wide + bytes, kRegionBytes);
    return wide;
  }
  munmap(wide, before);
  munmap(wide + before + bytes, kRegionBytes - before);
  return wide + before;
}

}  // namespace

AddressRanges& AddressRanges::shared() {
  static AddressRanges* const ranges = new AddressRanges;
  return *ranges;
}

void* AddressRanges::take(std::size_t bytes) {
  assert(bytes % kRegionBytes == 0 && bytes > 0);
  void* memory = take_idle(bytes);
  if (!memory) {
    memory = map_aligned(bytes);
#if defined(MADV_HUGEPAGE)
    madvise(memory, bytes, MADV_HUGEPAGE);  // A wish: refused, it costs speed and nothing else.
#endif
  }
  announce_memory(memory, bytes);
  release_fence();  // Before the pool's own writes: memory/mapped/sequence.h.
  return memory;
}

void* AddressRanges::take_idle(std::size_t bytes) {
  const std::lock_guard hold(mutex_);
  const auto found = std::find_if(idle_.begin(), idle_.end(), [bytes](const auto& range) { return range.second >= bytes; });
  if (found == idle_.end()) return nullptr;
  const auto [address, idle_bytes] = *found;
  idle_.erase(found);
  if (idle_bytes > bytes) idle_.emplace(address + bytes, idle_bytes - bytes);
  return reinterpret_cast<void*>(address);
}

void AddressRanges::give_back(void* memory, std::size_t bytes) {
  renounce_memory(memory, bytes);
  madvise(memory, bytes, MADV_DONTNEED);
  auto begin = reinterpret_cast<std::uintptr_t>(memory);
  const std::lock_guard hold(mutex_);
  auto next = idle_.lower_bound(begin);
  if (next != idle_.end() && next->first == begin + bytes) {
    bytes += next->second;
    next = idle_.erase(next);
  }
  if (next != idle_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == begin) {
      before->second += bytes;
      return;
    }
  }
  idle_.emplace_hint(next, begin, bytes);
}

}  // namespace freshet::memory
