// The tracker step by step, over a storage that answers when the test says so: what a new start, a crash and a new
// description leave of what was known before.
#include "consistency/observed/tracker.h"

#include <gtest/gtest.h>

#include "base/slot.h"
#include "consistency/observed/simulation_steps.h"

namespace freshet::consistency {
namespace {

using Kind = storage::Change::Kind;

// Keeps what it is asked.
class Scripted final : public storage::ObservedStorage {
 public:
  void follow(storage::StreamListener&) override {}
  void confirm(storage::Lsn) override {}
  void describe(std::vector<storage::CollectionSpec>) override {}
  void reload() override {}
  void nudge() override {}
  void probe(base::Nanoseconds, storage::Callback<storage::ProbeReply>) override {}
  void fill(storage::CollectionId, std::vector<std::string>, base::Nanoseconds,
            storage::Callback<storage::FillReply> done) override {
    fills.push_back(std::move(done));
  }
  void fill_together(std::vector<std::pair<storage::CollectionId, std::string>>, base::Nanoseconds,
                     storage::Callback<storage::FillReply> done) override {
    fills.push_back(std::move(done));
  }
  void position(base::Nanoseconds, storage::Callback<std::pair<storage::Identity, storage::Lsn>>) override {}
  bool probes_insert_position() const override { return false; }
  storage::StreamStatus status() const override { return {}; }

  std::vector<storage::Callback<storage::FillReply>> fills;
};

class Clock final : public Host {
 public:
  base::Nanoseconds now() const override { return now_; }
  void wake_at(base::Nanoseconds) override {}
  void sweep(EpochRef) override {}
  void pass() { now_ += base::kMillisecond; }

 private:
  base::Nanoseconds now_ = base::kSecond;
};

// One table "a" of rows; the stream runs, and what was committed before xid 100 is visible.
class TrackerTest : public ::testing::Test {
 protected:
  TrackerTest() : tracker_({table_, clock_, storage_, published_, specs_, {}, {}}) {
    describe(1, 100);
    start(false, 100);
    tracker_.on_position(1000);
    fill();
    answer({100, 100, {}});
    evict();
  }

  static std::vector<storage::CollectionSpec> specs() {
    std::vector<storage::CollectionSpec> specs(1);
    specs[0].name = specs[0].table = "a";
    return specs;
  }
  static memory::TableOptions options() {
    memory::TableOptions options;
    options.shards = 1;
    options.policy = [](std::size_t) { return std::make_unique<memory::SettlingFifo>(); };
    return options;
  }
  void describe(std::size_t columns, storage::FullXid first) {
    clock_.pass();
    auto shape = std::make_shared<storage::RowShape>();
    shape->columns.resize(columns);
    storage::Description description;
    description.fingerprint = std::to_string(columns);
    description.collections.push_back({{}, shape, description.fingerprint, "a"});
    description.first_xid = first;
    tracker_.on_described(description);
  }
  void start(bool continuous, storage::FullXid first) {
    clock_.pass();
    tracker_.on_stream_started({identity_, continuous, first});
  }
  void change(storage::Xid xid, storage::Lsn commit) {
    tracker_.on_begin(xid, commit);
    tracker_.on_change({Kind::put, 0, "a:1", "new"});
    tracker_.on_commit(xid, commit + 10);
  }
  void evict() { tracker_.evict("a:1"); }
  void fill(storage::Level level = storage::Level::linearizable, const std::string& key = "a:1") {
    clock_.pass();
    const std::size_t count = level == storage::Level::snapshot ? 2 : 1;
    ReadRequest request{std::vector<ObservedKey>(count, {0, key}), {level, 0, {}}, clock_.now() + base::kSecond, {}};
    request.done = [this](const Result<std::vector<ObservedAnswer>>& answers) {
      ASSERT_TRUE(answers) << answers.error().what;
      answers_ = *answers;
    };
    std::vector<ReadRequest> requests;
    requests.push_back(std::move(request));
    tracker_.read(std::move(requests));
  }
  // The row bears the mark of a transaction, or not.
  void answer(const storage::Snapshot& snapshot, std::size_t count = 1, bool marked = true) {
    clock_.pass();
    ASSERT_FALSE(storage_.fills.empty());
    storage::FillReply reply;
    reply.values.assign(count, {{}, true, "old", marked});
    reply.snapshot = snapshot;
    reply.position = 1000;
    reply.identity = identity_;
    const auto done = std::move(storage_.fills.front());
    storage_.fills.erase(storage_.fills.begin());
    done(std::move(reply));
  }
  std::optional<std::string> cached() {
    std::optional<std::string> value;
    table_.inspect("a:1", base::hash_of("a:1"), [&](const memory::Entry& entry) {
      if (static_cast<const CollectionEpoch*>(entry.witness())->is_live()) value = std::string(entry.value());
    });
    return value;
  }
  std::uint64_t held() const { return tracker_.stats().held_transactions; }

  const storage::Identity identity_{"7001", "00000001", "then"};
  const SpecList specs_{specs()};
  Clock clock_;
  Scripted storage_;
  memory::Table table_{options()};
  Published published_{1};
  std::vector<ObservedAnswer> answers_;
  Tracker tracker_;
};

TEST_F(TrackerTest, ARowThatATransactionFromBeforeMarksIsCachedOnceThatIsShown) {
  fill();
  answer({100, 100, {}});
  EXPECT_EQ(cached(), "old");
  evict();
  start(false, 120);
  tracker_.on_position(1000);
  fill();
  answer({110, 121, {110}});
  EXPECT_EQ(cached(), std::nullopt);
  fill();
  answer({121, 121, {}});
  EXPECT_EQ(cached(), "old");
}

// The number was drawn before the transaction began; the stream goes on and does not tell it again.
TEST_F(TrackerTest, WhatWasHeldAndForgottenIsFromBeforeTheStart) {
  change(150, 1000);
  ASSERT_EQ(held(), 1u);
  tracker_.on_stream_broken("what is published has changed");
  start(false, 120);
  tracker_.on_position(1020);
  ASSERT_EQ(held(), 0u);
  fill();
  answer({150, 151, {150}});
  EXPECT_EQ(cached(), std::nullopt);
  fill();
  answer({151, 151, {}});
  EXPECT_EQ(cached(), "old");
}

TEST_F(TrackerTest, ATransactionThatIsToldAroundADescriptionIsNotToldWhole) {
  tracker_.on_begin(150, 1000);
  describe(2, 140);
  tracker_.on_commit(150, 1010);
  fill();
  answer({150, 151, {150}});
  EXPECT_EQ(cached(), std::nullopt);
  tracker_.on_begin(151, 1010);
  tracker_.on_commit(151, 1020);
  fill();
  answer({151, 152, {151}});
  EXPECT_EQ(cached(), "old");
}

TEST_F(TrackerTest, AHeldRowOfBeforeIsNotPutIntoTheNewShape) {
  fill();
  answer({100, 100, {}});
  change(150, 1000);
  describe(2, 140);
  fill();
  answer({150, 151, {150}}, 1, false);
  ASSERT_EQ(cached(), "old");
  fill(storage::Level::linearizable, "a:2");
  answer({151, 151, {}});
  EXPECT_EQ(held(), 0u);
  EXPECT_EQ(cached(), std::nullopt);
}

TEST_F(TrackerTest, AfterABreakNoSnapshotOfBeforeShowsATransaction) {
  fill();
  answer({200, 200, {}});
  for (const bool continuous : {true, false}) {
    tracker_.on_stream_broken("the server crashed");
    start(continuous, 160);
    change(150, 1000);
    EXPECT_EQ(held(), 1u) << continuous;
    tracker_.on_stream_broken("and again");
    start(false, 160);
  }
}

TEST_F(TrackerTest, AnAnswerFromBeforeANewStartTeachesNothing) {
  fill();
  tracker_.on_stream_broken("the server crashed");
  start(false, 140);
  answer({200, 200, {}});
  EXPECT_EQ(cached(), std::nullopt);
  change(150, 1000);
  EXPECT_EQ(held(), 1u);
}

TEST_F(TrackerTest, ReadTogetherAValueHasTheShapeOfItsStatement) {
  tracker_.on_stream_broken("so that storage answers");
  fill(storage::Level::snapshot);
  describe(2, 140);
  answer({100, 100, {}}, 2);
  ASSERT_EQ(answers_.size(), 2u);
  for (const ObservedAnswer& answer : answers_) EXPECT_EQ(answer.shape->columns.size(), 1u);
}

}  // namespace
}  // namespace freshet::consistency
