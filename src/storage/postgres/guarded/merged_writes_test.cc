// Puts that wait in the queue travel as one transaction, and nothing of it shows but the speed: each has its own outcome.
//
// A gate is a trigger that holds puts of some keys back until the test lets them pass. One write connection stands behind
// the first gate, so that what is written meanwhile waits, and goes together afterwards.
#include <future>
#include <thread>

#include "storage/postgres/guarded/test_database.h"
#include "tcp_proxy.h"

namespace freshet::storage::postgres {
namespace {

using freshet::testing::database_of;
using freshet::testing::TcpProxy;

constexpr base::Nanoseconds kPatience = 30 * base::kSecond;
constexpr const char* kGateSql = R"sql(
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  WHILE NOT pg_try_advisory_xact_lock_shared(7, CASE WHEN NEW.key = 'gate1' THEN 1 ELSE 2 END) LOOP
    PERFORM pg_sleep(0.005);
  END LOOP;
  RETURN NEW;
END $$)sql";

std::string lock_class_sql(GuardDialect dialect) {
  return dialect == GuardDialect::advisory ? std::to_string(0x46524553) : std::string("NULL");
}

class MergedWrites : public ::testing::TestWithParam<GuardDialect> {
 protected:
  using Pending = std::future<Result<WriteReply>>;

  void SetUp() override {
    url_ = TemporaryPostgres::shared().create_database();
    open(url_);
    TemporaryPostgres::run(url_, kGateSql);
    TemporaryPostgres::run(url_, "CREATE TRIGGER gate BEFORE INSERT ON freshet.kv FOR EACH ROW "
                                 "WHEN (NEW.key IN ('gate1', 'gate2')) EXECUTE FUNCTION gate()");
    keeper_ = std::make_unique<SqlSession>(url_);
    token_ = Token::make();
    ASSERT_TRUE(calls().set_guard(kAllSlots, token_));
  }
  void open(const std::string& url) {
    auto options = options_for(url, GetParam());
    options.connections = kConnectionsMin;
    storage_.reset();
    storage_ = open_storage(options);
    ASSERT_TRUE(storage_);
  }
  BlockingStorage calls() { return BlockingStorage(*storage_); }

  Pending begin(const WriteRequest& request) {
    auto promise = std::make_shared<std::promise<Result<WriteReply>>>();
    storage_->write(request, [promise](Result<WriteReply> reply) { promise->set_value(std::move(reply)); });
    return promise->get_future();
  }
  void shut(int gate) { ASSERT_TRUE(keeper_->run("SELECT pg_advisory_lock(7, " + std::to_string(gate) + ")").ok); }
  void pass(int gate) { ASSERT_TRUE(keeper_->run("SELECT pg_advisory_unlock(7, " + std::to_string(gate) + ")").ok); }
  // Everything written after this waits in the queue until pass(1).
  void make_busy() {
    // The connection is there: what waited for it would travel together, too.
    ASSERT_TRUE(calls().write(request_of({put("first", "v", token_)})));
    shut(1);
    // One after the other, or they would travel together.
    busy_.push_back(begin(request_of({put("gate1", "v", token_)})));
    ASSERT_TRUE(wait_until("query LIKE '%freshet.put(%' AND wait_event = 'PgSleep'"));
    busy_.push_back(begin(request_of({put("behind", "v", token_)})));
  }
  bool wait_until(const std::string& condition) {
    const auto sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND "
                     "application_name = 'freshet:default:write' AND " + condition;
    const auto give_up = base::now() + kPatience;
    while (TemporaryPostgres::run(url_, sql).empty()) {
      if (base::now() > give_up) return false;
      std::this_thread::yield();
    }
    return true;
  }
  std::vector<WriteRequest> requests(int count, const std::string& value) {
    std::vector<WriteRequest> result;
    for (int i = 0; i < count; ++i) result.push_back(request_of({put("m" + std::to_string(i), value, token_)}));
    return result;
  }
  std::vector<Pending> begin_all(const std::vector<WriteRequest>& all) {
    std::vector<Pending> pending;
    for (const auto& request : all) pending.push_back(begin(request));
    return pending;
  }
  KeyState state_of(const std::string& key) {
    const auto reply = calls().read({key});
    EXPECT_TRUE(reply) << reply.error().what;
    return reply ? reply->states[0] : KeyState();
  }
  // In how many transactions the keys m… were written last.
  int transactions() {
    const auto sql = "SELECT count(DISTINCT xmin::text) FROM freshet.kv WHERE key LIKE 'm%'";
    return std::stoi(TemporaryPostgres::run(url_, sql)[0][0]);
  }

  std::string url_;
  std::unique_ptr<PostgresStorage> storage_;
  std::unique_ptr<SqlSession> keeper_;
  std::vector<Pending> busy_;
  Token token_;
};

TEST_P(MergedWrites, puts_that_wait_are_one_transaction_and_are_stored_exactly) {
  std::vector<Version> old_versions;
  for (const auto& request : requests(40, "old")) {
    old_versions.push_back((*calls().write(request))[0]->after.version);
  }
  make_busy();
  auto all = requests(40, "");
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& mutation = all[i].mutations[0];
    for (std::size_t n = 0; n < i * i; ++n) mutation.value += static_cast<char>(n * 7 + i);
    if (i % 3 == 0) mutation.expiry = {Expiry::Mode::at, 4'000'000'000'000 + static_cast<std::int64_t>(i)};
  }
  auto pending = begin_all(all);
  pass(1);
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    const auto& mutation = all[i].mutations[0];
    const auto reply = pending[i].get();
    ASSERT_TRUE(reply) << reply.error().what;
    const auto& after = (*reply)[0]->after;
    const auto stored = state_of(mutation.key);
    EXPECT_TRUE((*reply)[0]->applied);
    EXPECT_GT(after.version, old_versions[i]);
    EXPECT_EQ(stored.version, after.version);
    EXPECT_EQ(stored.operation, all[i].operation);
    EXPECT_EQ(stored.value, mutation.value);
    EXPECT_EQ(after.value, mutation.value);
    EXPECT_EQ(stored.expires_at_ms, mutation.expiry.ms);
    EXPECT_EQ(after.expires_at_ms, mutation.expiry.ms);
  }
  EXPECT_EQ(transactions(), 1);
}

TEST_P(MergedWrites, a_token_that_does_not_match_fails_its_own_write_only) {
  make_busy();
  auto all = requests(20, "v");
  all[7].mutations[0].token = Token::make();
  auto pending = begin_all(all);
  pass(1);
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    const auto reply = pending[i].get();
    EXPECT_EQ(bool(reply), i != 7);
    if (!reply) {
      EXPECT_EQ(reply.error().code, ErrorCode::guard_mismatch) << reply.error().what;
    }
    EXPECT_EQ(state_of(all[i].mutations[0].key).present, i != 7);
  }
}

TEST_P(MergedWrites, two_puts_of_one_key_are_two_writes) {
  make_busy();
  auto all = requests(10, "first");
  all.push_back(request_of({put("m3", "second", token_)}));
  auto pending = begin_all(all);
  pass(1);
  std::vector<Version> versions;
  for (auto& one : pending) {
    const auto reply = one.get();
    ASSERT_TRUE(reply) << reply.error().what;
    versions.push_back((*reply)[0]->after.version);
  }
  ASSERT_NE(versions[3], versions[10]);
  const auto stored = state_of("m3");
  const auto last = versions[3] > versions[10] ? 3u : 10u;
  EXPECT_EQ(stored.version, versions[last]);
  EXPECT_EQ(stored.operation, all[last].operation);
  EXPECT_EQ(stored.value, all[last].mutations[0].value);
  EXPECT_LE(transactions(), 2) << "the other nine travelled together";
}

TEST_P(MergedWrites, other_writes_and_large_ones_travel_alone) {
  make_busy();
  auto all = requests(6, "v");
  all[1].mutations[0].value.assign(300 * 1024, 'x');
  all[3].mutations[0] = freshet::testing::increment("m3", 5, token_);
  all[5].mutations[0].expiry = {Expiry::Mode::after, 3'600'000};
  auto pending = begin_all(all);
  pass(1);
  for (auto& one : pending) {
    const auto reply = one.get();
    ASSERT_TRUE(reply) << reply.error().what;
    EXPECT_TRUE((*reply)[0]->applied);
  }
  EXPECT_EQ(state_of("m1").value.size(), 300u * 1024);
  EXPECT_EQ(state_of("m3").value, "5");
  EXPECT_GT(state_of("m5").expires_at_ms, 0);
  EXPECT_EQ(transactions(), 4) << "m0, m2 and m4 together";
}

// The guard is replaced while the merged transaction waits for its lock.
TEST_P(MergedWrites, what_waited_for_set_guard_sees_the_new_token) {
  TemporaryPostgres::run(url_, "ALTER FUNCTION freshet.put_many SET lock_timeout = '20s'");
  make_busy();
  const auto all = requests(10, "stale");
  const auto slot = std::to_string(base::slot_of("m4"));
  SqlSession setter(url_);
  ASSERT_TRUE(setter.run("BEGIN").ok);
  ASSERT_TRUE(setter.run("SELECT freshet.set_guard(" + lock_class_sql(GetParam()) + ", 'default', " + slot + ", " + slot +
                         ", '" + Token::make().to_text() + "')").ok);
  auto pending = begin_all(all);
  pass(1);
  ASSERT_TRUE(wait_until("query LIKE '%put_many%' AND wait_event_type = 'Lock'"));
  ASSERT_TRUE(setter.run("COMMIT").ok);
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    const auto reply = pending[i].get();
    const bool stale = base::slot_of(all[i].mutations[0].key) == base::slot_of("m4");
    EXPECT_EQ(bool(reply), !stale);
    if (!reply) {
      EXPECT_EQ(reply.error().code, ErrorCode::guard_mismatch) << reply.error().what;
    }
    EXPECT_EQ(state_of(all[i].mutations[0].key).present, !stale);
  }
}

TEST_P(MergedWrites, the_function_refuses_snapshots_that_are_older_than_the_lock) {
  TemporaryPostgres::run(url_, "ALTER FUNCTION freshet.put_many SET lock_timeout = '20s'");
  const bool advisory = GetParam() == GuardDialect::advisory;
  const auto slot = std::to_string(base::slot_of("k"));
  const auto cell = std::to_string(base::cell_of(base::slot_of("k")));
  SqlSession setter(url_);
  SqlSession writer(url_);
  ASSERT_TRUE(writer.run("BEGIN ISOLATION LEVEL REPEATABLE READ").ok);
  ASSERT_TRUE(writer.run("SELECT count(*) FROM freshet.guard").ok);
  ASSERT_TRUE(setter.run("SELECT freshet.set_guard(" + lock_class_sql(GetParam()) + ", 'default', " + slot + ", " + slot +
                         ", '" + Token::make().to_text() + "')").ok);
  const auto outcome = writer.run(
      "SELECT * FROM freshet.put_many(" + lock_class_sql(GetParam()) + ", 'default', '{" + cell + "}', '{" + slot +
      "}', '{" + token_.to_text() + "}', ARRAY['k'::bytea], '{" + std::to_string(position_of("k")) +
      "}', ARRAY['v'::bytea], '{" + OperationId::make().to_text() + "}', '{0}')");
  EXPECT_EQ(outcome.state, advisory ? "FR002" : "40001") << outcome.message;
}

// Nine writes beside one whose row somebody holds.
TEST_P(MergedWrites, a_locked_row_holds_up_its_own_write) {
  for (const auto& request : requests(10, "old")) ASSERT_TRUE(calls().write(request));
  make_busy();
  SqlSession holder(url_);
  ASSERT_TRUE(holder.run("BEGIN").ok);
  ASSERT_TRUE(holder.run("SELECT 1 FROM freshet.kv WHERE key = 'm9' FOR UPDATE").ok);
  auto pending = begin_all(requests(10, "new"));
  pass(1);
  for (std::size_t i = 0; i < 9; ++i) {
    const auto reply = pending[i].get();
    ASSERT_TRUE(reply) << reply.error().what;
  }
  EXPECT_EQ(pending[9].wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  ASSERT_TRUE(holder.run("COMMIT").ok);
  const auto reply = pending[9].get();
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(state_of("m9").value, "new");
}

TEST_P(MergedWrites, each_has_its_own_deadline) {
  make_busy();
  shut(2);
  auto all = requests(10, "v");
  all.push_back(request_of({put("gate2", "v", token_)}));
  all[4].deadline = base::now() + base::kSecond;
  auto pending = begin_all(all);
  pass(1);
  const auto late = pending[4].get();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::unknown_outcome) << late.error().what;
  pass(2);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i == 4) continue;
    const auto reply = pending[i].get();
    EXPECT_TRUE(reply) << reply.error().what;
  }
}

TEST_P(MergedWrites, a_connection_cut_after_it_was_sent_leaves_every_outcome_unknown) {
  TcpProxy proxy(TemporaryPostgres::shared().port());
  open(TemporaryPostgres::shared().url_through(proxy.port(), database_of(url_)));
  make_busy();
  shut(2);
  auto all = requests(10, "v");
  all.push_back(request_of({put("gate2", "v", token_)}));
  auto pending = begin_all(all);
  pass(1);
  ASSERT_TRUE(wait_until("query LIKE '%put_many%' AND wait_event = 'PgSleep'"));
  for (auto& one : busy_) EXPECT_TRUE(one.get());
  proxy.set_mode(TcpProxy::Mode::swallow_replies);
  pass(2);
  ASSERT_TRUE(proxy.wait_for_swallowed(1));
  const auto stored = [&] { return TemporaryPostgres::run(url_, "SELECT 1 FROM freshet.kv WHERE key LIKE 'm%'").size(); };
  for (const auto give_up = base::now() + kPatience; stored() < 10 && base::now() < give_up;) std::this_thread::yield();
  proxy.cut();
  for (auto& one : pending) {
    const auto reply = one.get();
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, ErrorCode::unknown_outcome) << reply.error().what;
  }
  EXPECT_EQ(stored(), 10u);
  EXPECT_EQ(transactions(), 1) << "applied once, and never sent again";
  proxy.set_mode(TcpProxy::Mode::pass);
  proxy.cut();
}

INSTANTIATE_TEST_SUITE_P(Postgres, MergedWrites, ::testing::Values(GuardDialect::advisory, GuardDialect::for_share),
                         [](const auto& tested) {
                           return tested.param == GuardDialect::advisory ? "advisory" : "for_share";
                         });

}  // namespace
}  // namespace freshet::storage::postgres
