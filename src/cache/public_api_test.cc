// include/freshet/cache.h as an application uses it, on embedded storage in a directory of its own.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/random.h"
#include "freshet/cache.h"
#include "temporary_directory.h"

namespace freshet {
namespace {

// Nullopt: a success.
std::optional<ErrorCode> code_of(const auto& result) {
  return result ? std::nullopt : std::optional(result.error().code);
}

constexpr auto kPoll = std::chrono::milliseconds(2);

class PublicApi : public ::testing::Test {
 protected:
  PublicApi() { open(); }

  Options options() const {
    Options options;
    options.data_directory = directory_.path();
    options.relaxed_durability = true;
    options.memory_bytes = 16 << 20;
    options.cached_value_bytes_max = 1000;
    return options;
  }
  void open() {
    auto opened = Cache::open(options());
    ASSERT_TRUE(opened) << opened.error().what;
    cache_ = std::move(*opened);
    // The first write waits for the write guard; from then on everything can be cached.
    ASSERT_TRUE(cache_->put("ready", "").get());
  }

  testing::TemporaryDirectory directory_;
  std::unique_ptr<Cache> cache_;
};

TEST_F(PublicApi, NamesThePoliciesIfItDoesNotKnowOne) {
  testing::TemporaryDirectory another;
  Options wrong = options();
  wrong.data_directory = another.path();
  wrong.policy = "noeviction";
  const auto opened = Cache::open(wrong);
  ASSERT_EQ(code_of(opened), ErrorCode::invalid_argument);
  EXPECT_NE(opened.error().remedy.find("s3fifo"), std::string::npos) << opened.error().remedy;
  wrong.policy = "lhd";
  EXPECT_TRUE(Cache::open(wrong));
}

TEST_F(PublicApi, PutsGetsAndErases) {
  const auto absent = cache_->get("k").get();
  ASSERT_TRUE(absent);
  EXPECT_FALSE(absent->present);
  EXPECT_EQ(absent->version, 0u);
  const auto version = cache_->put("k", "value").get();
  ASSERT_TRUE(version);
  const auto value = cache_->get("k").get();
  EXPECT_TRUE(value->present);
  EXPECT_EQ(value->bytes, "value");
  EXPECT_EQ(value->version, *version);
  EXPECT_EQ(value->expires_at_ms, 0);
  EXPECT_TRUE(value->from_memory);
  EXPECT_EQ(value->age.count(), 0);
  EXPECT_TRUE(*cache_->erase("k").get());
  EXPECT_FALSE(*cache_->erase("k").get());
  EXPECT_FALSE(cache_->get("k").get()->present);
  EXPECT_GT(*cache_->put("k", "again").get(), *version) << "versions never repeat";
}

TEST_F(PublicApi, KeepsItsValuesWhenOpenedAgain) {
  const auto version = *cache_->put("k", "value").get();
  cache_.reset();
  open();
  const auto value = cache_->get("k").get();
  EXPECT_EQ(value->bytes, "value");
  EXPECT_EQ(value->version, version);
  EXPECT_FALSE(value->from_memory);
}

TEST_F(PublicApi, OpensNoDirectoryTwice) {
  const auto second = Cache::open(options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::unavailable);
  EXPECT_FALSE(second.error().what.empty());
}

TEST_F(PublicApi, RefusesAStorageThatItDoesNotKnow) {
  auto wrong = options();
  wrong.storage = "embeded";
  const auto opened = Cache::open(wrong);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::invalid_argument);
}

TEST_F(PublicApi, TryGetCopiesHits) {
  std::array<char, 8> buffer{};
  EXPECT_EQ(cache_->try_get("k", buffer).hit, Hit::miss);
  const auto version = *cache_->put("k", "12345678").get();
  const auto hit = cache_->try_get("k", buffer);
  EXPECT_EQ(hit.hit, Hit::present);
  EXPECT_EQ(hit.version, version);
  EXPECT_EQ(std::string_view(buffer.data(), hit.size), "12345678");
  const auto small = cache_->try_get("k", std::span(buffer).first(7));
  EXPECT_EQ(small.hit, Hit::too_small);
  EXPECT_EQ(small.size, 8u);
  EXPECT_EQ(small.version, version);
  ASSERT_TRUE(cache_->put("empty", "").get());
  const auto empty = cache_->try_get("empty", {});
  EXPECT_EQ(empty.hit, Hit::present);
  EXPECT_EQ(empty.size, 0u);
  ASSERT_TRUE(cache_->erase("k").get());
  EXPECT_EQ(cache_->try_get("k", buffer).hit, Hit::absent);
}

TEST_F(PublicApi, ABatchFindsWhatItsKeysFindAlone) {
  for (int i = 0; i < 300; ++i) {
    const auto key = "key:" + std::to_string(i);
    if (i % 3 == 0) {
      ASSERT_TRUE(cache_->put(key, std::string(static_cast<std::size_t>(i % 11), 'v')).get());
    }
    if (i % 9 == 0) {
      ASSERT_TRUE(cache_->erase(key).get());
    }
  }
  base::Random random(1);
  for (std::size_t size : {0, 1, 15, 16, 17, 64, 65, 200}) {
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < size; ++i) keys.push_back("key:" + std::to_string(random.below(300)));
    std::vector<std::array<char, 8>> buffers(size);
    std::vector<BatchedGet> gets;
    for (std::size_t i = 0; i < size; ++i) gets.push_back({keys[i], buffers[i]});
    const auto hits = cache_->try_get_many(gets);
    std::size_t expected_hits = 0;
    for (std::size_t i = 0; i < size; ++i) {
      std::array<char, 8> buffer;
      const auto alone = cache_->try_get(keys[i], buffer);
      const auto& found = gets[i].result;
      ASSERT_EQ(found.hit, alone.hit) << keys[i];
      EXPECT_EQ(found.size, alone.size);
      EXPECT_EQ(found.version, alone.version);
      if (alone.hit == Hit::present) {
        EXPECT_EQ(std::string_view(buffers[i].data(), found.size), std::string_view(buffer.data(), alone.size));
      }
      expected_hits += alone.hit != Hit::miss;
    }
    EXPECT_EQ(hits, expected_hits);
  }
}

TEST_F(PublicApi, CopiedHitsAreNeverOlderThanAnAcknowledgedWrite) {
  constexpr std::uint64_t kHits = 1'000;
  constexpr int kReaders = 2;
  constexpr auto kPatience = 60 * base::kSecond;
  std::atomic<std::uint64_t> acknowledged{0};
  std::array<std::atomic<std::uint64_t>, kReaders> hits{};
  std::atomic<int> faults{0};
  std::atomic<bool> over{false};
  {
    std::vector<std::jthread> readers;
    for (int i = 0; i < kReaders; ++i) {
      readers.emplace_back([&, i, batched = i % 2 == 1] {
        std::array<char, 8> buffer;
        while (!over) {
          const auto oldest = acknowledged.load();
          std::array<BatchedGet, 1> batch = {{{"number", buffer}}};
          if (batched) cache_->try_get_many(batch);
          const auto hit = batched ? batch[0].result : cache_->try_get("number", buffer);
          if (hit.hit != Hit::present) continue;
          ++hits[static_cast<std::size_t>(i)];
          faults += std::stoull(std::string(buffer.data(), hit.size)) < oldest;
        }
      });
    }
    // As many writes as there are hits: how often the readers run beside the writer is the machine's affair.
    const auto deadline = base::now() + kPatience;
    const auto fewest = [&] { return std::min(hits[0].load(), hits[1].load()); };
    for (std::uint64_t number = 1; std::min(fewest(), number) <= kHits && base::now() < deadline; ++number) {
      const auto version = cache_->put("number", std::to_string(number)).get();
      if (!version) ADD_FAILURE() << version.error().what;
      acknowledged = number;
    }
    over = true;
  }
  EXPECT_EQ(faults, 0);
  for (const auto& of_reader : hits) EXPECT_GT(of_reader, kHits) << "too few hits to show anything";
}

TEST_F(PublicApi, PinnedBytesStayAndDoNotFollowLaterWrites) {
  EXPECT_FALSE(cache_->try_pin("k"));
  const auto version = *cache_->put("k", std::string(500, 'a')).get();
  auto pinned = cache_->try_pin("k");
  ASSERT_TRUE(pinned);
  const auto copy = *pinned;
  pinned.reset();
  ASSERT_TRUE(cache_->put("k", std::string(500, 'b')).get());
  ASSERT_TRUE(cache_->erase("k").get());
  EXPECT_TRUE(copy.present());
  EXPECT_EQ(copy.bytes(), std::string(500, 'a'));
  EXPECT_EQ(copy.version(), version);
  const auto absent = cache_->try_pin("k");
  ASSERT_TRUE(absent);
  EXPECT_FALSE(absent->present());
}

TEST_F(PublicApi, PinnedBytesOutliveTheCache) {
  ASSERT_TRUE(cache_->put("k", "value").get());
  const auto pinned = cache_->try_pin("k");
  ASSERT_TRUE(pinned);
  cache_.reset();
  EXPECT_EQ(pinned->bytes(), "value");
}

TEST_F(PublicApi, GetManyKeepsTheOrderOfTheKeys) {
  ASSERT_TRUE(cache_->put("a", "1").get());
  ASSERT_TRUE(cache_->put("large", std::string(2000, 'x')).get());
  const auto values = cache_->get_many({"large", "absent", "a", "large"}).get();
  ASSERT_TRUE(values);
  ASSERT_EQ(values->size(), 4u);
  EXPECT_EQ((*values)[0].bytes.size(), 2000u);
  EXPECT_FALSE((*values)[0].from_memory);
  EXPECT_FALSE((*values)[1].present);
  EXPECT_EQ((*values)[2].bytes, "1");
  EXPECT_TRUE((*values)[2].from_memory);
  EXPECT_EQ((*values)[3].bytes, (*values)[0].bytes);
}

TEST_F(PublicApi, ComparesVersionsBeforeItSets) {
  const auto first = cache_->compare_and_set("k", 0, "one").get();
  ASSERT_TRUE(first) << "0 is absent";
  const auto again = cache_->compare_and_set("k", 0, "two").get();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::version_mismatch);
  EXPECT_EQ(again.error().retry, Retry::useless);
  EXPECT_NE(again.error().what.find(fmt::format("version {}", *first)), std::string::npos) << again.error().what;
  const auto second = cache_->compare_and_set("k", *first, "two").get();
  ASSERT_TRUE(second);
  EXPECT_GT(*second, *first);
  EXPECT_EQ(code_of(cache_->compare_and_set("k", *first, "three").get()), ErrorCode::version_mismatch);
  EXPECT_EQ(cache_->get("k").get()->bytes, "two");
  ASSERT_TRUE(cache_->erase("k").get());
  EXPECT_EQ(code_of(cache_->compare_and_set("k", *second, "four").get()), ErrorCode::version_mismatch);
  EXPECT_TRUE(cache_->compare_and_set("k", 0, "five").get()) << "erased is absent";
}

TEST_F(PublicApi, IncrementsIntegersOnly) {
  EXPECT_EQ(*cache_->increment("n").get(), 1);
  EXPECT_EQ(*cache_->increment("n", 41).get(), 42);
  EXPECT_EQ(*cache_->increment("n", -100).get(), -58);
  EXPECT_EQ(cache_->get("n").get()->bytes, "-58");
  ASSERT_TRUE(cache_->put("text", "abc").get());
  const auto wrong = cache_->increment("text").get();
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::wrong_type);
  EXPECT_EQ(wrong.error().retry, Retry::useless);
  EXPECT_EQ(cache_->get("text").get()->bytes, "abc");
  ASSERT_TRUE(cache_->put("most", "9223372036854775807").get());
  EXPECT_EQ(code_of(cache_->increment("most").get()), ErrorCode::out_of_range);
}

TEST_F(PublicApi, IncrementsFromManyThreadsCountOnceEach) {
  constexpr int kThreads = 4, kIncrements = 100;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this] {
      for (int j = 0; j < kIncrements; ++j) EXPECT_TRUE(cache_->increment("n").get());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(cache_->get("n").get()->bytes, fmt::format("{}", kThreads * kIncrements));
}

TEST_F(PublicApi, HashesAreReadWholeAndChangedByFields) {
  const auto none = cache_->get_hash("h").get();
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->present);
  EXPECT_EQ(*cache_->set_fields("h", {{"name", "Ada"}, {"age", "36"}}).get(), 2u);
  const WriteOptions an_hour{.expires_after = std::chrono::hours(1)};
  EXPECT_EQ(*cache_->set_fields("h", {{"age", "37"}, {"city", "London"}}, an_hour).get(), 1u);
  EXPECT_EQ(*cache_->erase_fields("h", {"city", "none"}).get(), 1u);
  const auto hash = cache_->get_hash("h").get();
  ASSERT_TRUE(hash) << hash.error().what;
  EXPECT_TRUE(hash->present && hash->from_memory);
  EXPECT_EQ(hash->fields, (Fields{{"name", "Ada"}, {"age", "37"}}));
  EXPECT_GT(hash->expires_at_ms, 0) << "the key's expiry stays";
  EXPECT_EQ(*cache_->erase_fields("h", {"name", "age"}).get(), 2u);
  EXPECT_FALSE(cache_->get_hash("h").get()->present);
  EXPECT_EQ(code_of(cache_->set_fields("h", {{"f", "v"}}, {.expires_after = std::chrono::milliseconds(-1)}).get()),
            ErrorCode::invalid_argument);
}

TEST_F(PublicApi, HashesAndStringsDoNotMix) {
  ASSERT_TRUE(cache_->set_fields("h", {{"f", "v"}}).get());
  ASSERT_TRUE(cache_->put("s", "string").get());
  EXPECT_EQ(code_of(cache_->get("h").get()), ErrorCode::wrong_type);
  EXPECT_EQ(code_of(cache_->get_many({"s", "h"}).get()), ErrorCode::wrong_type);
  EXPECT_EQ(code_of(cache_->increment("h").get()), ErrorCode::wrong_type);
  EXPECT_EQ(code_of(cache_->get_hash("s").get()), ErrorCode::wrong_type);
  EXPECT_EQ(code_of(cache_->set_fields("s", {{"f", "v"}}).get()), ErrorCode::wrong_type);
  EXPECT_EQ(code_of(cache_->erase_fields("s", {"f"}).get()), ErrorCode::wrong_type);
  EXPECT_EQ(code_of(cache_->set_fields(std::string(9000, 'k'), {{"f", "v"}}).get()), ErrorCode::out_of_range);
  std::array<char, 64> buffer;
  EXPECT_EQ(cache_->try_get("h", buffer).hit, Hit::miss);
  EXPECT_FALSE(cache_->try_pin("h"));
  EXPECT_EQ(cache_->get("s").get()->bytes, "string");
  ASSERT_TRUE(cache_->put("h", "a string now").get());
  EXPECT_EQ(cache_->try_get("h", buffer).hit, Hit::present);
}

TEST_F(PublicApi, ValuesExpireByTheDatabasesClock) {
  WriteOptions brief;
  brief.expires_after = std::chrono::milliseconds(100);
  ASSERT_TRUE(cache_->put("k", "value", brief).get());
  ASSERT_TRUE(cache_->increment("n", 5, brief).get());
  while (cache_->try_pin("k") || cache_->try_pin("n")) std::this_thread::sleep_for(kPoll);
  EXPECT_FALSE(cache_->get("k").get()->present);
  EXPECT_EQ(*cache_->increment("n").get(), 1) << "an expired counter starts anew";
  EXPECT_EQ(cache_->get("n").get()->expires_at_ms, 0);
  brief.expires_after = std::chrono::hours(1);
  ASSERT_TRUE(cache_->put("later", "value", brief).get());
  EXPECT_GT(cache_->get("later").get()->expires_at_ms, 0);
  // An increment without an expiry of its own keeps the key's; a put clears it.
  ASSERT_TRUE(cache_->put("m", "1", brief).get());
  ASSERT_TRUE(cache_->increment("m").get());
  EXPECT_GT(cache_->get("m").get()->expires_at_ms, 0);
  ASSERT_TRUE(cache_->put("m", "1").get());
  EXPECT_EQ(cache_->get("m").get()->expires_at_ms, 0);
}

TEST_F(PublicApi, TakesTheLongestDurations) {
  constexpr auto kLongest = std::chrono::milliseconds::max();
  ReadOptions read;
  read.freshness = Freshness::bounded;
  read.deadline = read.bound = kLongest;
  WriteOptions write;
  write.deadline = kLongest;
  EXPECT_TRUE(cache_->put("k", "value", write).get());
  const auto value = cache_->get("k", read).get();
  ASSERT_TRUE(value) << value.error().what;
  EXPECT_EQ(value->bytes, "value");
}

TEST_F(PublicApi, RefusesDurationsBelowZero) {
  ReadOptions read;
  read.deadline = std::chrono::milliseconds(-1);
  WriteOptions write;
  write.deadline = std::chrono::milliseconds(-1);
  EXPECT_EQ(code_of(cache_->get("not cached", read).get()), ErrorCode::deadline_exceeded);
  EXPECT_EQ(code_of(cache_->put("k", "value", write).get()), ErrorCode::deadline_exceeded);
  // A deadline in the past must not turn into a key that never expires.
  WriteOptions expired;
  expired.expires_after = std::chrono::milliseconds(-1);
  EXPECT_EQ(code_of(cache_->put("k", "value", expired).get()), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(cache_->increment("k", 1, expired).get()), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(cache_->compare_and_set("k", 0, "value", expired).get()), ErrorCode::invalid_argument);
  EXPECT_FALSE(cache_->get("k").get()->present);
}

TEST_F(PublicApi, AnswersEveryOpenCallBeforeItIsGone) {
  constexpr int kCalls = 500;
  std::atomic<int> answers{0};
  for (int i = 0; i < kCalls; ++i) {
    cache_->put(fmt::format("k{}", i), "value", {}, [&](Result<std::uint64_t>) { ++answers; });
    cache_->get(fmt::format("other{}", i), {}, [&](Result<Value>) { ++answers; });
  }
  cache_.reset();
  EXPECT_EQ(answers, 2 * kCalls);
}

}  // namespace
}  // namespace freshet
