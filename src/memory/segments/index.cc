// Changing the index. See memory/segments/index.h.
#include "memory/segments/index.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "memory/mapped/block_classes.h"
#include "memory/mapped/block_pool.h"

namespace freshet::memory::segments {
namespace {

// Of a hundred slots so many are in use at most: more, and many a look-up takes a second bucket.
constexpr std::size_t kFullest = 90;
// An index with fewer records than a quarter of its slots shrinks; to grow again it then takes twice as many.
constexpr std::size_t kSparse = 4;

}  // namespace

constinit Index::Bucket Index::nothing_;

Index::~Index() {
  if (buckets_ != 0) BlockPool::shared().free(first(), buckets_ * sizeof(Bucket));
}

std::size_t Index::bytes_of(std::size_t buckets) {
  return buckets == 0 ? 0 : BlockPool::footprint_of(buckets * sizeof(Bucket));
}

void Index::Bucket::set(std::size_t slot, std::uint8_t tag, const char* record) {
  const auto address = reinterpret_cast<std::uintptr_t>(record);
  if (address >> 48 != 0) std::abort();  // Linux gives longer addresses only to those who ask for them.
  std::memcpy(addresses + slot * kAddressBytes, &address, kAddressBytes);
  poke(tags[slot], tag);
}

std::size_t Index::Bucket::slot_of(std::uint8_t tag, const char* record) const {
  for (unsigned matching = matches(tag); matching != 0; matching &= matching - 1) {
    const auto slot = static_cast<std::size_t>(std::countr_zero(matching));
    if (address_at(slot) == record) return slot;
  }
  return kSlotsABucket;
}

// Sizes that the block pool aligns and keeps mapped: powers of two, whole pages, whole regions.
std::size_t Index::step_up(std::size_t buckets) {
  constexpr std::size_t kPage = kPageBytes / sizeof(Bucket), kRegion = kRegionBytes / sizeof(Bucket);
  if (buckets < kPage) return buckets * 2;
  const std::size_t eighth = buckets + buckets / 8;
  if (eighth < kRegion / 2) return eighth / kPage * kPage + kPage;
  return buckets < kRegion / 2 ? kRegion / 2 : eighth / kRegion * kRegion + kRegion;
}

std::size_t Index::buckets_for(std::size_t records, std::size_t at_least) {
  std::size_t wanted = std::max(kBucketsMin, at_least);
  while (records * 100 > wanted * kSlotsABucket * kFullest) wanted = step_up(wanted);
  return wanted;
}

void Index::rebuild(std::size_t buckets, HashOf hash_of) {
  assert(buckets <= kBucketsMax);
  Bucket* const old = first();
  const std::size_t old_buckets = buckets_;
  Bucket* fresh = &nothing_;
  if (buckets != 0) {
    assert(BlockPool::stays_mapped(buckets * sizeof(Bucket)));
    fresh = static_cast<Bucket*>(BlockPool::shared().allocate(buckets * sizeof(Bucket)));
    std::uninitialized_value_construct_n(fresh, buckets);
  }
  first_.store(fresh, std::memory_order_relaxed);
  count_.store(static_cast<std::uint32_t>(std::max<std::size_t>(buckets, 1)), std::memory_order_relaxed);
  buckets_ = static_cast<std::uint32_t>(buckets);
  // The records of a bucket are on their way from memory while those of the bucket before are put.
  for (std::size_t i = 0; i < old_buckets; ++i) {
    const Bucket& ahead = old[std::min(i + 1, old_buckets - 1)];
    for (std::size_t slot = 0; slot < kSlotsABucket; ++slot) __builtin_prefetch(ahead.address_at(slot));
    for (std::size_t slot = 0; slot < kSlotsABucket; ++slot) {
      if (old[i].tags[slot] != 0) put(hash_of(old[i].address_at(slot)), old[i].address_at(slot));
    }
  }
  if (old_buckets != 0) BlockPool::shared().free(old, old_buckets * sizeof(Bucket));
}

void Index::put(std::uint64_t hash, const char* record) {
  for (std::size_t i = home_of(hash, buckets_);; i = next(i)) {
    Bucket& bucket = first()[i];
    if (const unsigned free = bucket.matches(0); free != 0) {
      return bucket.set(static_cast<std::size_t>(std::countr_zero(free)), tag_of(hash), record);
    }
    if (bucket.passed != kPassedMax) poke(bucket.passed, static_cast<std::uint8_t>(bucket.passed + 1));
  }
}

void Index::insert(std::uint64_t hash, char* record, HashOf hash_of) {
  const std::size_t needed = buckets_for(size_ + 1, buckets_);
  if (needed != buckets_) rebuild(needed, hash_of);
  put(hash, record);
  ++size_;
}

void Index::replace(std::uint64_t hash, const char* earlier, char* record) {
  for (std::size_t i = home_of(hash, buckets_);; i = next(i)) {
    Bucket& bucket = first()[i];
    const std::size_t slot = bucket.slot_of(tag_of(hash), earlier);
    if (slot != kSlotsABucket) return bucket.set(slot, tag_of(hash), record);
    assert(bucket.passed != 0);
  }
}

// First where it stands, then the buckets that it passed: a reader without the lock is stopped by the sequence either way.
void Index::erase(std::uint64_t hash, const char* record) {
  const std::size_t home = home_of(hash, buckets_);
  std::size_t at = home;
  std::size_t slot;
  while ((slot = first()[at].slot_of(tag_of(hash), record)) == kSlotsABucket) {
    assert(first()[at].passed != 0);
    at = next(at);
  }
  poke(first()[at].tags[slot], std::uint8_t{0});
  for (std::size_t i = home; i != at; i = next(i)) {
    Bucket& bucket = first()[i];
    if (bucket.passed != kPassedMax) poke(bucket.passed, static_cast<std::uint8_t>(bucket.passed - 1));
  }
  --size_;
}

void Index::shrink_if_sparse(HashOf hash_of) {
  if (buckets_ == 0) return;
  if (size_ == 0) return rebuild(0, hash_of);
  if (buckets_ <= kBucketsMin || size_ * kSparse >= buckets_ * kSlotsABucket) return;
  const std::size_t wanted = buckets_for(size_ * 2, kBucketsMin);
  if (wanted < buckets_) rebuild(wanted, hash_of);  // Sizes come in steps: it may be the same one.
}

void Index::for_each(base::FunctionRef<void(char* record)> visit) const {
  for (std::size_t i = 0; i < buckets_; ++i) {
    for (std::size_t slot = 0; slot < kSlotsABucket; ++slot) {
      if (first()[i].tags[slot] != 0) visit(first()[i].address_at(slot));
    }
  }
}

}  // namespace freshet::memory::segments
