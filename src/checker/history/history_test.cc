// Recording, merging and showing histories; counting contention.
#include "checker/history/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "checker/history/contention.h"
#include "checker/history/history_builder.h"

namespace freshet::checker {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(HistoryRecorder, MergesThreadsByKeyInOrder) {
  constexpr std::uint32_t kThreads = 4;
  constexpr int kEach = 500;
  HistoryRecorder recorder(kThreads);
  std::vector<std::thread> threads;
  for (std::uint32_t client = 0; client < kThreads; ++client) {
    threads.emplace_back([&recorder, client] {
      for (int i = 0; i < kEach; ++i) {
        Operation operation;
        operation.client = client;
        operation.key = i % 2 == 0 ? "even" : "odd";
        operation.invoked_ns = base::now();
        operation.returned_ns = base::now();
        recorder.record(std::move(operation));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Histories histories = recorder.take();
  ASSERT_EQ(histories.size(), 2u);
  for (const auto& [key, history] : histories) {
    EXPECT_EQ(history.size(), kThreads * kEach / 2u);
    EXPECT_TRUE(std::ranges::is_sorted(history, {}, &Operation::invoked_ns));
    for (const Operation& operation : history) EXPECT_EQ(operation.key, key);
  }
  EXPECT_TRUE(recorder.take().empty());
}

TEST(History, OnlyWritesThatMayHaveHappenedAreWrites) {
  HistoryBuilder h;
  EXPECT_TRUE(may_have_written(h.set(1, 0, 1, "a")));
  EXPECT_TRUE(may_have_written(h.set(1, 0, 1, "a", Outcome::unknown)));
  EXPECT_FALSE(may_have_written(h.set(1, 0, 1, "a", Outcome::failed)));
  EXPECT_FALSE(may_have_written(h.get(1, 0, 1, "a")));
  EXPECT_FALSE(may_have_written(h.erase(1, 0, 1, false)));
  EXPECT_TRUE(may_have_written(h.write(Kind::set_if_absent, 1, 0, 1, "a", Outcome::unknown, false)));
}

TEST(History, TimelineIsReadable) {
  HistoryBuilder h;
  h.set(1, 0, 100, "old");
  h.set(2, 50, 60, std::string("n\0w", 3), Outcome::unknown);
  h.get(3, 80, 90, "old", 7).source = Source::memory;
  const std::string text = render_timeline(h.take());
  EXPECT_THAT(text, AllOf(HasSubstr("key 'key'"), HasSubstr("client 1   set 'old'  -> ok"), HasSubstr("set 'n\\x00w'"),
                          HasSubstr("no answer: may have been applied"), HasSubstr("-> 'old', version 7, from memory"),
                          HasSubstr("80.0 ..         90.0 us")));
  EXPECT_THAT(text, HasSubstr("|========================================|"));
  EXPECT_THAT(text, HasSubstr("~|")) << "an unknown outcome stays open";
}

TEST(Contention, CountsWhatMet) {
  HistoryBuilder h;
  h.set(1, 0, 100, "a");
  h.get(2, 10, 20, std::nullopt).source = Source::memory;  // Inside another client's write.
  h.get(2, 90, 110, "a").source = Source::memory;          // Overlaps it, and ends after it.
  h.get(1, 200, 210, "a").source = Source::storage;        // Alone.
  h.set(3, 300, 400, "b", Outcome::failed);                // Proves nothing,
  h.get(2, 310, 320, "a").source = Source::memory;         // so that this one is alone too.
  const Contention contention = contention_of(h.take());
  EXPECT_EQ(contention.operations, 5u);
  EXPECT_EQ(contention.reads, 4u);
  EXPECT_EQ(contention.overlapped, 3u);
  EXPECT_EQ(contention.hits, 3u);
  EXPECT_EQ(contention.hits_during_write, 1u);
  EXPECT_EQ(contention.reads_during_write, 1u);
}

TEST(Contention, OwnOperationsAndNeighboursDoNotCount) {
  HistoryBuilder h;
  for (int i = 0; i < 10; ++i) h.set(static_cast<std::uint32_t>(i % 2), i * 10, i * 10 + 9, std::to_string(i));
  EXPECT_EQ(contention_of(h.take()).overlapped, 0u);
}

TEST(Contention, TooLittleIsSaid) {
  Contention contention;
  EXPECT_THAT(contention.shortfall(true), HasSubstr("overlapped"));
  contention.overlapped = kOverlappedMin;
  contention.reads_during_write = kReadsDuringWriteMin;
  EXPECT_EQ(contention.shortfall(false), "");
  EXPECT_THAT(contention.shortfall(true), HasSubstr("only 0 hits"));
  contention.hits_during_write = kReadsDuringWriteMin;
  EXPECT_EQ(contention.shortfall(true), "");
}

}  // namespace
}  // namespace freshet::checker
