// The online checker on hand-made histories: what it must catch as it happens, and where it must keep silent.
#include "checker/history/value_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "checker/history/history_builder.h"

namespace freshet::checker {
namespace {

using testing::HasSubstr;

std::string reason_of(HistoryBuilder& h) {
  const auto violation = replay(h.take());
  return violation ? violation->reason : "";
}

TEST(ValueHistory, StaleReadNamesWhatFollowed) {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.set(2, 20, 30, "b");
  h.get(3, 40, 50, "a");
  const auto violation = replay(h.take());
  ASSERT_TRUE(violation);
  EXPECT_THAT(violation->reason, HasSubstr("stale read"));
  ASSERT_EQ(violation->offending.size(), 3u);
  EXPECT_EQ(violation->offending[1].argument, "b");
}

TEST(ValueHistory, ReadsEndValuesToo) {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.set(2, 0, 10, "b");  // Which of the two is first is open,
  h.get(3, 20, 30, "b");
  h.get(3, 40, 50, "a");  // until these have been read in a row: both were there before 20.
  EXPECT_THAT(reason_of(h), HasSubstr("stale read"));
}

TEST(ValueHistory, OverlapIsNoProof) {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.set(2, 20, 60, "b");
  h.get(3, 30, 80, "b");
  h.get(4, 40, 70, "a");  // "b" may have come at 55.
  h.get(4, 75, 90, "b");
  EXPECT_EQ(reason_of(h), "");
}

TEST(ValueHistory, UnseenUnknownWritesEndNothing) {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.set(2, 20, 30, "b", Outcome::unknown);
  h.get(3, 40, 50, "a");
  h.set(1, 60, 70, "c");
  h.get(3, 80, 90, "b");  // It may take effect as late as this.
  EXPECT_EQ(reason_of(h), "");
}

TEST(ValueHistory, SeenUnknownWritesCount) {
  HistoryBuilder h;
  h.set(2, 20, 30, "b", Outcome::unknown);
  h.get(3, 40, 50, "b");
  h.get(3, 60, 70, std::nullopt);
  EXPECT_THAT(reason_of(h), HasSubstr("absent"));
}

TEST(ValueHistory, LostEraseMakesAbsenceLegal) {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.erase(2, 20, 30).outcome = Outcome::unknown;
  h.get(3, 40, 50, "a");
  h.get(3, 60, 70, std::nullopt);
  EXPECT_EQ(reason_of(h), "");
}

TEST(ValueHistory, AbsentBesideAnErase) {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.erase(2, 20, 60);
  h.get(3, 30, 40, std::nullopt);
  h.get(4, 45, 50, "a");  // Already read as absent.
  EXPECT_THAT(reason_of(h), HasSubstr("absent"));
}

TEST(ValueHistory, RefusedWriteSeenBeforeItsAnswer) {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.set(2, 20, 60, "b", Outcome::failed);
  h.get(3, 30, 40, "b");
  EXPECT_THAT(reason_of(h), HasSubstr("refused"));
}

TEST(ValueHistory, Versions) {
  HistoryBuilder h;
  h.set(1, 0, 10, "a").version = 4;
  h.get(2, 20, 30, "a", 4);
  h.get(3, 25, 45, "a", 4);
  EXPECT_EQ(reason_of(h), "");
  h.set(1, 0, 10, "a").version = 4;
  h.set(1, 20, 30, "b").version = 4;
  EXPECT_THAT(reason_of(h), HasSubstr("went back")) << "a write needs a new one";
  h.set(1, 0, 10, "a");
  h.get(2, 20, 30, "a", 4);
  h.get(3, 20, 30, "a", 5);
  EXPECT_THAT(reason_of(h), HasSubstr("two versions"));
}

TEST(ValueHistory, VersionsOfOverlappingReadsMayCross) {
  HistoryBuilder h;
  h.set(1, 0, 100, "a");
  h.get(2, 200, 220, "a", 4);
  h.set(1, 201, 205, "b");
  h.get(3, 206, 215, "b", 5);
  EXPECT_EQ(reason_of(h), "");
}

TEST(ValueHistory, KnowsWhereItApplies) {
  HistoryBuilder h;
  h.set(1, 0, 1, "a");
  h.get(1, 0, 1, "a");
  EXPECT_TRUE(has_unique_values(h.take()));
  h.set(1, 0, 1, "a");
  h.set(1, 0, 1, "a");
  EXPECT_FALSE(has_unique_values(h.take()));
  h.increment(1, 0, 1, 1);
  EXPECT_FALSE(has_unique_values(h.take()));
}

// Thousands of unknown writes: the list of what may be current keeps its bound, and nothing false is said.
TEST(ValueHistory, ManyUnknownWrites) {
  HistoryBuilder h;
  for (int i = 0; i < 3000; ++i) {
    h.set(1, i * 10, i * 10 + 5, std::to_string(i), i % 3 == 0 ? Outcome::unknown : Outcome::ok);
  }
  h.get(2, 40'000, 40'010, "2999");
  h.get(2, 40'020, 40'030, "30");  // As late as this.
  EXPECT_EQ(reason_of(h), "");
}

// Fed by threads at once, as the load does, from a register behind a lock: no false alarm.
TEST(ValueHistory, ThreadsAtFullSpeed) {
  ValueHistory values;
  std::mutex mutex;
  std::optional<std::string> stored;
  std::atomic<int> violations{0};
  std::vector<std::thread> threads;
  for (std::uint32_t client = 0; client < 4; ++client) {
    threads.emplace_back([&, client] {
      for (int i = 0; i < 3000; ++i) {
        Operation operation;
        operation.client = client;
        operation.kind = i % 3 == 0 ? Kind::set : i % 50 == 1 ? Kind::erase : Kind::get;
        operation.argument.append(std::to_string(client)).append("-").append(std::to_string(i));
        const std::uint64_t floor = values.version_floor();
        operation.invoked_ns = base::now();
        if (!is_read(operation)) values.write_begins(operation);
        {
          std::lock_guard lock(mutex);
          operation.applied = operation.kind != Kind::erase || stored.has_value();
          if (operation.kind == Kind::get) operation.result = stored;
          else if (operation.kind == Kind::set) stored = operation.argument;
          else stored.reset();
        }
        operation.returned_ns = base::now();
        if (values.ended(operation, floor)) ++violations;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(violations, 0);
}

}  // namespace
}  // namespace freshet::checker
