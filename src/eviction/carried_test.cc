// What the table makes of an exact policy's contract: keys that are mixed well, though a shard's hashes are not.
#include "eviction/carried.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "base/random.h"
#include "eviction/exact/fifo.h"

namespace freshet::eviction {
namespace {

// FIFO that notes the keys of its misses.
class NotingFifo final : public exact::Policy {
 public:
  explicit NotingFifo(std::vector<std::uint64_t>& keys) : keys_(keys) {}
  bool on_miss(const exact::Access& access) override {
    keys_.push_back(access.key);
    return true;
  }
  void on_insert(exact::Slot slot, const exact::Access& access) override { fifo_.on_insert(slot, access); }
  void on_hit(exact::Slot, const exact::Access&) override {}
  void on_resize(exact::Slot, std::uint32_t) override {}
  void on_erase(exact::Slot slot) override { fifo_.on_erase(slot); }
  exact::Slot take_victim() override { return fifo_.take_victim(); }
  void set_capacity(std::uint64_t) override {}
  std::size_t overhead_bytes() const override { return 0; }

 private:
  std::vector<std::uint64_t>& keys_;
  exact::Fifo fifo_;
};

TEST(Carried, KeysOfAShardDifferInTheirHighBits) {
  constexpr std::uint64_t kShardBits = 0xa5ull << 56;
  constexpr int kKeys = 4096;
  std::vector<std::uint64_t> keys;
  Carried carried([&] { return std::make_unique<NotingFifo>(keys); }, 1 << 20);
  base::Random random(1);
  for (int i = 0; i < kKeys; ++i) carried.admit(kShardBits | random() >> 8, 100);
  ASSERT_EQ(keys.size(), std::size_t{kKeys});
  std::set<std::uint64_t> high_bytes;
  for (const std::uint64_t key : keys) high_bytes.insert(key >> 56);
  EXPECT_EQ(high_bytes.size(), 256u);
  EXPECT_EQ(std::set(keys.begin(), keys.end()).size(), std::size_t{kKeys}) << "different keys stay different";
}

}  // namespace
}  // namespace freshet::eviction
