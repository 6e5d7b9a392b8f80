// Delayed writes made real: two nodes on one storage, slices that move all the time, writes held back for seconds while
// they do, and clients that write and read a few keys through both nodes. Every history must be linearizable; with a
// protection taken away the same load must find a violation.
//
//   moves_test [--gtest_filter=…]     FRESHET_MOVES=10000 and FRESHET_SEED=1 in the environment change length and seed.
#include <gtest/gtest.h>

#include <thread>

#include <fmt/format.h>

#include "cache/composed_engine.h"
#include "delayed_storage.h"
#include "fleet.h"
#include "recorded_load.h"
#include "storage/embedded/embedded_storage.h"
#include "temporary_directory.h"

namespace freshet::testing {
namespace {

using consistency::Protections;

constexpr int kNodes = 2;
constexpr int kSlices = 8;
constexpr auto kLease = 60 * base::kMillisecond;

struct Load {
  Protections protections = {};
  bool skip_guard_check = false;
  std::uint64_t moves = 0;        // The run ends after so many (0: nothing moves),
  double write_late = Delays{}.write_late;
  base::Nanoseconds write_late_max = Delays{}.write_late_max;
  std::uint64_t operations = 0;   // or after so many operations (0: no such end).
};

class Moves : public ::testing::Test {
 protected:
  Moves() : seed_(test_seed()) { RecordProperty("seed", std::to_string(seed_)); }

  checker::Judgement run(const Load& load) {
    SCOPED_TRACE(fmt::format("seed {}", seed_));
    storage::embedded::EmbeddedOptions options;
    const TemporaryDirectory directory;
    options.directory = directory.path();
    options.durability = storage::embedded::Durability::relaxed;
    options.skip_guard_check = load.skip_guard_check;
    auto opened = storage::embedded::EmbeddedStorage::open(options);
    EXPECT_TRUE(opened) << opened.error().what;
    std::shared_ptr<storage::Storage> shared = std::move(*opened);
    Fleet fleet(kNodes, kSlices, kLease);
    std::vector<std::unique_ptr<cache::ComposedEngine>> nodes;
    for (int node = 0; node < kNodes; ++node) nodes.push_back(make_node(fleet, node, shared, load));
    LoadOptions load_options;
    load_options.seed = seed_;
    load_options.operations_max = load.operations;
    RecordedLoad clients(load_options, [&](const std::string& key, base::Random& random) -> cache::Engine& {
      const int owner = fleet.owner_of(fleet.slice_of(base::slot_of(key)));
      const bool astray = owner < 0 || random.chance(0.3);
      return *nodes[astray ? random.below(kNodes) : static_cast<std::uint64_t>(owner)];
    });
    std::vector<std::thread> movers;
    for (int mover = 0; mover < kNodes; ++mover) {
      movers.emplace_back([&, mover] { shuffle(mover, fleet, clients, load.moves); });
    }
    for (auto& mover : movers) mover.join();
    load.moves == 0 ? clients.join() : clients.stop();
    moved_ = fleet.moves();
    operations_ = clients.operations();
    for (auto& node : nodes) hits_ += node->stats().hits;
    nodes.clear();
    return clients.judge();
  }

  std::unique_ptr<cache::ComposedEngine> make_node(Fleet& fleet, int node, std::shared_ptr<storage::Storage> shared,
                                                   const Load& load) {
    Delays delays;
    delays.write_late = load.write_late;
    delays.write_late_max = load.write_late_max;
    delays.seed = seed_ * kNodes + static_cast<std::uint64_t>(node);
    cache::EngineParts parts;
    parts.storage = std::make_unique<DelayedStorage>(std::move(shared), delays);
    parts.ownership = fleet.member(node);
    parts.protections = load.protections;
    parts.limits.guards.call_timeout = 100 * base::kMillisecond;
    cache::EngineOptions options;
    options.memory_bytes = 16 << 20;
    return std::make_unique<cache::ComposedEngine>(options, std::move(parts));
  }

  // Each mover moves its own half of the slices, now in order, now by a lease that runs out.
  void shuffle(int mover, Fleet& fleet, const RecordedLoad& clients, std::uint64_t moves) {
    base::Random random(seed_ + static_cast<std::uint64_t>(mover));
    while (!clients.stopped() && fleet.moves() < moves) {
      const int slice = static_cast<int>(random.below(kSlices / kNodes)) * kNodes + mover;
      const int to = (fleet.owner_of(slice) + 1) % kNodes;
      const auto manner = random.chance(0.01)  ? Fleet::Manner::lapsed
                          : random.chance(0.5) ? Fleet::Manner::announced
                                               : Fleet::Manner::revoked_late;
      fleet.move(slice, to, manner);
      // A pause in which the new owner gets its guard and serves hits: without hits nothing is put to the test.
      std::this_thread::sleep_for(std::chrono::microseconds(random.below(4000)));
    }
  }

  const std::uint64_t seed_;
  std::uint64_t operations_ = 0;
  std::uint64_t moved_ = 0;
  std::uint64_t hits_ = 0;
};

TEST_F(Moves, NoViolationWhileSlicesMove) {
  const auto moves = from_environment("FRESHET_MOVES", 10'000);
  const auto judgement = run({.moves = moves});
  EXPECT_GE(moved_, moves);
  EXPECT_EQ(judgement.violations, 0u) << first_report(judgement);
  EXPECT_EQ(judgement.inconclusive_keys, 0u);
  EXPECT_EQ(judgement.contention.shortfall(true), "");
  fmt::print("{} moves, {} operations, {} hits, {} overlapped, {} hits during another's write, {} unknown outcomes\n",
             moved_, operations_, hits_, judgement.contention.overlapped, judgement.contention.hits_during_write,
             judgement.contention.unknown);
}

// With a protection off the load runs in bursts, until the checker has found the anomaly or the limit is reached.
void expect_anomaly(const std::function<checker::Judgement()>& burst, int bursts_max) {
  for (int i = 0; i < bursts_max; ++i) {
    const auto judgement = burst();
    if (judgement.violations > 0) return;
  }
  FAIL() << "no anomaly was found in " << bursts_max << " bursts";
}

constexpr std::uint64_t kBurstOperations = 20'000;
constexpr std::uint64_t kEndless = UINT64_MAX;
constexpr int kBurstsMax = 30;

TEST_F(Moves, WithoutTheGuardCheckDelayedWritesAreFound) {
  expect_anomaly([this] { return run({.skip_guard_check = true, .moves = kEndless, .operations = kBurstOperations}); },
                 kBurstsMax);
}

TEST_F(Moves, WithoutTheOverlapRuleStaleFillsAreFound) {
  Protections protections;
  protections.overlapped = false;
  expect_anomaly([&, this] { return run({.protections = protections, .moves = kEndless, .operations = kBurstOperations}); },
                 kBurstsMax);
}

TEST_F(Moves, WithoutTheLeaseCheckStaleHitsAreFound) {
  Protections protections;
  protections.lease_check = false;
  expect_anomaly([&, this] { return run({.protections = protections, .moves = kEndless, .operations = kBurstOperations}); },
                 kBurstsMax);
}

// Nothing moves here: a move would set a guard, and so be the fence that is missing. Writes are late by little more than an
// attempt's time, so that they arrive while their key is still in use.
TEST_F(Moves, WithoutTheFenceLostWritesAreFound) {
  Protections protections;
  protections.fence_unknown = false;
  const Load load{.protections = protections,
                  .write_late = 0.2,
                  .write_late_max = 300 * base::kMillisecond,
                  .operations = kBurstOperations / 10};
  expect_anomaly([&, this] { return run(load); }, kBurstsMax);
}

}  // namespace
}  // namespace freshet::testing
