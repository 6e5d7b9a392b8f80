// From a key's hash to its record, at nine bytes a record: open addressing over buckets of one cache line, nine slots each.
//
//   addresses 9 x 6 | tags 9 x 1 | passed 1
//
// A slot is a record's address (48 bits) and a tag, eight bits of the hash; tag 0 is a free slot. A look-up compares the
// nine tags at once: one line of the index, then the right record, but for one look-up in thirty, which reads another one
// first.
//
// A record's home is one of the buckets by its hash. It stands there, or in the first bucket behind it that had a slot free;
// `passed` counts those that had to pass the bucket, and a look-up stops at a bucket that nobody passed. Who leaves leaves
// its slot free; whoever passed stays where it is. The count stops at 255, and then only a rebuilding takes it back.
//
// Any number of buckets will do. From 64 KiB on the index grows by pages of as many, an eighth at least: eight of ten slots
// are in use or more. Growing reads every record's key, as a slot does not have the whole hash: the caller tells it.
//
// Not thread-safe but for find_unlocked and the prefetches: the shard locks. Memory comes from the block pool, and stays
// mapped. May use base and memory/mapped.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/function_ref.h"
#include "memory/mapped/unlocked_read.h"

namespace freshet::memory {

// What a reader without the lock came to.
enum class Sight : std::uint8_t {
  found,
  absent,
  refused,  // There, but not to be served.
  changed,  // Another thread changed the shard meanwhile: nothing is known.
  locked,   // Only a reader with the lock can say.
};

}  // namespace freshet::memory

namespace freshet::memory::segments {

class Index {
 public:
  static constexpr std::size_t kSlotsABucket = 9;
  static constexpr std::size_t kBucketsMin = 4;
  static constexpr std::size_t kBucketsMax = std::size_t{1} << 30;

  // The hash of a record that is in the index.
  using HashOf = base::FunctionRef<std::uint64_t(const char* record)>;

  Index() = default;
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  std::size_t size() const { return size_; }
  std::size_t bytes() const { return bytes_of(buckets_); }

  // The first record with the hash's tag for which `is` holds; null if there is none.
  template <typename Is>
  char* find(std::uint64_t hash, Is&& is) const;
  // For a reader without the lock (memory/unlocked_reader.h): `look(record)` is called for each record that seems to have
  // the hash's tag, until it comes to anything but Sight::absent. `still()` says whether the shard has not changed since the
  // reader began.
  template <typename Still, typename Look>
  Sight find_unlocked(std::uint64_t hash, Still still, Look look) const;
  void insert(std::uint64_t hash, char* record, HashOf hash_of);
  // `earlier` is in the index.
  void replace(std::uint64_t hash, const char* earlier, char* record);
  void erase(std::uint64_t hash, const char* record);
  // Gives memory back if few records are left.
  void shrink_if_sparse(HashOf hash_of);
  void for_each(base::FunctionRef<void(char* record)> visit) const;

  // Brings the bucket of `hash` towards the processor. Needs no lock.
  void prefetch(std::uint64_t hash) const { __builtin_prefetch(first() + home_of(hash, count())); }
  // Reads the bucket, and returns the record that is probably the right one, or null. Needs no lock.
  template <typename Still>
  const char* guess(std::uint64_t hash, Still still) const;

 private:
  static constexpr std::size_t kAddressBytes = 6;
  static constexpr std::uint8_t kPassedMax = UINT8_MAX;

  struct alignas(64) Bucket {
    char addresses[kSlotsABucket * kAddressBytes] = {};
    std::uint8_t tags[kSlotsABucket] = {};
    std::uint8_t passed = 0;

    // A bit for each slot with this tag.
    unsigned matches(std::uint8_t tag) const;
    char* address_at(std::size_t slot) const;
    void set(std::size_t slot, std::uint8_t tag, const char* record);
    // kSlotsABucket if there is none.
    std::size_t slot_of(std::uint8_t tag, const char* record) const;
  };
  static_assert(sizeof(Bucket) == 64);

  static std::size_t bytes_of(std::size_t buckets);
  // The high bits choose the shard, the middle ones are the tag, the low ones the bucket.
  static std::size_t home_of(std::uint64_t hash, std::size_t buckets) {
    return static_cast<std::size_t>((hash & UINT32_MAX) * buckets >> 32);
  }
  static std::uint8_t tag_of(std::uint64_t hash) {
    const auto tag = static_cast<std::uint8_t>(hash >> 32);
    return tag == 0 ? 1 : tag;
  }
  Bucket* first() const { return first_.load(std::memory_order_relaxed); }
  std::size_t count() const { return count_.load(std::memory_order_relaxed); }
  std::size_t next(std::size_t bucket) const { return bucket + 1 == count() ? 0 : bucket + 1; }
  static std::size_t step_up(std::size_t buckets);
  static std::size_t buckets_for(std::size_t records, std::size_t at_least);
  void rebuild(std::size_t buckets, HashOf hash_of);
  void put(std::uint64_t hash, const char* record);

  static Bucket nothing_;
  // An index without buckets points to one that is empty for ever, so that a look-up need not ask.
  std::atomic<Bucket*> first_{&nothing_};
  std::atomic<std::uint32_t> count_{1};  // Of the buckets at first_.
  std::uint32_t buckets_ = 0;
  std::uint32_t size_ = 0;
};

FRESHET_UNLOCKED_READ inline unsigned Index::Bucket::matches(std::uint8_t tag) const {
#if defined(__SSE2__)
  // The last sixteen bytes: the last address, the tags, and the count.
  const __m128i last = *reinterpret_cast<const volatile __m128i*>(addresses + 48);
  const __m128i equal = _mm_cmpeq_epi8(last, _mm_set1_epi8(static_cast<char>(tag)));
  return static_cast<unsigned>(_mm_movemask_epi8(equal)) >> kAddressBytes & ((1U << kSlotsABucket) - 1);
#else
  unsigned found = 0;
  for (std::size_t i = 0; i < kSlotsABucket; ++i) found |= static_cast<unsigned>(peek(tags[i]) == tag) << i;
  return found;
#endif
}

// Eight bytes are read: the last two belong to what is behind.
FRESHET_UNLOCKED_READ inline char* Index::Bucket::address_at(std::size_t slot) const {
  const auto bytes = unlocked_read::at<unlocked_read::Word>(addresses + slot * kAddressBytes);
  return reinterpret_cast<char*>(bytes & ((std::uint64_t{1} << 48) - 1));
}

template <typename Is>
char* Index::find(std::uint64_t hash, Is&& is) const {
  const std::uint8_t tag = tag_of(hash);
  const std::size_t home = home_of(hash, count());
  std::size_t i = home;
  do {
    const Bucket& bucket = first()[i];
    for (unsigned matches = bucket.matches(tag); matches != 0; matches &= matches - 1) {
      char* const record = bucket.address_at(static_cast<std::size_t>(std::countr_zero(matches)));
      if (is(record)) return record;
    }
    if (bucket.passed == 0) return nullptr;
    i = next(i);
  } while (i != home);  // In a small index every bucket may have been passed.
  return nullptr;
}

template <typename Still, typename Look>
Sight Index::find_unlocked(std::uint64_t hash, Still still, Look look) const {
  const std::uint8_t tag = tag_of(hash);
  const Bucket* const all = first();
  const std::size_t buckets = count(), home = home_of(hash, buckets);
  std::size_t i = home;
  do {
    if (!still()) return Sight::changed;  // Before the index's memory is touched, and each bucket in turn.
    const Bucket& bucket = all[i];
    for (unsigned matches = bucket.matches(tag); matches != 0; matches &= matches - 1) {
      const char* const record = bucket.address_at(static_cast<std::size_t>(std::countr_zero(matches)));
      if (!still()) return Sight::changed;
      const Sight sight = look(record);
      if (sight != Sight::absent) return sight;
    }
    const bool passed = peek(bucket.passed) != 0;
    if (!still()) return Sight::changed;
    if (!passed) return Sight::absent;
    i = i + 1 == buckets ? 0 : i + 1;
  } while (i != home);
  return Sight::absent;
}

template <typename Still>
[[gnu::always_inline]] inline const char* Index::guess(std::uint64_t hash, Still still) const {
  const Bucket& bucket = first()[home_of(hash, count())];
  if (!still()) return nullptr;
  const unsigned matches = bucket.matches(tag_of(hash));
  return matches == 0 ? nullptr : bucket.address_at(static_cast<std::size_t>(std::countr_zero(matches)));
}

}  // namespace freshet::memory::segments
