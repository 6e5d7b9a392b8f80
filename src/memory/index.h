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
// Not thread-safe but for prefetch: the shard locks. May use base only.
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

namespace freshet::memory {

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
  // Reads the bucket and brings the entry that is probably the right one.
  void prefetch_entry(std::uint64_t hash) const;

 private:
  static constexpr int kAddressBits = 64 - kTagBits;
  static constexpr int kAlignmentBits = 4;

  struct alignas(64) Bucket {
    std::uint64_t slots[kSlotsABucket] = {};

    // A bit for each slot with this tag.
    unsigned matches(std::size_t tag) const;
    bool full() const;
    std::uint64_t* free_slot();
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
  // Atomic only for prefetch, which never reads what they point to.
  std::atomic<Bucket*> first_{&nothing_};
  std::atomic<std::uint32_t> mask_{0};
  std::uint32_t size_ = 0;
};

inline unsigned Index::Bucket::matches(std::size_t tag) const {
#if defined(__SSE2__)
  // The upper halves of four slots a register: the tag, and twelve bits of the address to be masked away.
  const auto* const pairs = reinterpret_cast<const __m128i*>(slots);
  const auto upper = [&](int pair) {
    const __m128 low = _mm_castsi128_ps(_mm_load_si128(pairs + pair));
    const __m128 high = _mm_castsi128_ps(_mm_load_si128(pairs + pair + 1));
    return _mm_castps_si128(_mm_shuffle_ps(low, high, _MM_SHUFFLE(3, 1, 3, 1)));
  };
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(tag << (kAddressBits - 32)));
  const __m128i tag_bits = _mm_set1_epi32(-1 << (kAddressBits - 32));
  const auto equal = [&](__m128i halves) {
    const __m128i same = _mm_cmpeq_epi32(_mm_and_si128(halves, tag_bits), wanted);
    return static_cast<unsigned>(_mm_movemask_ps(_mm_castsi128_ps(same)));
  };
  return equal(upper(0)) | equal(upper(2)) << 4;
#else
  unsigned found = 0;
  for (std::size_t i = 0; i < kSlotsABucket; ++i) found |= static_cast<unsigned>(tag_in(slots[i]) == tag) << i;
  return found;
#endif
}

inline bool Index::Bucket::full() const {
  bool full = true;
  for (const std::uint64_t slot : slots) full &= slot != 0;
  return full;
}

inline Entry* Index::find(std::string_view key, std::uint64_t hash) const {
  const std::size_t tag = tag_of(hash);
  for (std::size_t i = tag & mask();; i = (i + 1) & mask()) {
    const Bucket& bucket = first()[i];
    for (unsigned matches = bucket.matches(tag); matches != 0; matches &= matches - 1) {
      Entry* const entry = entry_in(bucket.slots[std::countr_zero(matches)]);
      if (tag == 0 && entry == nullptr) continue;  // An empty slot looks like tag 0.
      entry->prefetch();
      if (entry->is(key, hash)) return entry;
    }
    if (!bucket.full()) return nullptr;
  }
}

inline void Index::prefetch(std::uint64_t hash) const {
  const auto address = reinterpret_cast<std::uintptr_t>(first());
  __builtin_prefetch(reinterpret_cast<const void*>(address + (tag_of(hash) & mask()) * sizeof(Bucket)));
}

inline void Index::prefetch_entry(std::uint64_t hash) const {
  const std::size_t tag = tag_of(hash);
  const Bucket& bucket = first()[tag & mask()];
  const unsigned matches = bucket.matches(tag);
  const Entry* const entry = matches == 0 ? nullptr : entry_in(bucket.slots[std::countr_zero(matches)]);
  if (entry) entry->prefetch();  // An empty slot looks like tag 0.
}

}  // namespace freshet::memory
