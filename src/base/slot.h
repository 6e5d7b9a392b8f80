// Hash slots and key hashes. A slot is one of Redis Cluster's 16384 (CRC16/XMODEM of the key, or of its {hashtag}); the key
// space is sharded and guarded by slots. https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <string_view>

namespace freshet::base {

using Slot = std::uint16_t;

inline constexpr int kSlots = 16384;
// Guards in storage are locked by cells of 64 neighbouring slots: 256 cells in all.
inline constexpr int kSlotsPerCell = 64;
inline constexpr int kCells = kSlots / kSlotsPerCell;

std::uint16_t crc16(std::string_view bytes);

// The part of a key that decides its slot: what stands between the first '{' and the next '}', unless that is empty.
std::string_view hashtag_of(std::string_view key);

inline Slot slot_of(std::string_view key) { return crc16(hashtag_of(key)) % kSlots; }

// The hash by which tables in memory find a key; not related to its slot.
inline std::uint64_t hash_of(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

// An inclusive run of slots, first <= last.
struct SlotRange {
  Slot first = 0;
  Slot last = kSlots - 1;

  bool contains(Slot slot) const { return first <= slot && slot <= last; }
  bool overlaps(const SlotRange& other) const { return first <= other.last && other.first <= last; }
  int size() const { return last - first + 1; }
  friend bool operator==(const SlotRange&, const SlotRange&) = default;
};

inline int cell_of(Slot slot) { return slot / kSlotsPerCell; }
inline SlotRange range_of_cell(int cell) {
  return {static_cast<Slot>(cell * kSlotsPerCell), static_cast<Slot>((cell + 1) * kSlotsPerCell - 1)};
}

}  // namespace freshet::base
