// The engine on embedded storage: what is a hit, what passes through, limits, deadlines, shared fills, and its end.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <thread>

#include "test_engine.h"

namespace freshet::cache {
namespace {

using freshet::testing::future_of;
using freshet::testing::HeldEngine;
using freshet::testing::HeldStorage;
using freshet::testing::put_of;
using freshet::testing::take;
using freshet::testing::TestEngine;
using Held = HeldStorage::Kind;

// Nullopt: a success.
std::optional<ErrorCode> code_of(const auto& result) {
  return result ? std::nullopt : std::optional(result.error().code);
}

TEST(Engine, AWriteIsAHitAfterwards) {
  TestEngine engine;
  engine.wait_until_guarded();
  const auto version = engine.put("k", "value");
  const auto reading = engine.get("k");
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->value, "value");
  EXPECT_EQ(reading->version, version);
  EXPECT_EQ(reading->source, Source::memory);
  EXPECT_EQ(reading->age, 0);
  EXPECT_EQ(engine.storage->reads, 0u);
  EXPECT_EQ(engine->stats().hits, 1u);
  EXPECT_EQ(engine->stats().writes_cached, 1u);
}

TEST(Engine, AnAbsentKeyIsCachedUntilItIsWritten) {
  TestEngine engine;
  engine.wait_until_guarded();
  EXPECT_EQ(engine.get("k")->source, Source::storage);
  const auto again = engine.get("k");
  EXPECT_EQ(again->source, Source::memory);
  EXPECT_FALSE(again->present);
  EXPECT_EQ(engine.storage->keys_read, 1u);
  engine.put("k", "now");
  EXPECT_EQ(engine.get("k")->value, "now");
}

TEST(Engine, AnErasedKeyIsCachedAsAbsent) {
  TestEngine engine;
  engine.wait_until_guarded();
  const auto version = engine.put("k", "value");
  storage::Mutation erase;
  erase.kind = storage::MutationKind::erase;
  erase.key = "k";
  ASSERT_TRUE(engine.write(std::move(erase)));
  const auto reading = engine.get("k");
  EXPECT_FALSE(reading->present);
  EXPECT_GT(reading->version, version);
  EXPECT_EQ(reading->source, Source::memory);
  EXPECT_EQ(engine.storage->reads, 0u);
}

TEST(Engine, GetManyMixesHitsMissesAndDuplicates) {
  TestEngine engine;
  engine.wait_until_guarded();
  engine.put("hit", "1");
  engine.put("miss", "2");
  ASSERT_EQ(engine->evict("miss"), 1u);
  const auto readings = engine.get_many({"miss", "hit", "absent", "hit", "miss", "absent"});
  ASSERT_TRUE(readings);
  std::vector<std::string> values;
  for (const auto& reading : *readings) values.push_back(reading.present ? reading.value : "-");
  EXPECT_EQ(values, (std::vector<std::string>{"2", "1", "-", "1", "2", "-"}));
  EXPECT_EQ((*readings)[1].source, Source::memory);
  EXPECT_EQ((*readings)[0].source, Source::storage);
  EXPECT_EQ(engine.storage->reads, 1u) << "misses travel together";
  EXPECT_EQ(engine.storage->keys_read, 2u) << "and each key once";
  const auto none = engine.get_many({});
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
}

TEST(Engine, GetManyReadsMoreKeysThanOneCallTakes) {
  TestEngine engine;
  engine.wait_until_guarded();
  engine.put("key-2500", "x");
  engine->evict("key-2500");
  std::vector<std::string> keys;
  for (int i = 0; i < 3000; ++i) keys.push_back(fmt::format("key-{}", i));
  const auto readings = engine.get_many(keys);
  ASSERT_TRUE(readings);
  for (std::size_t i = 0; i < readings->size(); ++i) EXPECT_EQ((*readings)[i].present, i == 2500) << i;
  EXPECT_EQ(engine.storage->reads, 3u);
}

TEST(Engine, LargeValuesPassThroughUncached) {
  EngineOptions options;
  options.cached_value_bytes_max = 100;
  TestEngine engine(options);
  engine.wait_until_guarded();
  engine.put("k", std::string(100, 'x'));
  EXPECT_EQ(engine.get("k")->source, Source::memory);
  // The small value must not stay behind when a large one takes its place.
  engine.put("k", std::string(101, 'y'));
  for (int i = 0; i < 2; ++i) {
    const auto reading = engine.get("k");
    EXPECT_EQ(reading->value, std::string(101, 'y'));
    EXPECT_EQ(reading->source, Source::storage);
  }
  EXPECT_EQ(engine->stats().table.entries, 0u);
}

TEST(Engine, MemoryIsBoundedAndWhatWasEvictedIsReadAgain) {
  TestEngine engine;
  engine.wait_until_guarded();
  constexpr std::size_t kBytes = 1 << 20;
  for (int i = 0; i < 600; ++i) engine.put(fmt::format("k{}", i), std::string(4096, 'a'));
  EXPECT_GT(engine->stats().table.bytes, kBytes);
  engine->set_memory(4 * kBytes);
  engine->set_memory(kBytes);
  const auto give_up = base::now() + 30 * base::kSecond;
  while (engine->stats().table.bytes > kBytes && base::now() < give_up) std::this_thread::yield();
  for (int i = 0; i < 600; ++i) engine.put(fmt::format("k{}", i), std::string(4096, 'b'));
  const auto stats = engine->stats().table;
  EXPECT_LE(stats.bytes, kBytes);
  EXPECT_EQ(stats.capacity_bytes, kBytes);
  EXPECT_GT(stats.evicted, 0u);
  for (int i = 0; i < 600; i += 50) EXPECT_EQ(engine.get(fmt::format("k{}", i))->value.size(), 4096u);
}

TEST(Engine, APinnedEntryOutlivesEvictionAndOverwrite) {
  TestEngine engine;
  engine.wait_until_guarded();
  EXPECT_EQ(engine->try_pin("k", base::now()), nullptr);
  engine.put("k", std::string(1000, 'a'));
  const auto first = engine->try_pin("k", base::now());
  ASSERT_NE(first, nullptr);
  engine.put("k", std::string(1000, 'b'));
  const auto second = engine->try_pin("k", base::now());
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(engine->evict("k"), 1u);
  EXPECT_EQ(engine->try_pin("k", base::now()), nullptr);
  for (int i = 0; i < 100; ++i) engine.put(fmt::format("other{}", i), std::string(1000, 'c'));
  EXPECT_EQ(first->value(), std::string(1000, 'a'));
  EXPECT_EQ(second->value(), std::string(1000, 'b'));
  EXPECT_GT(second->version(), first->version());
}

TEST(Engine, EvictingDropsCachedDataOnly) {
  TestEngine engine;
  engine.wait_until_guarded();
  for (const auto* key : {"a:1", "a:2", "b:1"}) engine.put(key, "v");
  EXPECT_EQ(engine->evict_if([](std::string_view key) { return key.starts_with("a:"); }), 2u);
  EXPECT_FALSE(engine.is_hit("a:1"));
  EXPECT_TRUE(engine.is_hit("b:1"));
  EXPECT_EQ(engine.get("a:1")->value, "v");
}

TEST(Engine, PrefetchFillsWhatIsMissing) {
  HeldEngine engine;
  engine.wait_until_guarded();
  engine.put("a", "1");
  engine.put("b", "2");
  engine->evict("b");
  engine->prefetch({"a", "b", "b", "absent"});
  // A get that comes now joins the fill or hits: storage is asked for no key twice.
  EXPECT_EQ(engine.get("b")->value, "2");
  EXPECT_FALSE(engine.get("absent")->present);
  EXPECT_EQ(engine.storage->keys_read, 2u);
}

TEST(Engine, ConcurrentMissesShareOneRead) {
  HeldEngine engine;
  engine.wait_until_guarded();
  engine.put("k", "value");
  engine->evict("k");
  engine.held->hold(Held::read, true);
  constexpr std::size_t kReaders = 20;
  std::vector<std::future<Result<Reading>>> readers;
  const auto deadline = base::now() + 20 * base::kSecond;
  for (std::size_t i = 0; i < kReaders; ++i) readers.push_back(engine.start_get("k", {.deadline = deadline}));
  auto call = engine.held->next(Held::read);
  EXPECT_EQ(engine.storage->reads, 0u);
  call->execute();
  call->reply();
  for (auto& reader : readers) EXPECT_EQ(take(reader)->value, "value");
  EXPECT_EQ(engine.storage->keys_read, 1u);
  EXPECT_EQ(engine->stats().joined_fills, kReaders - 1);
  EXPECT_EQ(engine->stats().misses, kReaders);
  EXPECT_TRUE(engine.is_hit("k"));
}

TEST(Engine, AReadThatAWriteOverlappedIsNotCached) {
  HeldEngine engine;
  engine.wait_until_guarded();
  engine.put("k", "old");
  engine->evict("k");
  engine.held->hold(Held::read, true);
  auto reader = engine.start_get("k");
  auto call = engine.held->next(Held::read);
  call->execute();
  engine.put("k", "new");
  engine->evict("k");
  call->reply();
  EXPECT_EQ(take(reader)->value, "old") << "it began before the write";
  EXPECT_FALSE(engine.is_hit("k"));
  EXPECT_EQ(engine->stats().fills_not_cached, 1u);
}

TEST(Engine, ReadsTakeTheirDeadlineToStorage) {
  EngineOptions options;
  options.read_deadline = 700 * base::kMillisecond;
  TestEngine engine(options);
  const auto before = base::now();
  ASSERT_TRUE(engine.get("by default"));
  EXPECT_GE(engine.storage->last_read_deadline, before + options.read_deadline);
  EXPECT_LE(engine.storage->last_read_deadline, base::now() + options.read_deadline);
  const auto own = base::now() + 90 * base::kSecond;
  ASSERT_TRUE(engine.get("its own", {.deadline = own}));
  EXPECT_EQ(engine.storage->last_read_deadline, own);
}

TEST(Engine, CallsPastTheirDeadlineFailAndWriteNothing) {
  TestEngine engine;
  engine.wait_until_guarded();
  const auto past = base::now() - 1;
  EXPECT_EQ(code_of(engine.get("k", {.deadline = past})), ErrorCode::deadline_exceeded);
  const auto write = engine.write(put_of("k", "v"), past);
  ASSERT_EQ(code_of(write), ErrorCode::deadline_exceeded);
  EXPECT_EQ(write.error().retry, Retry::safe);
  EXPECT_FALSE(engine.stored("k").present);
}

TEST(Engine, AWriteWaitsForItsGuardUntilItsDeadline) {
  HeldEngine engine({Held::set_guard});
  auto call = engine.held->next(Held::set_guard);
  const auto deadline = base::now() + 50 * base::kMillisecond;
  EXPECT_EQ(code_of(engine.write(put_of("late", "v"), deadline)), ErrorCode::deadline_exceeded);
  EXPECT_GE(base::now(), deadline);
  // Reads need no guard, but what they bring is not cached.
  EXPECT_FALSE(engine.get("late")->present);
  EXPECT_FALSE(engine.is_hit("late"));
  auto waiting = engine.start_write(put_of("k", "v"));
  call->execute();
  call->reply();
  ASSERT_TRUE(take(waiting));
  EXPECT_EQ(engine.get("k")->value, "v");
}

TEST(Engine, RefusesWritesThatCannotBe) {
  TestEngine engine;
  engine.wait_until_guarded();
  const auto code_of_write = [&](std::vector<Mutation> mutations) {
    auto future = future_of<storage::WriteReply>(
        [&](auto done) { engine->write(std::move(mutations), false, base::kForever, std::move(done)); });
    return code_of(take(future));
  };
  EXPECT_EQ(code_of_write({}), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of_write({put_of("k", "1"), put_of("l", "2"), put_of("k", "3")}), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of_write({put_of(std::string(storage::kKeyBytesMax + 1, 'k'), "v")}), ErrorCode::out_of_range);
  std::vector<Mutation> many;
  for (std::size_t i = 0; i <= storage::kBatchKeysMax; ++i) many.push_back(put_of(fmt::format("{}", i), "v"));
  EXPECT_EQ(code_of_write(std::move(many)), ErrorCode::invalid_argument);
  EXPECT_EQ(engine->stats().writes, 0u);
}

TEST(Engine, ExplainsWhereAKeyStands) {
  TestEngine engine;
  engine.wait_until_guarded();
  const auto line = [&](const std::string& name) {
    for (const auto& [each, text] : engine->explain("k")) {
      if (each == name) return text;
    }
    return std::string("none");
  };
  EXPECT_EQ(line("cached"), "no");
  const auto version = engine.put("k", "value");
  EXPECT_EQ(line("cached"), fmt::format("5 bytes, version {}", version));
  EXPECT_EQ(line("best level"), "linearizable, from memory");
}

TEST(Engine, ItsPolicyChangesByName) {
  EngineOptions options;
  options.policy = "auto";
  TestEngine engine(options);
  EXPECT_EQ(engine->stats().policy_setting, "auto");
  EXPECT_EQ(engine->stats().policy, eviction::kDefaultPolicy);
  const auto reports = [&](bool wanted) {
    const auto give_up = base::now() + 30 * base::kSecond;
    while (static_cast<bool>(engine->eviction_report()) != wanted && base::now() < give_up) std::this_thread::yield();
    return static_cast<bool>(engine->eviction_report()) == wanted;
  };
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(reports(true));
    ASSERT_TRUE(engine->set_policy("gdsf"));
    EXPECT_EQ(engine->stats().policy_setting, "gdsf");
    EXPECT_TRUE(reports(false));
    ASSERT_TRUE(engine->set_policy("auto"));
    EXPECT_EQ(engine->stats().policy_setting, "auto");
  }
  const auto unknown = engine->set_policy("lfru");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(engine->stats().policy_setting, "auto");
}

// The end.

TEST(Engine, AnswersEveryOpenCallWhenItEnds) {
  auto engine = std::make_unique<HeldEngine>();
  engine->wait_until_guarded();
  engine->held->hold(Held::read, true);
  engine->held->hold(Held::write, true);
  auto read = engine->start_get("k");
  auto joined = engine->start_get("k");
  auto write = engine->start_write(put_of("w", "v"));
  auto update = future_of<UpdateOutcome>([&](auto done) {
    (*engine)->update("u", [](const KeyState&, std::int64_t) { return std::optional(put_of("u", "v")); }, base::kForever,
                      std::move(done));
  });
  engine->engine.reset();
  EXPECT_EQ(code_of(take(read)), ErrorCode::unavailable);
  EXPECT_EQ(code_of(take(joined)), ErrorCode::unavailable);
  EXPECT_EQ(code_of(take(write)), ErrorCode::unavailable);
  EXPECT_EQ(code_of(take(update)), ErrorCode::unavailable);
}

TEST(Engine, AnswersWritesThatWaitForAGuardWhenItEnds) {
  HeldEngine engine({Held::set_guard});
  auto waiting = engine.start_write(put_of("k", "v"));
  engine.engine.reset();
  EXPECT_FALSE(take(waiting));
  EXPECT_FALSE(engine.stored("k").present);
}

TEST(Engine, TakesNoCallsOnceItWasReleased) {
  TestEngine engine;
  engine.wait_until_guarded();
  engine.put("k", "v");
  engine->release();
  EXPECT_FALSE(engine.is_hit("k"));
  const auto reads = engine.storage->reads.load();
  EXPECT_EQ(code_of(engine.get("k")), ErrorCode::unavailable);
  EXPECT_EQ(code_of(engine.write(put_of("k", "w"))), ErrorCode::unavailable);
  EXPECT_EQ(code_of(engine.update("k", [](const KeyState&, std::int64_t) { return std::optional(put_of("k", "w")); })),
            ErrorCode::unavailable);
  auto scan = future_of<storage::ScanReply>([&](auto done) { engine->scan(0, 10, base::kForever, std::move(done)); });
  EXPECT_EQ(code_of(take(scan)), ErrorCode::unavailable);
  auto count = future_of<storage::KeyCount>([&](auto done) { engine->count(base::kForever, std::move(done)); });
  EXPECT_EQ(code_of(take(count)), ErrorCode::unavailable);
  EXPECT_EQ(engine.storage->reads, reads);
  EXPECT_EQ(engine.stored("k").value, "v");
}

// As it ends, this storage finds that the last write's condition did not hold.
class RefusesAtItsEnd final : public freshet::testing::ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;
  ~RefusesAtItsEnd() override {
    ending_ = true;
    storage::WriteReply reply;
    reply.emplace_back(storage::MutationOutcome{});
    last_(std::move(reply));
    wait_for_answers();
  }
  void write(storage::WriteRequest, storage::Callback<storage::WriteReply> done) override { last_ = std::move(done); }
  void read(std::vector<std::string> keys, base::Nanoseconds deadline, storage::Callback<storage::ReadReply> done) override {
    EXPECT_FALSE(ending_) << "a storage was called while it ended";
    ForwardingStorage::read(std::move(keys), deadline, std::move(done));
  }

 private:
  storage::Callback<storage::WriteReply> last_;
  bool ending_ = false;
};

TEST(Engine, AnUpdateThatLostToAnotherWriterIsNotTriedAgainAsTheEngineEnds) {
  TestEngine engine({}, nullptr, [](auto inner) { return std::make_unique<RefusesAtItsEnd>(std::move(inner)); });
  engine.wait_until_guarded();
  ASSERT_TRUE(engine.get("u"));
  auto update = future_of<UpdateOutcome>([&](auto done) {
    engine->update("u", [](const KeyState&, std::int64_t) { return std::optional(put_of("u", "v")); }, base::kForever,
                   std::move(done));
  });
  engine.engine.reset();
  EXPECT_EQ(code_of(take(update)), ErrorCode::unavailable);
}

}  // namespace
}  // namespace freshet::cache
