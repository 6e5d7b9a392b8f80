// S3-FIFO: three queues, first in, first out. Yang, Zhang, Qiu, Yue, Vigfusson: "FIFO queues are all you need for cache
// eviction", SOSP 2023 (https://dl.acm.org/doi/10.1145/3600006.3613147).
//
// Most objects of a real workload are read once and never again; they should leave quickly and not push out those that are
// read often. A new object enters the *small* queue (a tenth of the bytes). A hit only counts in two bits (0 to 3).
//   Room is taken from the small queue while it holds its tenth or more, else from the main queue.
//   Small's tail: read more than once since it came, it moves to the head of main, its count cleared; else it leaves, and
//   the *ghost* queue remembers its key.
//   Main's tail: with a count above zero it goes back to main's head, the count less one; else it leaves.
//   A new object whose key is in the ghost queue was sent away too early: it enters main at once.
// The ghost queue remembers as many keys as main has room for: nine tenths of the objects that the shard holds.
//
// Two things that the paper has no need of. A changed value takes the place and the count of the one before; a write is not
// a read. And an entry that is erased though it had earned its place (it is in main, or would have moved there) is
// remembered as a ghost, so that it comes back to main: being outdated does not make it cold.
//
// Time: a hit is one increment, and none once the count is full: such entries are marked as settled. An eviction may pass
// over objects, but only as often as hits have counted.
// May use base and memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "eviction/ghost_queue.h"
#include "memory/entry_list.h"
#include "memory/policy.h"

namespace freshet::eviction {

class S3Fifo final : public memory::EvictionPolicy {
 public:
  static constexpr std::size_t kSmallPart = 10;         // The small queue's part of the capacity: one in so many bytes.
  static constexpr std::uint8_t kFrequencyMax = 3;      // Two bits.
  static constexpr std::uint8_t kFrequencyToMove = 2;   // From small to main: read more than once.

  explicit S3Fifo(std::size_t capacity_bytes) { set_capacity(capacity_bytes); }

  bool admit(std::uint64_t, std::size_t) override { return true; }
  void on_insert(memory::Entry& entry) override;
  void on_hit(memory::Entry& entry) override {
    if (entry.frequency() < kFrequencyMax) set_frequency(entry, static_cast<std::uint8_t>(entry.frequency() + 1));
  }
  void on_replace(memory::Entry& earlier, memory::Entry& replacement) override;
  void on_erase(memory::Entry& entry) override;
  memory::Entry* take_victim() override;
  void set_capacity(std::size_t bytes) override;
  std::size_t overhead_bytes() const override { return ghosts_.bytes(); }

 private:
  enum Queue : std::uint8_t { kSmall, kMain };

  static std::uint32_t fingerprint_of(const memory::Entry& entry) { return static_cast<std::uint32_t>(entry.hash()); }
  memory::EntryList& queue_of(memory::Entry& entry) { return entry.queue() == kSmall ? small_ : main_; }
  // A count that is full has nothing to gain from further hits.
  static void set_frequency(memory::Entry& entry, std::uint8_t frequency) {
    entry.frequency() = frequency;
    entry.set_settled(frequency == kFrequencyMax);
  }
  void enter_main(memory::Entry& entry);
  void remember(const memory::Entry& entry);

  memory::EntryList small_;
  memory::EntryList main_;
  GhostQueue ghosts_;
  std::size_t small_bytes_ = 0;  // The small queue's part.
};

}  // namespace freshet::eviction
