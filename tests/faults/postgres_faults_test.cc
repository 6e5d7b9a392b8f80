// Right under fire: an engine on a real PostgreSQL that is restarted, killed, cut off, promoted away, or blocked by a writer
// that sits on its lock, while recorded clients write and read. Nothing acknowledged is lost, nothing applied twice, no
// read is stale, errors are clear and come in time, and the engine recovers by itself.
#include <gtest/gtest.h>

#include <thread>

#include <fmt/format.h>

#include "cache/engine.h"
#include "recorded_load.h"
#include "tcp_proxy.h"
#include "temporary_postgres.h"

namespace freshet::testing {
namespace {

constexpr auto kRecovery = 30 * base::kSecond;
constexpr auto kReadDeadline = base::kSecond;
// What a loaded machine may add to a deadline before the test calls it missed.
constexpr auto kSlack = base::kSecond;
constexpr std::uint64_t kProgress = 200;
// After the last fault: so that enough reads meet a write in flight, however slow the machine was meanwhile.
constexpr std::uint64_t kContendedProgress = 10'000;
constexpr int kRounds = 3;

class PostgresFaults : public ::testing::Test {
 protected:
  PostgresFaults() { RecordProperty("seed", std::to_string(test_seed())); }

  void open(const std::string& url) {
    cache::EngineOptions options;
    options.storage_url = url;
    options.memory_bytes = 16 << 20;
    options.lease = base::kSecond;
    options.read_deadline = kReadDeadline;
    auto opened = cache::Engine::open(options);
    ASSERT_TRUE(opened) << opened.error().what;
    engine_ = std::move(*opened);
  }

  // Runs the load, and the fault in the midst of it, several times; after each the engine must be at work again.
  void run(const std::function<void(int round)>& fault) {
    LoadOptions options;
    options.seed = test_seed();
    options.write_timeout = 2 * base::kSecond;
    RecordedLoad load(options, [this](const std::string&, base::Random&) -> cache::Engine& { return *engine_; });
    ASSERT_TRUE(load.wait_for_progress(kProgress, kRecovery)) << "the load never began";
    for (int round = 0; round < kRounds; ++round) {
      fault(round);
      ASSERT_TRUE(load.wait_for_progress(kProgress, kRecovery)) << "no recovery after round " << round;
    }
    ASSERT_TRUE(load.wait_for_progress(kContendedProgress, kRecovery)) << "it became slow";
    load.stop();
    const auto judgement = load.judge();
    EXPECT_EQ(judgement.violations, 0u) << first_report(judgement);
    EXPECT_EQ(judgement.inconclusive_keys, 0u);
    EXPECT_EQ(judgement.contention.shortfall(false), "");
    const auto stats = engine_->stats();
    fmt::print("{} operations, {} hits, {} unknown outcomes, {} found out, {} guards set\n", load.operations(), stats.hits,
               stats.unknown_outcomes, stats.unknown_resolved, stats.guards_set);
  }

  // A read of a key that is not in memory, with the database out of reach: a clear error within the deadline.
  void expect_clear_error_in_time() {
    RecordedClient client(0);
    std::promise<Result<cache::Reading>> answer;
    const auto begin = base::now();
    cache::ReadOptions options;
    options.deadline = begin + kReadDeadline;
    engine_->get("never read before", options,
                 [&](Result<cache::Reading> reading) { answer.set_value(std::move(reading)); });
    const auto reading = answer.get_future().get();
    EXPECT_LE(base::now() - begin, kReadDeadline + kSlack);
    ASSERT_FALSE(reading);
    EXPECT_EQ(reading.error().retry, Retry::safe);
    EXPECT_NE(reading.error().what, "");
  }

  static ::testing::AssertionResult writes_in_time(cache::Engine& engine, const std::string& key, const std::string& value) {
    if (RecordedClient(0).set_until_acknowledged(engine, key, value, kRecovery)) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "not acknowledged in time; " << engine.ownership_status().detail;
  }

  std::unique_ptr<cache::Engine> engine_;
};

TEST_F(PostgresFaults, RestartAndCrash) {
  TemporaryPostgres postgres;
  open(postgres.url());
  run([&](int round) {
    postgres.halt(round % 2 == 0 ? "fast" : "immediate");
    expect_clear_error_in_time();
    postgres.resume();
  });
}

TEST_F(PostgresFaults, ConnectionsCutAfterTheWriteWasSent) {
  auto& postgres = TemporaryPostgres::shared();
  TcpProxy proxy(postgres.port());
  open(postgres.url_through(proxy.port(), database_of(postgres.create_database())));
  run([&](int) {
    proxy.set_mode(TcpProxy::Mode::swallow_replies);
    EXPECT_TRUE(proxy.wait_for_swallowed(proxy.swallowed() + 500)) << engine_->ownership_status().detail;
    // In this order, so that nobody connects again only to be heard by nobody.
    proxy.set_mode(TcpProxy::Mode::pass);
    proxy.cut();
  });
  EXPECT_GT(engine_->stats().unknown_outcomes, 0u) << "no answer was lost: the test proved nothing";
}

TEST_F(PostgresFaults, NetworkStallsSilently) {
  auto& postgres = TemporaryPostgres::shared();
  TcpProxy proxy(postgres.port());
  open(postgres.url_through(proxy.port(), database_of(postgres.create_database())));
  run([&](int) {
    proxy.set_mode(TcpProxy::Mode::stall);
    expect_clear_error_in_time();
    proxy.set_mode(TcpProxy::Mode::pass);
  });
}

TEST_F(PostgresFaults, PromotedStandby) {
  TemporaryPostgres primary({"synchronous_commit = on"});
  auto standby = primary.make_standby();
  TemporaryPostgres::run(primary.url(), "ALTER SYSTEM SET synchronous_standby_names = '*'");
  TemporaryPostgres::run(primary.url(), "SELECT pg_reload_conf()");
  open(fmt::format("host=127.0.0.1,127.0.0.1 port={},{} user=postgres dbname=postgres connect_timeout=2", primary.port(),
                   standby->port()));
  LoadOptions options;
  options.seed = test_seed();
  options.write_timeout = 2 * base::kSecond;
  RecordedLoad load(options, [this](const std::string&, base::Random&) -> cache::Engine& { return *engine_; });
  ASSERT_TRUE(load.wait_for_progress(kProgress, kRecovery));
  primary.halt("immediate");
  standby->promote();
  EXPECT_TRUE(load.wait_for_progress(2 * kProgress, kRecovery))
      << "the promoted standby was not taken up: " << engine_->ownership_status().detail;
  load.stop();
  const auto judgement = load.judge();
  EXPECT_EQ(judgement.violations, 0u) << first_report(judgement);
}

// Somebody's transaction holds a cell's lock: writes to that cell fail clearly, other cells go on, and it recovers.
TEST_F(PostgresFaults, WriterThatSitsOnItsLock) {
  auto& postgres = TemporaryPostgres::shared();
  const auto url = postgres.create_database();
  open(url);
  RecordedClient client(0);
  const std::string key = "{held}:key";
  ASSERT_TRUE(writes_in_time(*engine_, key, "before"));
  SqlSession holder(url);
  ASSERT_TRUE(holder.run("BEGIN").ok);
  ASSERT_TRUE(holder.run("SELECT 1 FROM freshet.kv WHERE key = '{held}:key' FOR UPDATE").ok);
  auto blocked = client.set(*engine_, key, "blocked", 2 * base::kSecond);
  EXPECT_EQ(client.set(*engine_, "{other}:key", "v", 2 * base::kSecond).finish().outcome, checker::Outcome::ok);
  EXPECT_NE(blocked.finish().outcome, checker::Outcome::ok);
  ASSERT_TRUE(holder.run("ROLLBACK").ok);
  EXPECT_TRUE(writes_in_time(*engine_, key, "after"));
  EXPECT_EQ(client.get(*engine_, key).finish().result, "after");
}

// A second server on the same database by mistake: it does not own, says who does, and its writes fail, retryable.
TEST_F(PostgresFaults, SecondServerByMistake) {
  auto& postgres = TemporaryPostgres::shared();
  const auto url = postgres.create_database();
  open(url);
  RecordedClient client(0);
  ASSERT_TRUE(writes_in_time(*engine_, "k", "first"));
  auto first = std::move(engine_);
  open(url);
  const auto patience = base::now() + kRecovery;
  while (engine_->ownership_status().holder.empty() && base::now() < patience) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::promise<Result<storage::WriteReply>> answer;
  storage::Mutation mutation;
  mutation.key = "k";
  mutation.value = "second";
  std::vector<storage::Mutation> mutations{mutation};
  engine_->write(std::move(mutations), false, base::now() + base::kSecond,
                 [&](Result<storage::WriteReply> reply) { answer.set_value(std::move(reply)); });
  const auto refused = answer.get_future().get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_owner);
  EXPECT_EQ(refused.error().retry, Retry::safe);
  EXPECT_NE(engine_->ownership_status().holder, "") << engine_->ownership_status().detail;
  EXPECT_EQ(client.get(*engine_, "k").finish().result, "first") << "reads go to the database";
  EXPECT_EQ(client.get(*engine_, "k").finish().source, checker::Source::storage) << "and are not cached";
  ASSERT_EQ(client.set(*first, "k", "newer").finish().outcome, checker::Outcome::ok);
  EXPECT_EQ(client.get(*engine_, "k").finish().result, "newer");
  first.reset();
  EXPECT_TRUE(writes_in_time(*engine_, "k", "third")) << "it takes over";
}

}  // namespace
}  // namespace freshet::testing
