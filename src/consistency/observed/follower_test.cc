// The follower on a real event loop, called from many threads, over a storage that answers at once. The promises under
// faults are tried in simulation_test.cc.
#include "consistency/observed/follower.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "base/slot.h"
#include "consistency/observed/simulation_steps.h"

namespace freshet::consistency {
namespace {

constexpr base::Nanoseconds kLong = 10 * base::kSecond;

// One table "a" whose rows all hold the same number.
class Counter final : public storage::ObservedStorage {
 public:
  explicit Counter(net::Loop& loop) : loop_(loop) {}
  ~Counter() override { *alive_ = false; }

  void follow(storage::StreamListener& listener) override {
    listener_ = &listener;
    if (!reachable) return;
    later([this] {
      storage::Description description;
      description.collections.push_back({{}, std::make_shared<const storage::RowShape>(), "v0", "a"});
      description.fingerprint = "v0";
      listener_->on_described(description);
      listener_->on_stream_started({identity_, false, next_xid_});
      listener_->on_position(position_);
    });
  }
  // Commits: the stream hears of it, and it is visible. On the loop's thread.
  void set(int value) {
    value_ = std::to_string(value);
    const auto xid = static_cast<storage::Xid>(next_xid_++);
    later([this, xid, begin = position_, end = position_ + 10, now = value_] {
      listener_->on_begin(xid, begin);
      listener_->on_change({storage::Change::Kind::put, 0, "a:1", now});
      listener_->on_commit(xid, end);
    });
    position_ += 10;
  }
  void confirm(storage::Lsn) override {}
  void reload() override {}
  void describe(std::vector<storage::CollectionSpec>) override {}
  void nudge() override {}
  void probe(base::Nanoseconds, storage::Callback<storage::ProbeReply> done) override {
    later([this, done] {
      if (reachable) done(storage::ProbeReply{snapshot(), position_, "v0", identity_});
    });
  }
  void fill(storage::CollectionId, std::vector<std::string> keys, base::Nanoseconds,
            storage::Callback<storage::FillReply> done) override {
    later([this, count = keys.size(), done] {
      storage::FillReply reply;
      reply.values.assign(count, {{}, true, value_, false});
      reply.snapshot = snapshot();
      reply.position = position_;
      reply.identity = identity_;
      done(std::move(reply));
    });
  }
  void fill_together(std::vector<std::pair<storage::CollectionId, std::string>> keys, base::Nanoseconds deadline,
                     storage::Callback<storage::FillReply> done) override {
    fill(0, std::vector<std::string>(keys.size()), deadline, std::move(done));
  }
  void position(base::Nanoseconds, storage::Callback<std::pair<storage::Identity, storage::Lsn>> done) override {
    later([this, done] { done(std::pair(identity_, position_)); });
  }
  bool probes_insert_position() const override { return false; }
  storage::StreamStatus status() const override { return {}; }

  bool reachable = true;

 private:
  storage::Snapshot snapshot() const { return {next_xid_, next_xid_, {}}; }
  void later(std::function<void()> task) {
    loop_.post([alive = alive_, task = std::move(task)] {
      if (*alive) task();
    });
  }

  net::Loop& loop_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  storage::StreamListener* listener_ = nullptr;
  const storage::Identity identity_{"7001", "00000001", "then"};
  storage::FullXid next_xid_ = 100;
  storage::Lsn position_ = 1000;
  std::string value_ = "0";
};

class FollowerTest : public ::testing::Test {
 protected:
  FollowerTest() : loop_(std::make_unique<net::Loop>("follower-test")), table_(options()) {}
  ~FollowerTest() override { stop(); }

  Follower& follow(bool reachable = true) {
    storage::CollectionSpec spec;
    spec.name = spec.table = "a";
    follower_ = std::make_unique<Follower>(
        table_, *loop_,
        [&](net::Loop& loop) {
          auto counter = std::make_unique<Counter>(loop);
          counter->reachable = reachable;
          counter_ = counter.get();
          return counter;
        },
        std::vector{spec});
    return *follower_;
  }
  void stop() {
    if (follower_ && loop_) follower_->stop();
    loop_.reset();
  }
  void set(int value) {
    loop_->run([&] { counter_->set(value); });
  }
  Result<std::vector<ObservedAnswer>> read(ReadPromise promise, base::Nanoseconds patience = kLong) {
    std::promise<Result<std::vector<ObservedAnswer>>> answer;
    follower_->read({{0, "a:1"}}, std::move(promise), base::now() + patience,
                    [&](Result<std::vector<ObservedAnswer>> result) { answer.set_value(std::move(result)); });
    return answer.get_future().get();
  }
  // A read that comes before the stream has started is not cached.
  void warm_up() {
    ASSERT_TRUE(read({}));
    ASSERT_TRUE(read({}));
  }
  // As a server does it.
  std::optional<int> hit(const ReadPromise& promise) {
    std::optional<int> value;
    table_.visit("a:1", base::hash_of("a:1"), [&](const memory::Entry& entry) {
      if (follower_->age_if_fresh(entry, promise, base::now())) value = std::stoi(std::string(entry.value()));
    });
    return value;
  }
  SessionToken token() {
    std::promise<Result<SessionToken>> token;
    follower_->token(base::now() + kLong, [&](Result<SessionToken> result) { token.set_value(std::move(result)); });
    return token.get_future().get().value();
  }
  Result<void> wait(SessionToken token) {
    std::promise<Result<void>> over;
    follower_->wait(std::move(token), base::now() + kLong, [&](Result<void> result) { over.set_value(std::move(result)); });
    return over.get_future().get();
  }

  static memory::TableOptions options() {
    memory::TableOptions options;
    options.shards = 4;
    options.policy = [](std::size_t) { return std::make_unique<memory::SettlingFifo>(); };
    return options;
  }

  std::unique_ptr<net::Loop> loop_;
  memory::Table table_;
  Counter* counter_ = nullptr;
  std::unique_ptr<Follower> follower_;
};

TEST_F(FollowerTest, ManyThreadsNeverReadWhatIsOlderThanAskedFor) {
  follow();
  std::atomic<int> acknowledged{0};
  std::atomic<bool> over{false};
  std::vector<std::thread> readers;
  for (int thread = 0; thread < 3; ++thread) {
    readers.emplace_back([&] {
      int seen = 0;
      while (!over) {
        const int before = acknowledged;
        const auto answer = read({});
        ASSERT_TRUE(answer) << answer.error().what;
        EXPECT_GE(std::stoi(answer->front().value), before);
        const auto bounded = hit({storage::Level::bounded, 20 * base::kMillisecond, {}});
        if (!bounded) continue;
        EXPECT_GE(*bounded, seen);
        seen = *bounded;
      }
    });
  }
  for (int value = 1; value <= 2000; ++value) {
    set(value);
    acknowledged = value;
    if (value % 100 == 0) follower_->evict("a:1");
    if (value % 500 == 0) follower_->evict_collection(0);
  }
  over = true;
  for (std::thread& reader : readers) reader.join();
  const FollowerStats stats = follower_->stats();
  EXPECT_GT(stats.hits, 0u);
  EXPECT_GT(stats.fills_cached, 0u);
}

TEST_F(FollowerTest, ATokenIncludesWhatWasWrittenBefore) {
  follow();
  warm_up();
  set(17);
  const SessionToken now = token();
  ASSERT_TRUE(wait(now));
  EXPECT_EQ(hit({storage::Level::session, 0, now}), 17);
  EXPECT_EQ(read({storage::Level::session, 0, now})->front().value, "17");
}

TEST_F(FollowerTest, ATokenOfAnotherHistoryIsRefusedWithBothNames) {
  follow();
  ASSERT_TRUE(read({}));
  const auto answer = read({storage::Level::session, 0, {"8002", "00000003", 5, 0}});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(answer.error().what.find("8002"), std::string::npos);
  EXPECT_NE(answer.error().what.find("7001"), std::string::npos);
}

TEST_F(FollowerTest, WithoutTheDatabaseReadsFailInTimeAndSayWhatTheyAskedFor) {
  follow(false);
  const base::Nanoseconds begun = base::now();
  const auto answer = read({}, 50 * base::kMillisecond);
  EXPECT_LT(base::now() - begun, 5 * base::kSecond);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::stale);
  EXPECT_EQ(answer.error().what.rfind("age=unknown asked=linearizable", 0), 0u) << answer.error().what;
}

TEST_F(FollowerTest, StoppingAnswersReadsThatWait) {
  follow(false);
  std::promise<Result<std::vector<ObservedAnswer>>> answer;
  follower_->read({{0, "a:1"}}, {}, base::now() + kLong,
                  [&](Result<std::vector<ObservedAnswer>> result) { answer.set_value(std::move(result)); });
  stop();
  const auto result = answer.get_future().get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::unavailable);
}

TEST_F(FollowerTest, EvictionSaysHowManyLeft) {
  follow();
  warm_up();
  EXPECT_EQ(follower_->evict("a:1"), 1u);
  EXPECT_EQ(follower_->evict("a:1"), 0u);
  ASSERT_TRUE(read({}));
  EXPECT_EQ(follower_->evict_if([](std::string_view key) { return key == "a:1"; }), 1u);
  ASSERT_TRUE(read({}));
  EXPECT_EQ(follower_->evict_collection(0), 1u);
}

TEST_F(FollowerTest, ExplainsAKey) {
  follow();
  warm_up();
  const auto said = follower_->explain("a:1");
  EXPECT_NE(std::find(said.begin(), said.end(), std::pair<std::string, std::string>("cached", "yes")), said.end());
  EXPECT_EQ(follower_->explain("none").front().first, "collection");
}

}  // namespace
}  // namespace freshet::consistency
