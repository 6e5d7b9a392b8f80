// See memory/outside_value.h.
#include "memory/outside_value.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <new>

#include "memory/mapped/block_pool.h"

namespace freshet::memory {
namespace {

using Count = std::atomic<std::uint64_t>;

Count& count_of(std::string_view value) {
  return *(reinterpret_cast<Count*>(const_cast<char*>(value.data())) - 1);
}

}  // namespace

std::size_t OutsideValue::footprint_of(std::size_t value_bytes) {
  return BlockPool::footprint_of(sizeof(Count) + value_bytes);
}

std::string_view OutsideValue::make(std::string_view value) {
  auto* const block = static_cast<char*>(BlockPool::shared().allocate(sizeof(Count) + value.size()));
  new (block) Count(1);
  char* const bytes = block + sizeof(Count);
  std::ranges::copy(value, bytes);
  return {bytes, value.size()};
}

void OutsideValue::hold(std::string_view value) { count_of(value).fetch_add(1, std::memory_order_relaxed); }

void OutsideValue::release(std::string_view value) {
  Count& count = count_of(value);
  if (count.fetch_sub(1, std::memory_order_acq_rel) == 1) BlockPool::shared().free(&count, sizeof(Count) + value.size());
}

}  // namespace freshet::memory
