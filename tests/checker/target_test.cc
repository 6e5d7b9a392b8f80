// The tool against a real redis-server, where it must find nothing and enough contention, and against wrong servers, where
// it must find what is wrong within a stated number of operations. Seeds are fixed; the interleaving is the machine's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/random.h"
#include "checker/check_command.h"
#include "checker/load.h"
#include "redis_servers.h"

namespace freshet::test {
namespace {

using checker::CheckOptions;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kSeed = 17;

class Target : public testing::Test {
 protected:
  static CheckOptions options_for(std::string target, std::uint64_t operations) {
    CheckOptions options;
    options.target = std::move(target);
    options.seconds = 60;
    options.operations = operations;
    options.seed = kSeed;
    return options;
  }
  std::string redis_target() const { return "127.0.0.1:" + std::to_string(redis_.target().port); }

  RedisServer redis_;
};

TEST_F(Target, RealRedisIsLinearizable) {
  const CheckOptions options = options_for(redis_target(), 60'000);
  std::ostringstream out;
  EXPECT_EQ(run_check(options, out), checker::kExitFine) << out.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("seed 17"), HasSubstr("no violation"), HasSubstr("has no FRESHET.GET")));
}

TEST_F(Target, JudgedKeysAreReplacedAndRemoved) {
  CheckOptions options = options_for(redis_target(), 30'000);
  options.keys = 2;
  const checker::LoadReport report = run_load(options);
  EXPECT_FALSE(report.violated());
  EXPECT_GE(report.judgement.keys, 30'000u / checker::kOperationsPerKey);
  auto connection = client::Connection::connect(redis_.target(), base::now() + base::kSecond);
  EXPECT_EQ(connection->call({"DBSIZE"}, base::now() + base::kSecond)->integer, 0);
}

TEST_F(Target, JsonIsOneObject) {
  CheckOptions options = options_for(redis_target(), 20'000);
  options.json = true;
  std::ostringstream out;
  EXPECT_EQ(run_check(options, out), checker::kExitFine) << out.str();
  EXPECT_THAT(out.str(), AllOf(testing::StartsWith("{\"verdict\":\"fine\",\"seed\":17,"), testing::EndsWith("}\n")));
}

TEST_F(Target, WithoutContentionItIsInconclusive) {
  CheckOptions options = options_for(redis_target(), 2'000);
  options.clients = 1;
  std::ostringstream out;
  EXPECT_EQ(run_check(options, out), checker::kExitInconclusive);
  EXPECT_THAT(out.str(), HasSubstr("inconclusive: only 0 operations overlapped"));
}

TEST(NoTarget, RefusesWhatCannotRun) {
  CheckOptions options;
  options.target = "127.0.0.1:1";
  std::ostringstream out;
  EXPECT_EQ(run_check(options, out), checker::kExitInconclusive);
  EXPECT_THAT(out.str(), HasSubstr("cannot connect to 127.0.0.1:1"));
  options.keys = 0;
  EXPECT_EQ(run_check(options, out), checker::kExitInconclusive);
  EXPECT_THAT(out.str(), HasSubstr("keys must be 1 to"));
}

TEST(NoTarget, SelfTestPrintsWhatItRejects) {
  CheckOptions options;
  options.self_test = true;
  std::ostringstream out;
  EXPECT_EQ(run_check(options, out), checker::kExitFine) << out.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("rejected: stale read"), Not(HasSubstr("FAIL"))));
}

// A cache in front of the store that forgets after a time: what Freshet is not.
class TimedCache : public Fault {
 public:
  std::optional<client::Reply> answer(Args args, client::Connection& upstream) override {
    if (args[0] != "GET") return pass_on(args, upstream);
    {
      std::lock_guard lock(mutex_);
      const auto at = cached_.find(std::string(args[1]));
      if (at != cached_.end() && base::now() < at->second.until) return at->second.reply;
    }
    client::Reply reply = pass_on(args, upstream);
    std::lock_guard lock(mutex_);
    cached_[std::string(args[1])] = {reply, base::now() + 2 * base::kMillisecond};
    return reply;
  }

 private:
  struct Cached {
    client::Reply reply;
    base::Nanoseconds until;
  };
  std::mutex mutex_;
  std::map<std::string, Cached> cached_;
};

TEST_F(Target, TimedCacheIsFoundWithin20000Operations) {
  TimedCache cache;
  const FaultyProxy proxy(redis_.target(), cache);
  std::ostringstream out;
  EXPECT_EQ(run_check(options_for(proxy.target(), 20'000), out), checker::kExitViolation) << out.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("VIOLATION"), HasSubstr("not linearizable"), HasSubstr("us |")));
}

// Now and then sends an increment again, as a client does that mistakes an unknown outcome for a failure.
class SendsAgain : public Fault {
 public:
  std::optional<client::Reply> answer(Args args, client::Connection& upstream) override {
    if (args[0] == "INCRBY" && count_.fetch_add(1) % 100 == 99) pass_on(args, upstream);
    return pass_on(args, upstream);
  }

 private:
  std::atomic<std::uint64_t> count_{0};
};

TEST_F(Target, RepeatedIncrementIsFoundWithin20000Operations) {
  SendsAgain fault;
  const FaultyProxy proxy(redis_.target(), fault);
  const checker::LoadReport report = run_load(options_for(proxy.target(), 20'000));
  ASSERT_TRUE(report.violated());
  // The counter counted twice: what shows it first may be an increment's answer or a read's.
  EXPECT_THAT(report.judgement.reports.front(), AnyOf(HasSubstr("increment"), HasSubstr("get  -> ")));
}

// Cuts clients off, before or after the command was executed: unknown outcomes, and nothing wrong.
class CutsOff : public Fault {
 public:
  std::optional<client::Reply> answer(Args args, client::Connection& upstream) override {
    const std::uint64_t turn = count_.fetch_add(1) % 400;
    if (turn == 399) return std::nullopt;
    client::Reply reply = pass_on(args, upstream);
    return turn == 199 ? std::nullopt : std::optional(std::move(reply));
  }

 private:
  std::atomic<std::uint64_t> count_{0};
};

TEST_F(Target, LostAnswersAreNoViolation) {
  CutsOff fault;
  const FaultyProxy proxy(redis_.target(), fault);
  std::ostringstream out;
  EXPECT_EQ(run_check(options_for(proxy.target(), 40'000), out), checker::kExitFine) << out.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("writes of unknown outcome"), HasSubstr("reconnects"), HasSubstr("CONNECTION")));
}

// Forgets one erase in fifty: a key comes back.
class ForgetsErases : public Fault {
 public:
  std::optional<client::Reply> answer(Args args, client::Connection& upstream) override {
    if (args[0] != "DEL" || count_.fetch_add(1) % 50 != 49) return pass_on(args, upstream);
    client::Reply reply;
    reply.type = protocol::ReplyType::integer;
    reply.integer = 1;
    return reply;
  }

 private:
  std::atomic<std::uint64_t> count_{0};
};

TEST_F(Target, ForgottenEraseIsFoundWithin40000Operations) {
  ForgetsErases fault;
  const FaultyProxy proxy(redis_.target(), fault);
  std::ostringstream out;
  EXPECT_EQ(run_check(options_for(proxy.target(), 40'000), out), checker::kExitViolation) << out.str();
}

}  // namespace
}  // namespace freshet::test
