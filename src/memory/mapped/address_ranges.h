// Ranges of addresses that stay mapped: what the block pool once asked of the system it keeps for ever, for a reader without
// a lock may still be reading there (memory/unlocked_reader.h). The memory behind a range that is given back goes to the
// system; the range itself is used again before a new one is asked for, so that the addresses in use never exceed their peak
// but for what lies between ranges that are taken. Thread-safe. May use the standard library and the system's mmap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

namespace freshet::memory {

class AddressRanges {
 public:
  // The process's own, never destroyed.
  static AddressRanges& shared();

  // Memory aligned to kRegionBytes, huge pages wished for; where the kernel has none to give, ordinary pages serve. `bytes`
  // is a multiple of kRegionBytes. What it holds is undefined. Throws std::bad_alloc as operator new does.
  void* take(std::size_t bytes);
  // From now on it costs no memory, and reads as zeros (where the kernel cannot take locked pages back: as it was).
  void give_back(void* memory, std::size_t bytes);

 private:
  void* take_idle(std::size_t bytes);

  std::mutex mutex_;
  std::map<std::uintptr_t, std::size_t> idle_;  // Their bytes by where they begin; neighbours are joined.
};

}  // namespace freshet::memory
