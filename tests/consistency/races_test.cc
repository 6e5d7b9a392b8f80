// The races of the design, played step by step on real storage: each with its protection, where the history must be
// linearizable, and with the protection taken away, where the checker must find the anomaly that it rules out.
// docs/CONSISTENCY.md draws these races; the names here are the names there.
#include <gtest/gtest.h>

#include <functional>

#include "cache/composed_engine.h"
#include "cache/transaction.h"
#include "checker/history/judge.h"
#include "fleet.h"
#include "held_storage.h"
#include "recorded_client.h"
#include "storage/embedded/embedded_storage.h"
#include "temporary_directory.h"
#include "test_engine.h"

namespace freshet::testing {
namespace {

using Kind = HeldStorage::Kind;
using consistency::Protections;

// Long enough that nothing happens by itself unless a scene wants it to.
constexpr auto kLongLease = 30 * base::kSecond;
constexpr auto kShortLease = 300 * base::kMillisecond;
constexpr auto kNoTimeout = 60 * base::kSecond;
constexpr auto kShortTimeout = 300 * base::kMillisecond;
// For what comes by itself, however busy the machine is.
constexpr auto kPatience = 30 * base::kSecond;
const std::string kKey = "account";

// A node whose every call to storage can be held by the script.
struct Node {
  Node(Fleet& fleet, int index, std::shared_ptr<storage::Storage> shared, Protections protections,
       base::Nanoseconds guard_timeout) {
    cache::EngineParts parts;
    auto held = std::make_unique<HeldStorage>(std::move(shared));
    storage = held.get();
    parts.storage = std::move(held);
    parts.ownership = fleet.member(index);
    parts.protections = protections;
    parts.limits.guards.call_timeout = guard_timeout;
    cache::EngineOptions options;
    options.memory_bytes = 16 << 20;
    engine = std::make_unique<cache::ComposedEngine>(options, std::move(parts));
  }
  HeldStorage* storage;
  std::unique_ptr<cache::ComposedEngine> engine;
};

class Races : public ::testing::TestWithParam<bool> {
 protected:
  static constexpr int kSlice = 0;

  // Protected or not: the parameter of the test.
  bool is_protected() const { return GetParam(); }

  struct Scene {
    Protections protections = {};
    bool skip_guard_check = false;
    base::Nanoseconds lease = kLongLease;
    base::Nanoseconds guard_timeout = kNoTimeout;
  };

  void open(const Scene& scene) {
    storage::embedded::EmbeddedOptions options;
    options.directory = directory_.path();
    options.durability = storage::embedded::Durability::relaxed;
    options.skip_guard_check = scene.skip_guard_check;
    auto opened = storage::embedded::EmbeddedStorage::open(options);
    ASSERT_TRUE(opened) << opened.error().what;
    shared_ = std::move(*opened);
    fleet_ = std::make_unique<Fleet>(2, 1, scene.lease);
    a_ = std::make_unique<Node>(*fleet_, 0, shared_, scene.protections, scene.guard_timeout);
    b_ = std::make_unique<Node>(*fleet_, 1, shared_, scene.protections, scene.guard_timeout);
  }

  void TearDown() override {
    a_.reset();
    b_.reset();
    fleet_.reset();
  }

  // Runs an operation to its end and keeps it in the history.
  checker::Operation done(Pending pending) {
    history_.push_back(pending.finish());
    return history_.back();
  }
  // A write that must be acknowledged: the scene's beginning.
  void write(Node& node, const std::string& value) {
    ASSERT_EQ(done(client_.set(*node.engine, kKey, value)).outcome, checker::Outcome::ok);
  }
  void read(Node& node) { done(client_.get(*node.engine, kKey)); }
  // Reads until the value is in the node's memory, so that what follows is a hit: the guard comes in the background, and
  // nothing is cached before.
  void warm(Node& node) {
    const auto deadline = base::now() + kPatience;
    while (base::now() < deadline) {
      if (done(client_.get(*node.engine, kKey)).source == checker::Source::memory) return;
      std::this_thread::yield();
    }
    FAIL() << "the key was never cached";
  }

  // A write on its way to storage, in the script's hands.
  struct Sent {
    Pending pending;
    std::shared_ptr<HeldCall> call;
  };
  static Sent send_held(Node& node, const std::function<Pending()>& write) {
    node.storage->hold(Kind::write, true);
    Sent sent{write(), nullptr};
    sent.call = node.storage->next(Kind::write);
    node.storage->hold(Kind::write, false);
    return sent;
  }
  Sent send_set(Node& node, const std::string& value, base::Nanoseconds timeout = 2 * base::kSecond) {
    return send_held(node, [&] { return other_.set(*node.engine, kKey, value, timeout); });
  }
  Sent send_increment(Node& node) {
    return send_held(node, [&] { return client_.increment(*node.engine, kKey); });
  }
  // Its answer is lost on the way back.
  static void lose(const Sent& sent) {
    sent.call->answer(Error::of(ErrorCode::unknown_outcome, "the connection was lost"));
  }

  // The verdict on the whole history: legal with the protection, a violation without.
  void judge() {
    const auto verdict = checker::check_key(history_);
    if (is_protected()) {
      EXPECT_EQ(verdict.verdict, checker::Verdict::legal) << checker::report_of(verdict.reason, verdict.offending);
    } else {
      EXPECT_EQ(verdict.verdict, checker::Verdict::violation) << checker::render_timeline(history_);
    }
  }

  TemporaryDirectory directory_;
  std::shared_ptr<storage::Storage> shared_;
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<Node> a_, b_;
  RecordedClient client_{0};
  RecordedClient other_{1};
  std::vector<checker::Operation> history_;
};

INSTANTIATE_TEST_SUITE_P(Protection, Races, ::testing::Values(true, false),
                         [](const auto& protection) { return protection.param ? "on" : "off"; });

// A's transaction reads; the slice moves to B, which writes, and back; the transaction writes what it made of its reading.
TEST_P(Races, ATransactionWritesInThePeriodInWhichItRead) {
  Protections protections;
  protections.bound_locks = is_protected();
  open({.protections = protections});
  write(*a_, "10");
  auto begun = freshet::testing::future_of<std::shared_ptr<cache::Transaction>>(
      [&](auto tell) { a_->engine->begin({kKey}, base::kForever, std::move(tell)); });
  auto transaction = freshet::testing::take(begun);
  ASSERT_TRUE(transaction) << transaction.error().what;
  ASSERT_EQ((*transaction)->readings().at(kKey).value, "10");
  fleet_->move(kSlice, 1, Fleet::Manner::announced);
  write(*b_, "1000");
  fleet_->move(kSlice, 0, Fleet::Manner::announced);
  warm(*a_);
  auto committed = freshet::testing::future_of<storage::WriteReply>([&](auto tell) {
    (*transaction)->commit({freshet::testing::put_of(kKey, "11")}, base::kForever, std::move(tell));
  });
  const auto reply = freshet::testing::take(committed);
  EXPECT_EQ(static_cast<bool>(reply), !is_protected());
  EXPECT_EQ(reply ? ErrorCode::not_owner : reply.error().code, ErrorCode::not_owner);
  auto stored = freshet::testing::future_of<storage::ReadReply>(
      [&](auto tell) { shared_->read({kKey}, base::kForever, std::move(tell)); });
  const auto now = freshet::testing::take(stored);
  EXPECT_EQ(now->states.front().value, is_protected() ? "1000" : "11") << "B's write was acknowledged";
}

// A sends a write; the slice moves to B; B reads the old value and caches it; A's write arrives.
TEST_P(Races, DelayedWriteIsRefusedByTheGuardCheck) {
  open({.skip_guard_check = !is_protected()});
  write(*a_, "old");
  auto late = send_set(*a_, "new");
  fleet_->move(kSlice, 1, Fleet::Manner::announced);
  warm(*b_);
  late.call->execute();
  late.call->reply();
  done(std::move(late.pending));
  read(*b_);
  judge();
}

// A's set_guard of an earlier period is answered after the slice went to B and came back: B's write is not fenced by it.
TEST_P(Races, Rule1GuardOfAnEarlierPeriodDoesNotCount) {
  Protections protections;
  protections.ownership_contained = is_protected();
  open({.protections = protections});
  write(*a_, "old");
  fleet_->move(kSlice, 1, Fleet::Manner::announced);
  a_->storage->hold(Kind::set_guard, true);
  fleet_->move(kSlice, 0, Fleet::Manner::announced);
  auto early = a_->storage->next(Kind::set_guard);
  early->execute();
  fleet_->move(kSlice, 1, Fleet::Manner::announced);
  warm(*b_);
  auto late = send_set(*b_, "new");
  a_->storage->hold(Kind::set_guard, false);
  fleet_->move(kSlice, 0, Fleet::Manner::announced);
  early->reply();
  warm(*a_);
  late.call->execute();
  late.call->reply();
  done(std::move(late.pending));
  read(*a_);
  judge();
}

// Two set_guard calls outstanding: the late answer of the first is taken for a fresh guard that fences a lost write.
TEST_P(Races, Rule2LateAnswerOfACallGivenUpDoesNotCount) {
  Protections protections;
  protections.non_overlapping = is_protected();
  open({.protections = protections, .guard_timeout = kShortTimeout});
  fleet_->move(kSlice, 1, Fleet::Manner::announced);
  a_->storage->hold(Kind::set_guard, true);
  fleet_->move(kSlice, 0, Fleet::Manner::announced);
  auto first = a_->storage->next(Kind::set_guard);
  first->execute();
  auto second = a_->storage->next(Kind::set_guard);  // The first was given up.
  second->execute();
  second->reply();
  auto lost = send_set(*a_, "lost", 500 * base::kMillisecond);
  lose(lost);
  auto third = a_->storage->next(Kind::set_guard);  // The fence: not executed yet.
  first->reply();
  const auto answer = done(std::move(lost.pending));
  lost.call->execute();
  read(*a_);
  if (is_protected()) {
    EXPECT_EQ(answer.outcome, checker::Outcome::unknown);
  }
  judge();
  a_->storage->hold(Kind::set_guard, false);
}

// A set_guard call given up and sent again with the same token: the first arrives after B's, and A's old write with it.
TEST_P(Races, Rule3TokenOfARetryIsFresh) {
  Protections protections;
  protections.unique_tokens = is_protected();
  open({.protections = protections, .guard_timeout = kShortTimeout});
  write(*a_, "old");
  fleet_->move(kSlice, 1, Fleet::Manner::announced);
  a_->storage->hold(Kind::set_guard, true);
  fleet_->move(kSlice, 0, Fleet::Manner::announced);
  auto first = a_->storage->next(Kind::set_guard);
  auto second = a_->storage->next(Kind::set_guard);
  second->execute();
  second->reply();
  a_->storage->hold(Kind::set_guard, false);
  auto late = send_set(*a_, "new");
  fleet_->move(kSlice, 1, Fleet::Manner::announced);
  warm(*b_);
  first->execute();
  late.call->execute();
  late.call->reply();
  done(std::move(late.pending));
  read(*b_);
  judge();
}

// A read has its value from storage; a write comes and goes; then the read caches what it brought.
TEST_P(Races, ReadThatAWriteOverlappedIsNotCached) {
  Protections protections;
  protections.overlapped = is_protected();
  open({.protections = protections});
  write(*a_, "old");
  a_->engine->evict(kKey);
  a_->storage->hold(Kind::read, true);
  auto slow = other_.get(*a_->engine, kKey);
  auto call = a_->storage->next(Kind::read);
  call->execute();
  a_->storage->hold(Kind::read, false);
  write(*a_, "new");
  call->reply();
  done(std::move(slow));
  read(*a_);
  judge();
}

// Two writes at once: storage orders them one way, their answers come the other way. Only the newest by version may stay.
TEST_P(Races, OfOverlappingWritesOnlyTheNewestIsCached) {
  Protections protections;
  protections.overlapped = is_protected();
  open({.protections = protections});
  write(*a_, "start");
  a_->storage->hold(Kind::write, true);
  auto first = client_.set(*a_->engine, kKey, "first");
  auto first_call = a_->storage->next(Kind::write);
  auto second = other_.set(*a_->engine, kKey, "second");
  auto second_call = a_->storage->next(Kind::write);
  a_->storage->hold(Kind::write, false);
  first_call->execute();
  second_call->execute();
  second_call->reply();
  first_call->reply();
  done(std::move(first));
  done(std::move(second));
  const auto after = done(client_.get(*a_->engine, kKey));
  if (is_protected()) {
    EXPECT_EQ(after.source, checker::Source::memory);
    EXPECT_EQ(after.result, "second");
  }
  judge();
}

// A's lease runs out while A believes in it; B owns and writes; A is asked.
TEST_P(Races, HitNeedsALeaseThatIsNotOver) {
  Protections protections;
  protections.lease_check = is_protected();
  open({.protections = protections, .lease = kShortLease});
  write(*a_, "old");
  warm(*a_);
  fleet_->let_lapse(kSlice);
  fleet_->give(kSlice, 1);
  write(*b_, "new");
  read(*a_);
  judge();
}

// An increment whose answer was lost is still under way when it is taken for lost and sent again.
TEST_P(Races, LostWriteIsFencedBeforeItIsSentAgain) {
  Protections protections;
  protections.fence_unknown = is_protected();
  open({.protections = protections});
  auto lost = send_increment(*a_);
  lose(lost);
  EXPECT_EQ(done(std::move(lost.pending)).outcome, checker::Outcome::ok);
  lost.call->execute();
  a_->engine->evict(kKey);
  read(*a_);
  judge();
}

// A's increment lands and its answer is lost. While A looks for it, the slice moves to B, whose increment takes its place.
TEST_P(Races, LostWriteThatTheNextOwnerOverwroteIsUnknown) {
  Protections protections;
  protections.lease_check = is_protected();
  open({.protections = protections});
  auto lost = send_increment(*a_);
  lost.call->execute();
  a_->storage->hold(Kind::read, true);
  lose(lost);
  auto search = a_->storage->next(Kind::read);
  a_->storage->hold(Kind::read, false);
  fleet_->move(kSlice, 1, Fleet::Manner::announced);
  EXPECT_EQ(done(other_.increment(*b_->engine, kKey)).result, "2");
  search->execute();
  search->reply();
  done(std::move(lost.pending));
  read(*b_);
  judge();
}

// The same, but the slice has come back to A before the loss is noticed: A's new guard does not speak for the old period.
TEST_P(Races, LostWriteOfAnEarlierPeriodIsNotSentAgain) {
  Protections protections;
  protections.lease_check = is_protected();
  open({.protections = protections});
  auto lost = send_increment(*a_);
  lost.call->execute();
  fleet_->move(kSlice, 1, Fleet::Manner::announced);
  EXPECT_EQ(done(other_.increment(*b_->engine, kKey)).result, "2");
  fleet_->move(kSlice, 0, Fleet::Manner::announced);
  lose(lost);
  done(std::move(lost.pending));
  read(*a_);
  judge();
}

// The same, when it did land: its operation id is found, and it is not sent again.
TEST_P(Races, LostWriteThatLandedIsFoundByItsId) {
  open({});
  auto lost = send_increment(*a_);
  lost.call->execute();
  lose(lost);
  const auto answer = done(std::move(lost.pending));
  EXPECT_EQ(answer.outcome, checker::Outcome::ok);
  EXPECT_EQ(answer.result, "1");
  EXPECT_EQ(done(client_.get(*a_->engine, kKey)).result, "1");
  EXPECT_EQ(a_->engine->stats().unknown_resolved, 1u);
}

}  // namespace
}  // namespace freshet::testing
