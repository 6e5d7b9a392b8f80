// Which tasks run, and who waits for whom.
#include "base/latest_task.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <vector>

namespace freshet::base {
namespace {

TEST(LatestTask, RunsTheLatestOfThoseThatWait) {
  std::vector<int> ran;
  std::promise<void> begun, let, over;
  LatestTask tasks;
  tasks.run([&] {
    begun.set_value();
    let.get_future().wait();
    ran.push_back(0);
  });
  begun.get_future().wait();
  for (int i = 1; i < 5; ++i) tasks.run([&ran, i] { ran.push_back(i); });  // Returns, though the first is at work.
  tasks.run([&] {
    ran.push_back(5);
    over.set_value();
  });
  let.set_value();
  over.get_future().wait();
  EXPECT_EQ(ran, (std::vector{0, 5}));
}

TEST(LatestTask, StopWaitsForTheOneAtWorkAndDropsTheNext) {
  std::atomic<int> ran{0};
  std::promise<void> begun;
  std::promise<void> let;
  {
    LatestTask tasks;
    tasks.run([&] {
      begun.set_value();
      let.get_future().wait();
      ++ran;
    });
    begun.get_future().wait();
    tasks.run([&] { ran += 10; });
    const std::jthread later([&] {
      while (tasks.run([&] { ran += 100; })) std::this_thread::yield();  // Until stop() waits.
      let.set_value();
    });
    tasks.stop();
    EXPECT_EQ(ran, 1);
    EXPECT_FALSE(tasks.run([&] { ran += 1000; }));
  }
  EXPECT_EQ(ran, 1);
}

TEST(LatestTask, ManyThreadsGiveTasksAndTheLastStateIsReached) {
  std::atomic<int> wanted{0}, state{0};
  LatestTask tasks;
  {
    std::vector<std::jthread> threads;
    for (int id = 0; id < 4; ++id) {
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          ++wanted;
          tasks.run([&] { state = wanted.load(); });
        }
      });
    }
  }
  while (state != 2000) std::this_thread::yield();
}

}  // namespace
}  // namespace freshet::base
