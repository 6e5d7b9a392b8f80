// Marks, fences and words for transactions of plain SQL, step by step: a storage in the test's hands answers the polls.
// tests/rows/plain_sql_test.cc has a real one.
#include "consistency/outside_writers.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>

namespace freshet::consistency {
namespace {

using storage::PassesHeard;
using storage::PassRequests;

// Keeps calls for the test to answer.
class Calls final : public storage::Storage {
 public:
  template <typename T>
  class Queue {
   public:
    void push(T call) {
      std::lock_guard lock(mutex_);
      calls_.push_back(std::move(call));
      changed_.notify_all();
    }
    T take() {
      std::unique_lock lock(mutex_);
      if (!changed_.wait_for(lock, std::chrono::seconds(20), [this] { return !calls_.empty(); })) {
        throw std::runtime_error("no call");
      }
      auto call = std::move(calls_.front());
      calls_.pop_front();
      return call;
    }
    bool idle() {
      std::lock_guard lock(mutex_);
      return calls_.empty();
    }

   private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<T> calls_;
  };
  struct Poll {
    PassRequests known;
    bool standing;
    storage::Callback<PassRequests> done;
  };
  struct Word {
    PassesHeard heard;
    storage::Callback<void> done;
  };
  struct Guard {
    base::SlotRange range;
    storage::Callback<void> done;
  };

  const storage::RowCollections* rows() const override { return &rows_; }
  void set_guard(base::SlotRange range, storage::Token, base::Nanoseconds, storage::Callback<void> done) override {
    guards.push({range, std::move(done)});
  }
  void pass_requests(const PassRequests& known, bool standing, base::Nanoseconds,
                     storage::Callback<PassRequests> done) override {
    polls.push({known, standing, std::move(done)});
  }
  void acknowledge_passes(const PassesHeard& heard, base::Nanoseconds, storage::Callback<void> done) override {
    words.push({heard, std::move(done)});
  }
  void read(std::vector<std::string>, base::Nanoseconds, storage::Callback<storage::ReadReply>) override { FAIL(); }
  void write(storage::WriteRequest, storage::Callback<storage::WriteReply>) override { FAIL(); }
  void scan(std::uint64_t, std::size_t, base::Nanoseconds, storage::Callback<storage::ScanReply>) override { FAIL(); }
  void count(base::Nanoseconds, storage::Callback<storage::KeyCount>) override { FAIL(); }
  void split_points(base::SlotRange, int, base::Nanoseconds, storage::Callback<std::vector<base::Slot>>) override { FAIL(); }
  void forget(std::vector<storage::Tombstone>) override { FAIL(); }
  void health(base::Nanoseconds, storage::Callback<storage::Health>) override { FAIL(); }

  Queue<Poll> polls;
  Queue<Word> words;
  Queue<Guard> guards;

 private:
  const storage::RowCollections rows_{{}};
};

class OutsideWritersTest : public ::testing::Test {
 protected:
  OutsideWritersTest()
      : loop_(std::make_unique<net::Loop>("outside-test")),
        guards_(calls_, *loop_, {}),
        writers_(calls_, *loop_, guards_, {}, {.poll_interval = base::kMillisecond},
                 {[this](const CellSet& cells) { opened_ |= cells; }, [this] { ++ended_; }}) {
    own(7);
  }
  ~OutsideWritersTest() override {
    writers_.stop();
    guards_.stop();
    loop_.reset();
  }
  // A new period, all guards set.
  void own(std::uint64_t period) {
    ownership::AssignmentChange change;
    if (slice_) {
      slice_->revoke();
      change.removed.push_back(slice_);
    }
    slice_ = new ownership::SliceHandle({0, base::kSlots - 1}, period, base::kForever);
    change.added.push_back(slice_);
    guards_.on_assignment_change(change);
    writers_.on_assignment_change(change);
    calls_.guards.take().done({});
  }
  // Answers the next poll, and waits until that has been taken in.
  void answer(std::uint64_t number, std::optional<std::vector<int>> cells, const std::string& server = "s") {
    calls_.polls.take().done(PassRequests{number, server, std::move(cells)});
    loop_->run([] {});
  }
  static base::Slot slot_of_cell(int cell) { return base::range_of_cell(cell).first; }

  Calls calls_;
  std::unique_ptr<net::Loop> loop_;
  Guards guards_;
  CellSet opened_;
  std::atomic<int> ended_{0};
  OutsideWriters writers_;
  ownership::SliceRef slice_;
};

TEST_F(OutsideWritersTest, a_cell_is_marked_then_fenced_then_acknowledged_and_let_go_when_nobody_stands_on_it) {
  answer(3, std::vector<int>{5});
  EXPECT_TRUE(writers_.is_marked(slot_of_cell(5)));
  EXPECT_FALSE(writers_.is_marked(slot_of_cell(6)));
  EXPECT_TRUE(opened_[5]);
  const auto fence = calls_.guards.take();
  EXPECT_EQ(fence.range, base::range_of_cell(5));
  EXPECT_FALSE(guards_.current(slot_of_cell(5), base::now()));
  answer(4, std::vector<int>{5});
  EXPECT_TRUE(calls_.words.idle()) << "not before the guards are there";
  fence.done({});
  const auto word = calls_.words.take();
  EXPECT_EQ(word.heard.cells, std::vector<int>{5});
  EXPECT_EQ(word.heard.number, 4u);
  EXPECT_EQ(word.heard.period, 7u);
  word.done({});
  auto poll = calls_.polls.take();
  EXPECT_TRUE(poll.standing);
  EXPECT_EQ(poll.known.number, 4u);
  poll.done(PassRequests{5, "s", std::vector<int>{5}});
  EXPECT_EQ(calls_.words.take().heard.number, 5u) << "another request: no further fence";
  EXPECT_TRUE(calls_.guards.idle());
  EXPECT_EQ(ended_, 0);
  answer(5, std::vector<int>{});
  EXPECT_FALSE(writers_.is_marked(slot_of_cell(5)));
  EXPECT_EQ(writers_.mark_of(slot_of_cell(5)), 2u);
  EXPECT_EQ(ended_, 1);
  EXPECT_EQ(writers_.stats().requests, 2u) << "since the first answer";
  EXPECT_EQ(writers_.stats().cells, 1u);
}

TEST_F(OutsideWritersTest, a_fence_of_an_earlier_mark_does_not_count) {
  answer(1, std::vector<int>{5});
  const auto early = calls_.guards.take();
  answer(1, std::vector<int>{});
  answer(2, std::vector<int>{5});
  early.done({});
  loop_->run([] {});
  answer(2, std::vector<int>{5});
  const auto late = calls_.guards.take();
  EXPECT_TRUE(calls_.words.idle());
  late.done({});
  EXPECT_EQ(calls_.words.take().heard.number, 2u);
}

TEST_F(OutsideWritersTest, failures_change_no_mark_and_a_lost_word_is_given_again) {
  answer(1, std::vector<int>{5});
  calls_.guards.take().done({});
  calls_.words.take().done(Error::of(ErrorCode::unavailable, "lost"));
  calls_.polls.take().done(Error::of(ErrorCode::unavailable, "no answer"));
  loop_->run([] {});
  EXPECT_TRUE(writers_.is_marked(slot_of_cell(5)));
  answer(1, std::vector<int>{5});
  EXPECT_EQ(calls_.words.take().heard.number, 1u);
}

TEST_F(OutsideWritersTest, who_waits_for_a_mark_goes_on_at_its_end_or_when_it_is_stopped) {
  int gone_on = 0;
  const auto go_on = [&] { ++gone_on; };
  EXPECT_TRUE(writers_.wait(slot_of_cell(5), go_on));
  EXPECT_EQ(gone_on, 1) << "there is none";
  answer(1, std::vector<int>{5, 6});
  EXPECT_TRUE(writers_.wait(slot_of_cell(5), go_on));
  EXPECT_TRUE(writers_.wait(slot_of_cell(6), go_on));
  EXPECT_EQ(gone_on, 1);
  answer(1, std::vector<int>{6});
  EXPECT_EQ(gone_on, 2);
  writers_.stop();
  EXPECT_EQ(gone_on, 3);
  EXPECT_FALSE(writers_.wait(slot_of_cell(6), go_on));
}

TEST_F(OutsideWritersTest, words_are_given_again_in_another_period_and_to_another_server) {
  answer(6, std::vector<int>{5});
  calls_.guards.take().done({});
  calls_.words.take().done({});
  own(8);
  answer(6, std::vector<int>{5});
  auto word = calls_.words.take();
  EXPECT_EQ(word.heard.period, 8u);
  word.done({});
  answer(1, std::vector<int>{5}, "after a crash");
  word = calls_.words.take();
  EXPECT_EQ(word.heard.number, 1u);
  EXPECT_EQ(word.heard.server, "after a crash");
}

}  // namespace
}  // namespace freshet::consistency
