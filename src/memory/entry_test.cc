// Tests of memory/entry.h and memory/outside_value.h: what is pinned stays, and nothing more of it than need be is copied.
#include "memory/entry.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "memory/outside_value.h"

namespace freshet::memory {
namespace {

struct TestWitness final : Witness {
  explicit TestWitness(bool& its_alive) : alive(its_alive) { alive = true; }
  ~TestWitness() override { alive = false; }
  bool& alive;
};

TEST(PinnedEntry, IsACopyThatHoldsItsWitness) {
  bool alive = false;
  WitnessRef witness(new TestWitness(alive));
  std::string key = "key", value = "value";
  EntryRef pinned =
      Entry(key, value, {.version = 7, .expires_at_ms = 9, .witness = witness.get(), .present = false}).pin();
  key = value = "other";
  witness = nullptr;
  EXPECT_TRUE(alive);
  EXPECT_EQ(pinned->key(), "key");
  EXPECT_EQ(pinned->value(), "value");
  EXPECT_EQ(pinned->version(), 7u);
  EXPECT_EQ(pinned->expires_at_ms(), 9);
  EXPECT_FALSE(pinned->present());
  const EntryRef again = pinned->pin();  // What is pinned may be pinned.
  pinned = nullptr;
  EXPECT_EQ(again->value(), "value");
  EXPECT_TRUE(alive);
}

TEST(PinnedEntry, LetsItsWitnessGo) {
  bool alive = false;
  {
    const WitnessRef witness(new TestWitness(alive));
    const EntryRef pinned = Entry("", "", {.witness = witness.get()}).pin();
    EXPECT_TRUE(pinned->key().empty() && pinned->value().empty());
  }
  EXPECT_FALSE(alive);
}

// For the sanitizers: the last of many readers gives the block back, whoever that is.
TEST(PinnedEntry, SharesAValueThatStandsOutside) {
  const std::string large(1'000'000, 'v');
  const std::string_view outside = OutsideValue::make(large);
  EXPECT_GE(OutsideValue::footprint_of(large.size()), large.size());
  const EntryRef pinned = Entry("key", outside, {.outside = true}).pin();
  OutsideValue::release(outside);
  EXPECT_EQ(pinned->value().data(), outside.data()) << "not copied";
  std::vector<std::jthread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&, mine = pinned] {
      for (int n = 0; n < 1'000; ++n) EXPECT_EQ(mine->pin()->value().size(), large.size());
    });
  }
  readers.clear();
  EXPECT_EQ(pinned->value(), large);
}

}  // namespace
}  // namespace freshet::memory
