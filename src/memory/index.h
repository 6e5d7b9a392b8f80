// A shard's index: from a key's hash to its entry. Open addressing over buckets of one cache line, eight slots each; a slot
// is a pointer and twenty bits of the hash:
//
//   slot = tag (the hash's low 20 bits) << 44 | address >> 4        (entries are aligned to 16; addresses have 48 bits)
//
// A look-up compares the tags of a bucket all at once and without a branch for each: one line of the index, then the right
// entry. Memory is slow and branch predictors are wrong about hashes; that is what this saves.
//
// An entry's home is the bucket of its tag. It stands there, or in the first bucket behind it that had a slot free; a
// look-up may stop at a bucket that is not full. Who leaves a full bucket lets one that had to pass it move up, so there are
// no tombstones, and because homes follow from tags, nothing of this reads an entry.
// Not thread-safe but for find_unlocked and the prefetches: the shard locks. May use base only.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/function_ref.h"
#include "memory/block_pool.h"
#include "memory/entry.h"
#include "memory/unlocked_read.h"

namespace freshet::memory {

// What a reader without the lock came to.
enum class Sight : std::uint8_t {
  found,
  absent,
  refused,  // There, but not to be served.
  changed,  // Another thread changed the shard meanwhile: nothing is known.
  locked,   // Only a reader with the lock can say.
};

class Index {
 public:
  static constexpr std::size_t kSlotsABucket = 8;
  static constexpr int kTagBits = 20;
  static constexpr std::size_t kBucketsMin = 2;
  static constexpr std::size_t kBucketsMax = std::size_t{1} << kTagBits;
  // Three quarters of the slots are used at most, so that few entries stand outside their home.
  static constexpr std::size_t kEntriesMax = kBucketsMax * kSlotsABucket / 4 * 3;

  Index() = default;
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  std::size_t size() const { return size_; }
  std::size_t bytes() const { return bytes_of(buckets()); }
  // What bytes() will be after one more entry.
  std::size_t bytes_after_insert() const { return bytes_of(buckets_for(size_ + 1)); }

  // Null if there is none.
  Entry* find(std::string_view key, std::uint64_t hash) const;
  // For a reader without the lock (memory/unlocked_reader.h): `look(entry)` is called for each entry that seems to have the
  // hash's tag, until it comes to anything but Sight::absent. `still()` says whether the shard has not changed since the
  // reader began.
  template <typename Still, typename Look>
  Sight find_unlocked(std::uint64_t hash, Still still, Look look) const;
  // Neither the key nor the entry is in the index, and size() < kEntriesMax.
  void insert(Entry& entry);
  // `earlier` is in the index, and `replacement` has the same key.
  void replace(const Entry& earlier, Entry& replacement);
  void erase(const Entry& entry);
  // Takes out the entries for which `leaves` holds; it is asked once an entry.
  void erase_if(base::FunctionRef<bool(Entry&)> leaves);
  // Gives memory back if few entries are left.
  void shrink_if_sparse();
  // Brings the bucket of `hash` towards the processor. Needs no lock.
  void prefetch(std::uint64_t hash) const;
  // Reads the bucket and brings the entry that is probably the right one. Needs no lock; `still` as above.
  template <typename Still>
  void prefetch_entry(std::uint64_t hash, Still still) const;

 private:
  static constexpr int kAddressBits = 64 - kTagBits;
  static constexpr int kAlignmentBits = 4;

  struct alignas(64) Bucket {
    std::uint64_t slots[kSlotsABucket] = {};

    // A bit for each slot with this tag.
    unsigned matches(std::size_t tag) const;
    bool full() const;
    Entry* entry_at(int slot) const { return entry_in(peek(slots[slot])); }
    std::uint64_t& free_slot();
  };
  struct Position {
    std::size_t bucket;
    std::size_t slot;
  };

  static std::size_t bytes_of(std::size_t buckets) {
    return buckets == 0 ? 0 : BlockPool::footprint_of(buckets * sizeof(Bucket));
  }
  static Bucket* make_buckets(std::size_t count);
  static void drop_buckets(Bucket* first, std::size_t count);
  static std::size_t tag_of(std::uint64_t hash) { return hash & (kBucketsMax - 1); }
  static std::size_t tag_in(std::uint64_t slot) { return slot >> kAddressBits; }
  static Entry* entry_in(std::uint64_t slot) {
    return reinterpret_cast<Entry*>((slot & ((std::uint64_t{1} << kAddressBits) - 1)) << kAlignmentBits);
  }
  static std::uint64_t slot_of(const Entry& entry);

  // An index without buckets points to one that is empty for ever, so that a look-up need not ask.
  std::size_t buckets() const { return mask() == 0 ? 0 : mask() + 1; }
  std::size_t mask() const { return mask_.load(std::memory_order_relaxed); }
  Bucket* first() const { return first_.load(std::memory_order_relaxed); }
  std::size_t buckets_for(std::size_t entries) const;
  Position position_of(const Entry& entry) const;
  bool find_passed(std::size_t gap, std::size_t bucket, std::size_t& slot) const;
  void rebuild(std::size_t buckets);
  void put(std::uint64_t slot);
  void clear(Position gap);

  static Bucket nothing_;
  // Atomic for readers without the lock, who must not believe that one belongs to the other before they have asked.
  std::atomic<Bucket*> first_{&nothing_};
  std::atomic<std::uint32_t> mask_{0};
  std::uint32_t size_ = 0;
};

FRESHET_UNLOCKED_READ inline unsigned Index::Bucket::matches(std::size_t tag) const {
#if defined(__SSE2__)
  // The upper halves of four slots a register: the tag, and twelve bits of the address to be masked away.
  const auto* const pairs = reinterpret_cast<const volatile __m128i*>(slots);
  const __m128 first = _mm_castsi128_ps(pairs[0]), second = _mm_castsi128_ps(pairs[1]);
  const __m128 third = _mm_castsi128_ps(pairs[2]), fourth = _mm_castsi128_ps(pairs[3]);
  const __m128i front = _mm_castps_si128(_mm_shuffle_ps(first, second, _MM_SHUFFLE(3, 1, 3, 1)));
  const __m128i back = _mm_castps_si128(_mm_shuffle_ps(third, fourth, _MM_SHUFFLE(3, 1, 3, 1)));
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(tag << (kAddressBits - 32)));
  const __m128i tag_bits = _mm_set1_epi32(-1 << (kAddressBits - 32));
  const __m128i front_equal = _mm_cmpeq_epi32(_mm_and_si128(front, tag_bits), wanted);
  const __m128i back_equal = _mm_cmpeq_epi32(_mm_and_si128(back, tag_bits), wanted);
  return static_cast<unsigned>(_mm_movemask_ps(_mm_castsi128_ps(front_equal)) |
                               _mm_movemask_ps(_mm_castsi128_ps(back_equal)) << 4);
#else
  unsigned found = 0;
  for (std::size_t i = 0; i < kSlotsABucket; ++i) found |= static_cast<unsigned>(tag_in(peek(slots[i])) == tag) << i;
  return found;
#endif
}

inline bool Index::Bucket::full() const {
  bool full = true;
  for (const std::uint64_t& slot : slots) full &= peek(slot) != 0;
  return full;
}

inline Entry* Index::find(std::string_view key, std::uint64_t hash) const {
  const std::size_t tag = tag_of(hash);
  for (std::size_t i = tag & mask();; i = (i + 1) & mask()) {
    const Bucket& bucket = first()[i];
    for (unsigned matches = bucket.matches(tag); matches != 0; matches &= matches - 1) {
      Entry* const entry = bucket.entry_at(std::countr_zero(matches));
      if (tag == 0 && entry == nullptr) continue;  // An empty slot looks like tag 0.
      entry->prefetch();
      if (entry->is(key, hash)) return entry;
    }
    if (!bucket.full()) return nullptr;
  }
}

template <typename Still, typename Look>
Sight Index::find_unlocked(std::uint64_t hash, Still still, Look look) const {
  const std::size_t tag = tag_of(hash);
  const Bucket* const all = first();
  const std::size_t last = mask();
  for (std::size_t i = tag & last;; i = (i + 1) & last) {
    if (!still()) return Sight::changed;  // Before the index's memory is touched, and each bucket in turn.
    const Bucket& bucket = all[i];
    for (unsigned matches = bucket.matches(tag); matches != 0; matches &= matches - 1) {
      const Entry* const entry = bucket.entry_at(std::countr_zero(matches));
      if (!still()) return Sight::changed;
      if (entry == nullptr) continue;  // An empty slot looks like tag 0.
      entry->prefetch();
      const Sight sight = look(*entry);
      if (sight != Sight::absent) return sight;
    }
    const bool full = bucket.full();
    if (!still()) return Sight::changed;
    if (!full) return Sight::absent;
  }
}

inline void Index::prefetch(std::uint64_t hash) const {
  const auto address = reinterpret_cast<std::uintptr_t>(first());
  __builtin_prefetch(reinterpret_cast<const void*>(address + (tag_of(hash) & mask()) * sizeof(Bucket)));
}

// A prefetch of an address that means nothing any more is harmless; the bucket is read, so that it must have been one.
template <typename Still>
void Index::prefetch_entry(std::uint64_t hash, Still still) const {
  const std::size_t tag = tag_of(hash);
  const Bucket& bucket = first()[tag & mask()];
  if (!still()) return;
  const unsigned matches = bucket.matches(tag);
  const Entry* const entry = matches == 0 ? nullptr : bucket.entry_at(std::countr_zero(matches));
  if (entry) entry->prefetch();  // An empty slot looks like tag 0.
}

}  // namespace freshet::memory
