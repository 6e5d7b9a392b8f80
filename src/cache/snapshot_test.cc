// Snapshots of key-value keys: all values as of one moment, absent keys too.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "test_engine.h"

namespace freshet::cache {
namespace {

using freshet::testing::future_of;
using freshet::testing::put_of;
using freshet::testing::take;
using freshet::testing::TestEngine;

constexpr int kSnapshots = 300;

Result<std::vector<Reading>> snapshot(TestEngine& engine, const std::vector<std::string>& keys) {
  ReadOptions options;
  options.level = Level::snapshot;
  auto answer = future_of<std::vector<Reading>>([&](auto done) { engine->get_many(keys, options, std::move(done)); });
  return take(answer);
}

// Moves money between two keys until told to stop; their sum stays.
class Transfers {
 public:
  explicit Transfers(TestEngine& engine) : engine_(engine), thread_([this] { run(); }) {}
  ~Transfers() {
    stopping_ = true;
    thread_.join();
  }

 private:
  void run() {
    for (int i = 0; !stopping_; i = (i + 1) % 100) {
      std::vector<Mutation> both = {put_of("a", std::to_string(i)), put_of("b", std::to_string(100 - i))};
      auto answer = future_of<storage::WriteReply>(
          [&](auto done) { engine_->write(std::move(both), true, base::kForever, std::move(done)); });
      EXPECT_TRUE(take(answer));
      // Readers need a pause to see the same twice.
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  TestEngine& engine_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

TEST(Snapshot, AddsUpWhileMoneyMoves) {
  TestEngine engine;
  engine.wait_until_guarded();
  engine.put("a", "0");
  engine.put("b", "100");
  const Transfers transfers(engine);
  int answered = 0;
  for (int i = 0; i < kSnapshots; ++i) {
    const auto readings = snapshot(engine, {"a", "b"});
    if (!readings) continue;  // Busy: the keys changed all the time.
    ++answered;
    EXPECT_EQ(std::stoi((*readings)[0].value) + std::stoi((*readings)[1].value), 100);
  }
  EXPECT_GT(answered, kSnapshots / 10);
}

TEST(Snapshot, OfKeysThatStorageDoesNotRemember) {
  TestEngine engine;
  engine.wait_until_guarded();
  const auto readings = snapshot(engine, {"x", "y"});
  ASSERT_TRUE(readings) << readings.error().what;
  EXPECT_FALSE((*readings)[0].present);
  EXPECT_FALSE((*readings)[1].present);
  EXPECT_EQ((*readings)[0].version, 0u);
}

TEST(Snapshot, OfNothing) {
  TestEngine engine;
  const auto readings = snapshot(engine, {});
  ASSERT_TRUE(readings);
  EXPECT_TRUE(readings->empty());
}

}  // namespace
}  // namespace freshet::cache
