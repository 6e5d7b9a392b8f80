// Guards: narrow renewal, waiters and their deadlines, retries, changes of assignment. The three rules are played against
// real storage in tests/consistency/races_test.cc.
#include "consistency/guards.h"

#include <gtest/gtest.h>

#include <future>

namespace freshet::consistency {
namespace {

// Keeps set_guard calls for the test to answer; nothing else is called.
class GuardCalls final : public storage::Storage {
 public:
  struct Call {
    base::SlotRange range;
    storage::Token token;
    storage::Callback<void> done;
  };
  void set_guard(base::SlotRange range, storage::Token token, base::Nanoseconds, storage::Callback<void> done) override {
    std::lock_guard lock(mutex);
    calls.push_back({range, token, std::move(done)});
    changed.notify_all();
  }
  Call take() {
    std::unique_lock lock(mutex);
    const bool made = changed.wait_for(lock, std::chrono::seconds(10), [this] { return !calls.empty(); });
    if (!made) throw std::runtime_error("no call");
    auto call = calls.front();
    calls.erase(calls.begin());
    return call;
  }
  bool idle() {
    std::lock_guard lock(mutex);
    return calls.empty();
  }

  void read(std::vector<std::string>, base::Nanoseconds, storage::Callback<storage::ReadReply>) override { FAIL(); }
  void write(storage::WriteRequest, storage::Callback<storage::WriteReply>) override { FAIL(); }
  void scan(std::uint64_t, std::size_t, base::Nanoseconds, storage::Callback<storage::ScanReply>) override { FAIL(); }
  void count(base::Nanoseconds, storage::Callback<storage::KeyCount>) override { FAIL(); }
  void split_points(base::SlotRange, int, base::Nanoseconds, storage::Callback<std::vector<base::Slot>>) override { FAIL(); }
  void forget(std::vector<storage::Tombstone>) override { FAIL(); }
  void health(base::Nanoseconds, storage::Callback<storage::Health>) override { FAIL(); }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Call> calls;
};

class GuardsTest : public ::testing::Test {
 protected:
  GuardsTest() : loop_(std::make_unique<net::Loop>("guards-test")), guards_(calls_, *loop_, {}, limits()) {}
  ~GuardsTest() override {
    guards_.stop();
    loop_.reset();
  }
  static GuardLimits limits() {
    GuardLimits limits;
    limits.waiters_max = 2;
    return limits;
  }
  ownership::SliceRef own(base::SlotRange range = {0, base::kSlots - 1}) {
    ownership::SliceRef slice = new ownership::SliceHandle(range, 1, base::kForever);
    guards_.on_assignment_change({{}, {slice}});
    return slice;
  }
  GuardRef current(base::Slot slot) { return guards_.current(slot, base::now()); }
  std::future<Result<GuardRef>> wait(base::Slot slot, base::Nanoseconds timeout) {
    auto promise = std::make_shared<std::promise<Result<GuardRef>>>();
    guards_.wait(slot, base::now() + timeout, [promise](Result<GuardRef> guard) { promise->set_value(std::move(guard)); });
    return promise->get_future();
  }

  GuardCalls calls_;
  std::unique_ptr<net::Loop> loop_;
  Guards guards_;
};

TEST_F(GuardsTest, AddedSliceGetsAGuardOverItsWholeRange) {
  own({64, 191});
  auto call = calls_.take();
  EXPECT_EQ(call.range, (base::SlotRange{64, 191}));
  EXPECT_FALSE(current(100));
  call.done({});
  ASSERT_TRUE(current(100));
  EXPECT_EQ(current(100)->token(), call.token);
  EXPECT_FALSE(current(192));
  EXPECT_EQ(guards_.stats().slots, 128u);
}

TEST_F(GuardsTest, RenewalTakesTheCellOnlyAndDropsItsHandleFirst) {
  own();
  calls_.take().done({});
  const auto whole = current(130);
  guards_.renew(130, whole);
  EXPECT_FALSE(current(130)) << "dropped before the renewal is answered";
  EXPECT_FALSE(current(191));
  EXPECT_EQ(current(127), whole);
  EXPECT_EQ(current(192), whole);
  auto call = calls_.take();
  EXPECT_EQ(call.range, (base::SlotRange{128, 191}));
  guards_.renew(131, whole);
  EXPECT_TRUE(calls_.idle()) << "the handle is gone already";
  call.done({});
  EXPECT_NE(current(130), whole);
}

TEST_F(GuardsTest, FailedCallIsRetriedWithAFreshToken) {
  own();
  auto first = calls_.take();
  first.done(Error::of(ErrorCode::unavailable, "down"));
  auto second = calls_.take();
  EXPECT_NE(first.token, second.token);
  second.done({});
  EXPECT_TRUE(current(0));
}

TEST_F(GuardsTest, PartOfASliceTakenAwayDuringTheCallIsNotGuarded) {
  auto slice = own({0, 127});
  auto call = calls_.take();
  ownership::SliceRef other = new ownership::SliceHandle({64, 127}, 2, base::kForever);
  guards_.on_assignment_change({{}, {other}});
  call.done({});
  EXPECT_TRUE(current(0));
  EXPECT_FALSE(current(64)) << "it waits for the other slice's call";
  calls_.take().done({});
  EXPECT_EQ(current(64)->slice(), other);
}

TEST_F(GuardsTest, WaitersHearOfTheGuard) {
  own();
  auto waiting = wait(5, 10 * base::kSecond);
  calls_.take().done({});
  EXPECT_TRUE(waiting.get());
}

TEST_F(GuardsTest, WaitersHearOfTheirDeadlineAndOfTheLossOfTheSlice) {
  auto slice = own();
  auto short_wait = wait(5, 20 * base::kMillisecond);
  EXPECT_EQ(short_wait.get().error().code, ErrorCode::deadline_exceeded);
  auto long_wait = wait(5, 60 * base::kSecond);
  slice->revoke();
  guards_.on_assignment_change({{slice}, {}});
  EXPECT_EQ(long_wait.get().error().code, ErrorCode::not_owner);
  EXPECT_EQ(wait(5, base::kSecond).get().error().code, ErrorCode::not_owner);
}

TEST_F(GuardsTest, WaitersBeyondTheLimitAreRefused) {
  own();
  auto first = wait(1, 60 * base::kSecond), second = wait(2, 60 * base::kSecond);
  EXPECT_EQ(wait(3, 60 * base::kSecond).get().error().code, ErrorCode::busy);
  guards_.stop();
  EXPECT_EQ(first.get().error().code, ErrorCode::unavailable);
  EXPECT_EQ(second.get().error().code, ErrorCode::unavailable);
}

TEST_F(GuardsTest, GuardOfALapsedSliceDoesNotCount) {
  ownership::SliceRef slice = new ownership::SliceHandle({0, base::kSlots - 1}, 1, base::now() + 30 * base::kSecond);
  guards_.on_assignment_change({{}, {slice}});
  calls_.take().done({});
  EXPECT_TRUE(guards_.current(0, base::now()));
  EXPECT_FALSE(guards_.current(0, slice->deadline()));
}

}  // namespace
}  // namespace freshet::consistency
