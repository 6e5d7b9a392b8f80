// Tests of eviction/lru.h.
#include "eviction/lru.h"

#include <gtest/gtest.h>

#include <array>

namespace freshet::eviction {
namespace {

using memory::Entry;

TEST(Lru, TheLeastRecentlyUsedLeaves) {
  std::array<memory::EntryRef, 5> refs;
  for (auto& ref : refs) ref = memory::EntryRef(Entry::make({}), /*add_ref=*/false);
  const auto entry = [&](std::size_t i) -> Entry& { return const_cast<Entry&>(*refs[i]); };
  Lru lru;
  for (std::size_t i = 0; i < 4; ++i) lru.on_insert(entry(i));
  lru.on_hit(entry(0));
  lru.on_replace(entry(1), entry(4));  // Not an access.
  lru.on_erase(entry(2));
  EXPECT_EQ(lru.take_victim(), &entry(4));
  EXPECT_EQ(lru.take_victim(), &entry(3));
  EXPECT_EQ(lru.take_victim(), &entry(0));
  EXPECT_EQ(lru.take_victim(), nullptr);
}

}  // namespace
}  // namespace freshet::eviction
