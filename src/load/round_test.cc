// Rounds against a server that does what the test says: stalls must show, errors must be counted.
#include "load/round.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <set>

#include "load/fake_server.h"
#include "load/worker.h"

namespace freshet::load {
namespace {

using testing::Each;
using testing::HasSubstr;
using testing::SizeIs;
using Arguments = std::span<const std::string_view>;

constexpr base::Nanoseconds kStall = 300 * base::kMillisecond;

bool answer_ok(Arguments, protocol::ReplyWriter& reply) {
  reply.ok();
  return true;
}

LoadTarget target_of(const FakeServer& server) { return {"fake", server.target(), ""}; }

RoundPlan plan_for(base::Nanoseconds duration, Mix mix = {}) {
  RoundPlan plan;
  plan.shape.connections = 4;
  auto values = std::make_shared<Values>(*ValueSizes::parse("10"));
  plan.requests = mixed_requests(*numbered_keys("key:", 1000, 0), values, mix, 1);
  plan.duration = duration;
  return plan;
}

// 1000 requests a second for a second; the server does nothing for 300 ms in its middle. About 300 requests fall due in the
// stall, 200 of which wait for more than 100 ms, and 20 for more than 280 ms. A generator that counts from the sending would
// see four late ones: as many as it has connections.
TEST(Round, AStallShowsInEveryRequestThatFellDueInIt) {
  std::atomic<int> requests{0};
  const FakeServer server([&](Arguments, protocol::ReplyWriter& reply) {
    if (++requests == 300) std::this_thread::sleep_for(std::chrono::nanoseconds(kStall));
    reply.null();
    return true;
  });
  auto plan = plan_for(base::kSecond);
  plan.shape.rate = 1000;
  plan.shape.arrivals = Arrivals::even;
  const auto tally = run_round(target_of(server), plan);
  ASSERT_TRUE(tally);
  EXPECT_NEAR(static_cast<double>(tally->latency_ns.count()), 1000, 2);
  EXPECT_GE(tally->latency_ns.at_quantile(0.85), static_cast<std::uint64_t>(100 * base::kMillisecond));
  EXPECT_GE(tally->latency_ns.at_quantile(0.985), static_cast<std::uint64_t>(270 * base::kMillisecond));
  EXPECT_GE(tally->late_ns.at_quantile(0.985), static_cast<std::uint64_t>(270 * base::kMillisecond));
  EXPECT_EQ(tally->errors, 0u);
}

// A stall that lasts beyond the end: what was due and not answered is not forgotten.
TEST(Round, AStallAtTheEndShows) {
  std::atomic<int> requests{0};
  const FakeServer server([&](Arguments, protocol::ReplyWriter& reply) {
    if (++requests == 200) std::this_thread::sleep_for(std::chrono::nanoseconds(2 * kStall));
    reply.null();
    return true;
  });
  auto plan = plan_for(base::kSecond / 2);
  plan.shape.rate = 1000;
  plan.shape.arrivals = Arrivals::even;
  const auto tally = run_round(target_of(server), plan);
  ASSERT_TRUE(tally);
  EXPECT_NEAR(static_cast<double>(tally->latency_ns.count()), 500, 2);
  EXPECT_GE(tally->unsent, 250u);
  EXPECT_GE(tally->latency_ns.at_quantile(0.7), static_cast<std::uint64_t>(100 * base::kMillisecond));
  EXPECT_LE(tally->requests, 210u);
}

TEST(Round, AnOpenLoopKeepsItsRate) {
  const FakeServer server(answer_ok);
  for (const auto arrivals : {Arrivals::even, Arrivals::poisson}) {
    auto plan = plan_for(base::kSecond);
    plan.shape.threads = 2;
    plan.shape.rate = 2000;
    plan.shape.arrivals = arrivals;
    plan.warm_up = 50 * base::kMillisecond;
    const auto tally = run_round(target_of(server), plan);
    ASSERT_TRUE(tally);
    // All that fell due in the window, answered or not. Poisson: six deviations.
    EXPECT_NEAR(static_cast<double>(tally->latency_ns.count()), 2000, arrivals == Arrivals::even ? 4 : 270);
    EXPECT_EQ(tally->late_ns.count(), tally->latency_ns.count());
  }
}

TEST(Round, AClosedLoopCountsKeysAndMisses) {
  std::atomic<std::uint64_t> gets{0}, sets{0};
  const FakeServer server([&](Arguments arguments, protocol::ReplyWriter& reply) {
    if (arguments[0] == "SET") {
      ++sets;
      EXPECT_THAT(arguments, SizeIs(3));
      EXPECT_THAT(arguments[2], SizeIs(10));
      reply.ok();
      return true;
    }
    ++gets;
    EXPECT_EQ(arguments[0], "MGET");
    EXPECT_THAT(arguments, SizeIs(6));
    EXPECT_THAT(arguments.subspan(1), Each(SizeIs(16)));
    reply.array(5);
    for (int i = 0; i < 4; ++i) reply.bulk("0123456789");
    reply.null();
    return true;
  });
  auto plan = plan_for(200 * base::kMillisecond, Mix{0.25, 5});
  plan.shape.pipeline = 16;
  const auto tally = run_round(target_of(server), plan);
  ASSERT_TRUE(tally);
  EXPECT_GT(tally->requests, 100u);
  EXPECT_LE(tally->requests, gets + sets);
  const auto total = static_cast<double>(gets + sets);
  EXPECT_NEAR(static_cast<double>(sets), total / 4, 6 * std::sqrt(total * 3 / 16) + 1);
  EXPECT_EQ(tally->operations, tally->requests + 4 * tally->misses);  // A read: five keys, one of them missed.
  EXPECT_EQ(tally->errors, 0u);
  EXPECT_GT(tally->generator_cpu_s, 0);
  EXPECT_GE(tally->seconds, 0.199);  // Longer on a busy machine.
}

TEST(Round, CountsErrorsAndTellsTheFirst) {
  std::atomic<std::uint64_t> refused{0};
  const FakeServer server([&](Arguments, protocol::ReplyWriter& reply) {
    if (refused < 30) reply.error("OOM number " + std::to_string(++refused));
    else reply.bulk("value");
    return true;
  });
  auto plan = plan_for(200 * base::kMillisecond);
  plan.shape.pipeline = 8;
  const auto tally = run_round(target_of(server), plan);
  ASSERT_TRUE(tally);
  EXPECT_EQ(tally->errors, 30u);
  EXPECT_EQ(tally->error_texts.size(), kErrorsToldMax);
  EXPECT_EQ(tally->error_texts.front(), "OOM number 1");
  EXPECT_GT(tally->operations, 0u);
}

TEST(Round, OutlivesALostConnectionButNotTheLastOne) {
  std::atomic<int> requests{0};
  const FakeServer one_lost([&](Arguments, protocol::ReplyWriter& reply) {
    reply.ok();
    return ++requests != 100;
  });
  const auto tally = run_round(target_of(one_lost), plan_for(200 * base::kMillisecond));
  ASSERT_TRUE(tally);
  EXPECT_EQ(tally->lost_connections, 1u);
  EXPECT_EQ(tally->errors, 1u);
  EXPECT_GT(tally->operations, 100u);

  const FakeServer all_lost([](Arguments, protocol::ReplyWriter&) { return false; });
  const auto begin = base::now();
  const auto failed = run_round(target_of(all_lost), plan_for(60 * base::kSecond));
  ASSERT_FALSE(failed);
  EXPECT_LT(base::now() - begin, 30 * base::kSecond);
  EXPECT_THAT(failed.error().what, HasSubstr("fake ended every connection"));
}

TEST(Round, EndsWhenInterrupted) {
  const FakeServer server(answer_ok);
  const int interrupt = eventfd(0, EFD_CLOEXEC);
  auto plan = plan_for(600 * base::kSecond);
  plan.interrupt = interrupt;
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    eventfd_write(interrupt, 1);
  });
  const auto tally = run_round(target_of(server), plan);
  later.join();
  ASSERT_TRUE(tally);
  EXPECT_TRUE(is_interrupted(interrupt));
  EXPECT_GT(tally->operations, 0u);
  EXPECT_LT(tally->seconds, 60);
  ::close(interrupt);
}

TEST(Round, EndsWithItsRequests) {
  std::set<std::string> written;
  const FakeServer server([&](Arguments arguments, protocol::ReplyWriter& reply) {
    EXPECT_TRUE(written.insert(std::string(arguments[1])).second);
    reply.ok();
    return true;
  });
  RoundPlan plan;
  plan.shape.connections = 3;
  plan.shape.threads = 2;
  plan.shape.pipeline = 7;
  plan.requests = filling_requests(*numbered_keys("key:", 1000, 0), std::make_shared<Values>(*ValueSizes::parse("10")));
  const auto tally = run_round(target_of(server), plan);
  ASSERT_TRUE(tally);
  EXPECT_EQ(tally->operations, 1000u);
  EXPECT_THAT(written, SizeIs(1000));
}

// Large values: what waits to be sent stays bounded, and everything arrives.
TEST(Round, SendsLargeValues) {
  constexpr std::uint64_t kValues = 40;
  std::atomic<std::uint64_t> bytes{0}, requests{0};
  const FakeServer server([&](Arguments arguments, protocol::ReplyWriter& reply) {
    bytes += arguments[2].size();
    ++requests;
    reply.ok();
    return true;
  });
  for (const double rate : {0.0, 50.0}) {
    SCOPED_TRACE(rate);
    bytes = requests = 0;
    RoundPlan plan;
    plan.shape.connections = 2;
    plan.shape.pipeline = 64;
    plan.shape.rate = rate;
    const auto values = std::make_shared<Values>(*ValueSizes::parse("3MiB"));
    plan.requests = filling_requests(*numbered_keys("key:", kValues, 0), values);
    const auto tally = run_round(target_of(server), plan);
    ASSERT_TRUE(tally);
    EXPECT_EQ(tally->operations, kValues);
    EXPECT_EQ(tally->errors, 0u);
    EXPECT_EQ(requests, kValues);
    EXPECT_EQ(bytes, kValues * 3 * 1024 * 1024);
  }
}

TEST(Connect, SaysWhatTheTargetLacks) {
  const FakeServer locked([](Arguments arguments, protocol::ReplyWriter& reply) {
    if (arguments[0] == "AUTH" && arguments[1] == "right") reply.ok();
    else reply.error("WRONGPASS invalid");
    return true;
  });
  auto target = target_of(locked);
  target.password = "wrong";
  EXPECT_THAT(connect(target).error().what, HasSubstr("fake refuses the password: WRONGPASS"));
  target.password = "right";
  const auto connected = connect(target);
  ASSERT_TRUE(connected);
  ::close(*connected);
}

TEST(TargetProcess, IsFoundByItsListeningSocket) {
  const FakeServer server(answer_ok);
  auto connection = client::Connection::connect(server.target(), base::now() + base::kSecond);
  ASSERT_TRUE(connection);
  const int socket = connection->release();
  const auto found = TargetProcess::behind(socket);
  ::close(socket);
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_THAT(found->pids(), testing::ElementsAre(getpid()));
  const auto before = found->cpu_time();
  volatile std::uint64_t work = 0;
  for (int i = 0; i < 20'000'000; ++i) work = work + 1;
  const auto after = found->cpu_time();
  ASSERT_TRUE(before && after);
  EXPECT_GT(*after - *before, base::kMillisecond);
}

TEST(TargetProcess, RefusesOneThatIsNotThere) {
  for (const pid_t pid : {-1, 0, 4 * 1024 * 1024, INT32_MAX}) EXPECT_FALSE(TargetProcess::of_pid(pid)) << pid;
  EXPECT_TRUE(TargetProcess::of_pid(getpid()));
}

}  // namespace
}  // namespace freshet::load
