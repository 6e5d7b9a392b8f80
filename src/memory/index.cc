// Changing a shard's index. See memory/index.h.
#include "memory/index.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <utility>

namespace freshet::memory {
namespace {

// An index with fewer entries than an eighth of its slots shrinks; to grow again it then takes three times as many.
constexpr std::size_t kSparse = 8;

}  // namespace

constinit Index::Bucket Index::nothing_;

Index::~Index() {
  drop_buckets(first(), buckets());
}

Index::Bucket* Index::make_buckets(std::size_t count) {
  if (count == 0) return &nothing_;
  static_assert(sizeof(Bucket) == alignof(Bucket));  // A power of two, as the counts are: the pool aligns it so.
  auto* const first = static_cast<Bucket*>(BlockPool::shared().allocate(count * sizeof(Bucket)));
  std::uninitialized_value_construct_n(first, count);
  return first;
}

void Index::drop_buckets(Bucket* first, std::size_t count) {
  if (count != 0) BlockPool::shared().free(first, count * sizeof(Bucket));
}

std::uint64_t Index::slot_of(const Entry& entry) {
  static_assert(__STDCPP_DEFAULT_NEW_ALIGNMENT__ == 1 << kAlignmentBits && kBlockUnitBytes == 1 << kAlignmentBits);
  const auto address = reinterpret_cast<std::uintptr_t>(&entry);
  // Linux gives longer addresses only to those who ask for them.
  if (address >> (kAddressBits + kAlignmentBits) != 0) std::abort();
  return tag_of(entry.hash()) << kAddressBits | address >> kAlignmentBits;
}

std::uint64_t& Index::Bucket::free_slot() {
  return *std::find(std::begin(slots), std::end(slots), 0);
}

std::size_t Index::buckets_for(std::size_t entries) const {
  std::size_t wanted = std::max(kBucketsMin, buckets());
  while (entries * 4 > wanted * kSlotsABucket * 3) wanted *= 2;
  return wanted;
}

Index::Position Index::position_of(const Entry& entry) const {
  const std::uint64_t wanted = slot_of(entry);
  for (std::size_t i = tag_in(wanted) & mask();; i = (i + 1) & mask()) {
    const Bucket& bucket = first()[i];
    const auto* const found = std::find(std::begin(bucket.slots), std::end(bucket.slots), wanted);
    if (found != std::end(bucket.slots)) return {i, static_cast<std::size_t>(found - std::begin(bucket.slots))};
    assert(bucket.full());
  }
}

void Index::put(std::uint64_t slot) {
  std::size_t i = tag_in(slot) & mask();
  while (first()[i].full()) i = (i + 1) & mask();
  poke(first()[i].free_slot(), slot);
}

void Index::rebuild(std::size_t buckets) {
  Bucket* const old = first();
  const std::size_t old_buckets = this->buckets();
  first_.store(make_buckets(buckets), std::memory_order_relaxed);
  mask_.store(buckets == 0 ? 0 : static_cast<std::uint32_t>(buckets - 1), std::memory_order_relaxed);
  for (std::size_t i = 0; i < old_buckets; ++i) {
    for (const std::uint64_t slot : old[i].slots) {
      if (slot != 0) put(slot);
    }
  }
  drop_buckets(old, old_buckets);
}

void Index::insert(Entry& entry) {
  assert(size_ < kEntriesMax);
  const std::size_t needed = buckets_for(size_ + 1);
  if (needed != buckets()) rebuild(needed);
  put(slot_of(entry));
  ++size_;
}

void Index::replace(const Entry& earlier, Entry& replacement) {
  assert(earlier.hash() == replacement.hash());
  const Position position = position_of(earlier);
  poke(first()[position.bucket].slots[position.slot], slot_of(replacement));
}

void Index::erase(const Entry& entry) {
  clear(position_of(entry));
  --size_;
}

// Whether an entry in `bucket` had to pass the bucket `gap` on the way from its home, and which.
bool Index::find_passed(std::size_t gap, std::size_t bucket, std::size_t& slot) const {
  const std::size_t distance = (bucket - gap) & mask();
  for (slot = 0; slot < kSlotsABucket; ++slot) {
    const std::uint64_t held = first()[bucket].slots[slot];
    if (held != 0 && ((bucket - tag_in(held)) & mask()) >= distance) return true;
  }
  return false;
}

// Empties a slot. If its bucket was full, entries behind it may have passed it: one moves up, which leaves a gap in turn.
// The first bucket that is not full ends it, as it ends every look-up.
void Index::clear(Position gap) {
  Bucket* const all = first();
  bool was_full = all[gap.bucket].full();
  poke(all[gap.bucket].slots[gap.slot], std::uint64_t{0});
  for (std::size_t i = gap.bucket; was_full;) {
    i = (i + 1) & mask();
    was_full = all[i].full();
    std::size_t slot = 0;
    if (!find_passed(gap.bucket, i, slot)) continue;
    poke(all[gap.bucket].slots[gap.slot], all[i].slots[slot]);
    poke(all[i].slots[slot], std::uint64_t{0});
    gap = {i, slot};
  }
}

// Begins behind a bucket that is not full: nothing has passed it, so entries only move up among those still to be asked, and
// each is asked once. It comes last, and since it was not full, nothing moves up into it.
void Index::erase_if(base::FunctionRef<bool(Entry&)> leaves) {
  if (size_ == 0) return;
  std::size_t start = 0;
  while (first()[start].full()) ++start;
  for (std::size_t step = 1; step <= buckets(); ++step) {
    const std::size_t i = (start + step) & mask();
    Bucket& bucket = first()[i];
    for (std::size_t slot = 0; slot < kSlotsABucket;) {
      if (bucket.slots[slot] != 0 && leaves(*entry_in(bucket.slots[slot]))) {
        clear({i, slot});
        --size_;
      } else {
        ++slot;
      }
    }
  }
}

void Index::shrink_if_sparse() {
  if (size_ == 0) {
    if (mask() != 0) rebuild(0);
    return;
  }
  std::size_t wanted = buckets();
  while (wanted > kBucketsMin && size_ * kSparse < wanted * kSlotsABucket) wanted /= 2;
  if (wanted != buckets()) rebuild(wanted);
}

}  // namespace freshet::memory
