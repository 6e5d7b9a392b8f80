// Watching pipes on a real loop.
#include "net/descriptor_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <future>
#include <memory>

namespace freshet::net {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

struct Pipe {
  Pipe() { EXPECT_EQ(pipe(ends.data()), 0); }
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
  void put() const { EXPECT_EQ(write(ends[1], "x", 1), 1); }
  void take() const {
    char byte = 0;
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
  }
  std::array<int, 2> ends{};
};

TEST(DescriptorWatch, TellsOfWhatCanBeReadUntilItIsStopped) {
  const Pipe pipe;
  Loop loop("watch");
  std::promise<int> told;
  std::unique_ptr<DescriptorWatch> watch;
  loop.run([&] {
    watch = std::make_unique<DescriptorWatch>(loop, [&](int status, int events) {
      pipe.take();
      watch->stop();
      told.set_value(status == 0 ? events : status);  // Twice would throw.
    });
    EXPECT_EQ(watch->watch(pipe.ends[0], 0), 0);
  });
  pipe.put();
  loop.run([&] { EXPECT_EQ(watch->watch(pipe.ends[0], UV_READABLE), 0); });
  auto future = told.get_future();
  ASSERT_EQ(future.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(future.get(), UV_READABLE);
  pipe.put();
  loop.run([&] { watch.reset(); });
}

// libpq closes a broken connection's socket by itself, before its owner hears of it; meanwhile another one may have got the
// number.
class DescriptorWatchOfAClosedOne : public testing::TestWithParam<int> {};

TEST_P(DescriptorWatchOfAClosedOne, LeavesTheNumbersNextOwnerAlone) {
  const Pipe earlier, later;
  Loop loop("watch");
  std::promise<int> told;
  std::unique_ptr<DescriptorWatch> of_earlier, of_later;
  const int number = dup(earlier.ends[0]);
  loop.run([&] {
    of_earlier = std::make_unique<DescriptorWatch>(loop, [](int, int) {});
    EXPECT_EQ(of_earlier->watch(number, UV_READABLE), 0);
    EXPECT_EQ(of_earlier->watch(number, GetParam()), 0);
  });
  EXPECT_EQ(dup2(later.ends[0], number), number);
  loop.run([&] {
    of_later = std::make_unique<DescriptorWatch>(loop, [&](int status, int events) {
      later.take();
      told.set_value(status == 0 ? events : status);
    });
    EXPECT_EQ(of_later->watch(number, UV_READABLE), 0);
  });
  loop.run([&] { of_earlier->stop(); });
  later.put();
  auto future = told.get_future();
  ASSERT_EQ(future.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(future.get(), UV_READABLE);
  loop.run([&] { of_earlier.reset(), of_later.reset(); });
  close(number);
}

INSTANTIATE_TEST_SUITE_P(StillWatchedOrNot, DescriptorWatchOfAClosedOne, testing::Values(UV_READABLE, 0));

TEST(DescriptorWatch, MayBeDestroyedByWhatItCalls) {
  const Pipe pipe;
  Loop loop("watch");
  std::promise<void> told;
  std::unique_ptr<DescriptorWatch> watch;
  loop.run([&] {
    watch = std::make_unique<DescriptorWatch>(loop, [&told, &watch](int, int) {
      watch.reset();
      told.set_value();
    });
    watch->watch(pipe.ends[0], UV_READABLE);
  });
  pipe.put();
  EXPECT_EQ(told.get_future().wait_for(kPatience), std::future_status::ready);
}

TEST(DescriptorWatch, SaysThatADescriptorCannotBeWatched) {
  Loop loop("watch");
  loop.run([&] {
    DescriptorWatch watch(loop, [](int, int) {});
    EXPECT_LT(watch.watch(-1, UV_READABLE), 0);
  });
}

}  // namespace
}  // namespace freshet::net
