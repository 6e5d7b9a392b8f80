// The reading threads: each job answered once, whether it runs, waits too long, hangs, or the pool ends.
#include "storage/embedded/read_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "storage/embedded/keeper.h"

namespace freshet::storage::embedded {
namespace {

// A job that waits until it is let go.
class Gate {
 public:
  Result<int> pass() {
    entered_.set_value();
    open_.get_future().wait();
    return 1;
  }
  void wait_until_entered() { entered_.get_future().wait(); }
  void open() { open_.set_value(); }

 private:
  std::promise<void> entered_;
  std::promise<void> open_;
};

struct Answer {
  std::promise<Result<int>> promise;
  std::future<Result<int>> future = promise.get_future();
  Callback<int> callback() {
    return [this](Result<int> result) { promise.set_value(std::move(result)); };
  }
};

TEST(ReadPool, runs_jobs_and_passes_their_results) {
  ReadPool pool(2, 10);
  Answer good, bad;
  pool.run<int>(base::kForever, [] { return Result<int>(7); }, good.callback());
  pool.run<int>(base::kForever, [] { return Result<int>(Error::of(ErrorCode::corrupted, "x")); }, bad.callback());
  EXPECT_EQ(*good.future.get(), 7);
  EXPECT_EQ(bad.future.get().error().code, ErrorCode::corrupted);
}

TEST(ReadPool, is_bounded_and_keeps_deadlines_of_jobs_that_wait_or_hang) {
  ReadPool pool(1, 2);
  Gate gate;
  Answer hanging, waiting, patient, refused;
  const auto deadline = base::now() + base::kSecond;
  pool.run<int>(deadline, [&] { return gate.pass(); }, hanging.callback());
  gate.wait_until_entered();
  pool.run<int>(deadline, [] { return Result<int>(2); }, waiting.callback());
  pool.run<int>(base::kForever, [] { return Result<int>(3); }, patient.callback());
  pool.run<int>(base::kForever, [] { return Result<int>(4); }, refused.callback());
  EXPECT_EQ(refused.future.get().error().code, ErrorCode::busy);
  EXPECT_TRUE(pool.expire(deadline - 1));
  EXPECT_EQ(hanging.future.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  EXPECT_TRUE(pool.expire(deadline));
  EXPECT_EQ(hanging.future.get().error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(waiting.future.get().error().code, ErrorCode::deadline_exceeded);
  gate.open();
  EXPECT_EQ(*patient.future.get(), 3);
}

TEST(ReadPool, a_deadline_that_has_passed_is_answered_at_once) {
  ReadPool pool(1, 2);
  Answer late;
  pool.run<int>(base::now() - 1, [] { return Result<int>(1); }, late.callback());
  ASSERT_EQ(late.future.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_EQ(late.future.get().error().code, ErrorCode::deadline_exceeded);
}

TEST(ReadPool, stop_finishes_what_runs_and_refuses_what_waits_and_what_comes) {
  ReadPool pool(1, 2);
  Gate gate;
  Answer running, waiting, later;
  pool.run<int>(base::kForever, [&] { return gate.pass(); }, running.callback());
  gate.wait_until_entered();
  pool.run<int>(base::kForever, [] { return Result<int>(2); }, waiting.callback());
  std::thread opens([&] {
    waiting.future.wait();  // Answered while the other still runs.
    gate.open();
  });
  pool.stop();
  opens.join();
  EXPECT_EQ(*running.future.get(), 1);
  EXPECT_EQ(waiting.future.get().error().code, ErrorCode::unavailable);
  pool.run<int>(base::kForever, [] { return Result<int>(3); }, later.callback());
  EXPECT_EQ(later.future.get().error().code, ErrorCode::unavailable);
  EXPECT_FALSE(pool.expire(base::kForever - 1));
}

TEST(Keeper, looks_while_something_is_open_then_sleeps_until_stirred) {
  std::atomic<int> looks = 0;
  std::atomic<int> open = 3;
  std::promise<void> first_sleep;
  std::promise<void> woken;
  Keeper keeper(std::chrono::milliseconds(1), [&] {
    ++looks;
    if (open > 0) return --open > 0;
    woken.set_value();
    return false;
  });
  keeper.stir();  // Harmless while it is awake.
  while (open > 0) std::this_thread::yield();
  const int before = looks;
  EXPECT_GE(before, 3);
  auto woken_up = woken.get_future();
  // A stir that comes just before it falls asleep counts too: it looks again either way.
  keeper.stir();
  woken_up.wait();
  keeper.stop();
  EXPECT_EQ(looks, before + 1);
}

}  // namespace
}  // namespace freshet::storage::embedded
