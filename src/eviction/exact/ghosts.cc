// See eviction/exact/ghosts.h.
#include "eviction/exact/ghosts.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace freshet::eviction::exact {

bool Ghosts::take(std::uint64_t key) {
  const std::size_t bucket = find(key);
  if (table_[bucket] == kFree) return false;
  remove_at(bucket);
  return true;
}

void Ghosts::push(std::uint64_t key, std::uint32_t size) {
  if (back_ - front_ == ring_.size()) resize(std::max(kRingMin, std::bit_ceil(2 * (size_ + 1))));
  const auto place = static_cast<std::uint32_t>(back_++ & (ring_.size() - 1));
  const std::size_t bucket = find(key);
  ring_[place] = {key, size, true};
  table_[bucket] = place;
  ++size_;
  bytes_ += size;
}

void Ghosts::pop() {
  for (;;) {
    const Entry& oldest = ring_[front_ & (ring_.size() - 1)];
    if (oldest.live) break;
    ++front_;
  }
  remove_at(find(ring_[front_++ & (ring_.size() - 1)].key));
}

void Ghosts::remove_at(std::size_t bucket) {
  Entry& entry = ring_[table_[bucket]];
  entry.live = false;
  --size_;
  bytes_ -= entry.size;
  // Whoever stands further on and would rather stand here, or before, moves up.
  std::size_t hole = bucket;
  for (std::size_t at = next(hole); table_[at] != kFree; at = next(at)) {
    const std::size_t home = bucket_of(ring_[table_[at]].key);
    const std::size_t mask = table_.size() - 1;
    if (((at - home) & mask) >= ((at - hole) & mask)) table_[std::exchange(hole, at)] = table_[at];
  }
  table_[hole] = kFree;
}

void Ghosts::resize(std::size_t entries) {
  std::vector<Entry> ring(entries);
  std::size_t back = 0;
  for (std::uint64_t at = front_; at != back_; ++at) {
    const Entry& entry = ring_[at & (ring_.size() - 1)];
    if (entry.live) ring[back++] = entry;
  }
  ring_.swap(ring);
  front_ = 0;
  back_ = back;
  table_.assign(entries * 2, kFree);
  shift_ = 64 - std::countr_zero(table_.size());
  for (std::size_t place = 0; place < back; ++place) table_[find(ring_[place].key)] = static_cast<std::uint32_t>(place);
}

}  // namespace freshet::eviction::exact
