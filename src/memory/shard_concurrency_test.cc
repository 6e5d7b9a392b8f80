// Readers without the lock beside writers: a copy is whole, of its key, of its witness, and no older than what the reader
// saw before; with values and segments that come, go and are written anew all the time.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "memory/shard.h"

namespace freshet::memory {
namespace {

constexpr std::uint64_t kKeys = 60;
constexpr std::size_t kValueBytesMax = 3'000;  // Some stand outside.
constexpr int kWrites = 300'000;

class Clock final : public SiftingPolicy {
 public:
  std::size_t queue_for(std::uint64_t hash, std::size_t, std::uint8_t&) override { return hash % 5 == 0 ? 1 : 0; }
  std::uint8_t on_hit(std::uint8_t) override { return kSettled | 1; }
  std::size_t queue_to_sift(std::span<const std::size_t> bytes) override { return bytes[0] >= 4 * bytes[1] ? 0 : 1; }
  int sift(std::size_t queue, std::uint64_t, std::size_t, std::uint8_t& byte) override {
    if (byte == 0) return kLeaves;
    byte = 0;
    return static_cast<int>(queue);
  }
  std::size_t overhead_bytes() const override { return 0; }
};

struct Numbered final : Witness {
  explicit Numbered(std::uint64_t its_number) : number(its_number) {}
  // Of a witness that may have ended.
  FRESHET_UNLOCKED_READ static std::uint64_t number_of(const Witness* witness) {
    return peek(static_cast<const Numbered*>(witness)->number);
  }
  const std::uint64_t number;
};

std::string key_of(std::uint64_t number) { return "key" + std::to_string(number); }

// Of a key at a version: its size and every byte follow from both. Often of the size of the one before, so that it is
// written over in place.
void fill(std::uint64_t key, std::uint64_t version, std::string& value) {
  base::Random random(key * 1'000'003 + version);
  value.resize(random.chance(0.05) ? 2'100 : random.chance(0.5) ? 1'000 : random.below(1'000));
  std::memset(value.data(), static_cast<int>(random()), value.size());
}

class Threads {
 public:
  Threads() {
    shard_.start(pool_, 150'000, std::make_unique<Clock>());
  }
  void run() {
    std::thread writer([this] { write(); });
    std::vector<std::thread> readers;
    for (std::uint64_t i = 0; i < 2; ++i) readers.emplace_back([this, i] { read(i); });
    writer.join();
    for (auto& reader : readers) reader.join();
    EXPECT_EQ(faults_, 0u);
    EXPECT_GT(hits_, 0u);
    EXPECT_GT(shard_.stats().evicted, 0u);
  }

 private:
  void write() {
    base::Random random(1);
    std::string value;
    for (std::uint64_t version = 1; version <= kWrites; ++version) {
      const std::uint64_t number = random.below(kKeys);
      const std::string key = key_of(number);
      const auto hash = base::hash_of(key);
      if (random.chance(0.02)) {
        shard_.erase(key, hash);
      } else if (random.chance(0.0005)) {
        shard_.set_capacity(130'000 + random.below(100'000), pool_);
      } else {
        fill(number, version, value);
        const WitnessRef witness(new Numbered(number));
        shard_.insert({.key = key, .hash = hash, .value = value, .version = version, .witness = witness});
      }
    }
    over_ = true;
  }
  void read(std::uint64_t seed) {
    base::Random random(seed + 10);
    std::array<std::uint64_t, kKeys> newest{};
    std::vector<char> to(kValueBytesMax);
    std::string expected;
    while (!over_) {
      const std::uint64_t number = random.below(kKeys);
      const std::string key = key_of(number);
      EntryCopy copied;
      std::uint64_t witness = kKeys;
      const auto is_current = [&witness](const Witness* of, std::int64_t) {
        witness = Numbered::number_of(of);
        return true;
      };
      const bool found = shard_.copy(key, base::hash_of(key), to, copied, [&] { return is_current; });
      shard_.prefetch_entry(base::hash_of(key));
      if (!found) continue;
      ++hits_;
      fill(number, copied.version, expected);
      const bool whole = std::string_view(to.data(), copied.value_bytes) == expected;
      if (!whole || witness != number || copied.version < newest[number]) ++faults_;
      newest[number] = copied.version;
    }
  }

  const std::shared_ptr<SegmentPool> pool_ = std::make_shared<SegmentPool>(std::size_t{16} << 10);
  Shard shard_;
  std::atomic<bool> over_{false};
  std::atomic<std::uint64_t> hits_{0}, faults_{0};
};

TEST(SegmentConcurrency, CopiesWithoutTheLockAreWhole) { Threads().run(); }

}  // namespace
}  // namespace freshet::memory
