// What makes guards in PostgreSQL safe, each against a real server: isolation levels, delayed writers, promotion, stuck
// holders of locks.
#include <future>
#include <thread>

#include "storage/postgres/guarded/test_database.h"

namespace freshet::storage::postgres {
namespace {

class GuardDialects : public ::testing::TestWithParam<GuardDialect> {
 protected:
  void SetUp() override {
    url_ = TemporaryPostgres::shared().create_database();
    open();
    token_ = Token::make();
    ASSERT_TRUE(calls().set_guard(kAllSlots, token_));
  }
  void open(base::Nanoseconds guard_lock_timeout = 500 * base::kMillisecond,
            base::Nanoseconds guard_holder_limit = 2 * base::kSecond) {
    auto options = options_for(url_, GetParam());
    options.guard_lock_timeout = guard_lock_timeout;
    options.guard_holder_limit = guard_holder_limit;
    storage_.reset();
    storage_ = open_storage(options);
    ASSERT_TRUE(storage_);
  }
  BlockingStorage calls() { return BlockingStorage(*storage_); }
  std::string put_of(const std::string& key, const std::string& value, Token token) {
    return put_sql(key, value, token, GetParam());
  }
  std::string value_of(const std::string& key) {
    auto reply = calls().read({key});
    EXPECT_TRUE(reply) << reply.error().what;
    return reply && reply->states[0].present ? reply->states[0].value : "(absent)";
  }

  std::string url_;
  std::unique_ptr<PostgresStorage> storage_;
  Token token_;
};

// A writer that waited for set_guard: its transaction began before the new token was there.
TEST_P(GuardDialects, a_writer_that_waits_for_set_guard_sees_the_new_token_at_every_isolation_level) {
  struct Case {
    const char* level;
    std::string advisory_state;
    std::string for_share_state;
  };
  // With advisory locks, levels whose snapshot is older than the lock are refused before they can do harm.
  for (const auto& [level, advisory_state, for_share_state] :
       {Case{"READ COMMITTED", "FR001", "FR001"}, Case{"REPEATABLE READ", "FR002", "40001"},
        Case{"SERIALIZABLE", "FR002", "40001"}}) {
    SCOPED_TRACE(level);
    const bool advisory = GetParam() == GuardDialect::advisory;
    const auto next = Token::make();
    SqlSession setter(url_);
    SqlSession writer(url_);
    const auto lock_class = advisory ? std::to_string(0x46524553) : std::string("NULL");
    const auto slot = std::to_string(base::slot_of("k"));
    ASSERT_TRUE(setter.run("BEGIN").ok);
    ASSERT_TRUE(setter.run("SELECT freshet.set_guard(" + lock_class + ", 'default', " + slot + ", " + slot + ", '" +
                           next.to_text() + "')")
                    .ok);
    ASSERT_TRUE(writer.run(std::string("BEGIN ISOLATION LEVEL ") + level).ok);
    // The snapshot of the higher levels is taken here, before set_guard commits.
    ASSERT_TRUE(writer.run("SELECT count(*) FROM freshet.guard").ok);
    writer.start(put_of("k", "stale", token_));
    const bool refused_at_once = advisory && std::string(level) != "READ COMMITTED";
    if (!refused_at_once) {
      ASSERT_TRUE(wait_for_lock_waiter(url_, writer.process()));
    }
    ASSERT_TRUE(setter.run("COMMIT").ok);
    const auto outcome = writer.finish();
    EXPECT_FALSE(outcome.ok);
    EXPECT_EQ(outcome.state, advisory ? advisory_state : for_share_state) << outcome.message;
    writer.run("ROLLBACK");
    EXPECT_EQ(value_of("k"), "(absent)");
    token_ = next;
  }
}

TEST_P(GuardDialects, other_isolation_levels_work_where_the_dialect_allows_them) {
  SqlSession writer(url_);
  ASSERT_TRUE(writer.run("BEGIN ISOLATION LEVEL REPEATABLE READ").ok);
  const auto outcome = writer.run(put_of("k", "v", token_));
  if (GetParam() == GuardDialect::advisory) {
    EXPECT_EQ(outcome.state, "FR002") << "also when nothing is waiting";
    return;
  }
  EXPECT_TRUE(outcome.ok) << outcome.message;
  EXPECT_TRUE(writer.run("COMMIT").ok);
  EXPECT_EQ(value_of("k"), "v");
}

TEST_P(GuardDialects, set_guard_waits_for_a_delayed_writer_and_its_later_writes_fail) {
  SqlSession writer(url_);
  ASSERT_TRUE(writer.run("BEGIN").ok);
  ASSERT_TRUE(writer.run(put_of("k", "late", token_)).ok);
  const auto next = Token::make();
  std::promise<Result<void>> guarded;
  std::atomic<bool> answered = false;
  storage_->set_guard(kAllSlots, next, base::now() + 30 * base::kSecond, [&](Result<void> result) {
    answered = true;
    guarded.set_value(std::move(result));
  });
  ASSERT_TRUE(wait_for_lock_waiter(url_, 0));
  EXPECT_FALSE(answered) << "the writer may still commit";
  ASSERT_TRUE(writer.run("COMMIT").ok);
  const auto result = guarded.get_future().get();
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(value_of("k"), "late") << "the new owner reads what the old one wrote in time";
  EXPECT_EQ(writer.run(put_of("k", "too late", token_)).state, "FR001");
  EXPECT_EQ(value_of("k"), "late");
  ASSERT_TRUE(calls().write(request_of({put("k", "new", next)})));
}

TEST_P(GuardDialects, writes_in_other_cells_go_on_while_one_cell_is_stuck) {
  SqlSession writer(url_);
  ASSERT_TRUE(writer.run("BEGIN").ok);
  ASSERT_TRUE(writer.run(put_of("k", "v", token_)).ok);
  std::promise<Result<void>> guarded;
  const auto cell = base::range_of_cell(base::cell_of(base::slot_of("k")));
  storage_->set_guard(cell, Token::make(), base::now() + 30 * base::kSecond,
                      [&](Result<void> result) { guarded.set_value(std::move(result)); });
  ASSERT_TRUE(wait_for_lock_waiter(url_, 0));
  std::string other = "o";
  while (cell.contains(base::slot_of(other))) other += 'o';
  const auto reply = calls().write(request_of({put(other, "v", token_)}));
  EXPECT_TRUE(reply) << reply.error().what;
  ASSERT_TRUE(writer.run("COMMIT").ok);
  EXPECT_TRUE(guarded.get_future().get());
}

// A promotion may bring an older guard row back; the timeline in it is the old one then.
TEST_P(GuardDialects, a_guard_of_another_timeline_is_void) {
  ASSERT_TRUE(calls().write(request_of({put("k", "v", token_)})));
  TemporaryPostgres::run(url_, "UPDATE freshet.guard SET timeline = '0000000F'");
  auto reply = calls().write(request_of({put("k", "w", token_)}));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::guard_mismatch);
  reply = calls().write(request_of({put("k", "w", token_), put("l", "w", token_)}));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::guard_mismatch);
  const auto next = Token::make();
  ASSERT_TRUE(calls().set_guard(kAllSlots, next));
  EXPECT_TRUE(calls().write(request_of({put("k", "w", next)})));
}

TEST_P(GuardDialects, a_foreign_holder_is_named_and_left_alone) {
  open(100 * base::kMillisecond, 400 * base::kMillisecond);
  SqlSession writer(url_, "somebody's job");
  ASSERT_TRUE(writer.run("BEGIN").ok);
  ASSERT_TRUE(writer.run(put_of("k", "v", token_)).ok);
  const auto result = calls().set_guard(kAllSlots, Token::make());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::busy);
  EXPECT_NE(result.error().what.find("somebody's job"), std::string::npos) << result.error().what;
  EXPECT_NE(result.error().what.find(std::to_string(writer.process())), std::string::npos) << result.error().what;
  EXPECT_TRUE(writer.run("COMMIT").ok) << "it was not ended";
}

TEST_P(GuardDialects, a_stuck_writer_of_the_same_fleet_is_ended) {
  open(100 * base::kMillisecond, 400 * base::kMillisecond);
  SqlSession writer(url_, "freshet:default:write");
  ASSERT_TRUE(writer.run("BEGIN").ok);
  ASSERT_TRUE(writer.run(put_of("k", "v", token_)).ok);
  const auto next = Token::make();
  const auto result = calls().set_guard(kAllSlots, next);
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_FALSE(writer.run("COMMIT").ok);
  EXPECT_EQ(value_of("k"), "(absent)");
  EXPECT_TRUE(calls().write(request_of({put("k", "v", next)})));
}

TEST_P(GuardDialects, guarded_transactions_commit_durably_whatever_the_session_says) {
  SqlSession writer(url_);
  ASSERT_TRUE(writer.run("SET synchronous_commit = off").ok);
  ASSERT_TRUE(writer.run("BEGIN").ok);
  ASSERT_TRUE(writer.run(put_of("k", "v", token_)).ok);
  EXPECT_EQ(writer.run("SHOW synchronous_commit").rows[0][0], "on");
  EXPECT_NE(writer.run("SHOW idle_in_transaction_session_timeout").rows[0][0], "0");
  ASSERT_TRUE(writer.run("COMMIT").ok);
  ASSERT_TRUE(writer.run("SET synchronous_commit = remote_apply").ok);
  ASSERT_TRUE(writer.run("BEGIN").ok);
  ASSERT_TRUE(writer.run(put_of("k", "v", token_)).ok);
  EXPECT_EQ(writer.run("SHOW synchronous_commit").rows[0][0], "remote_apply");
  ASSERT_TRUE(writer.run("COMMIT").ok);
  EXPECT_EQ(writer.run("SHOW synchronous_commit").rows[0][0], "remote_apply") << "only the transaction was changed";
}

// Deadlocks with transactions outside Freshet are rolled back by the server and tried again.
TEST_P(GuardDialects, a_write_survives_a_deadlock) {
  ASSERT_TRUE(calls().write(request_of({put("a", "1", token_), put("b", "1", token_)})));
  SqlSession other(url_);
  ASSERT_TRUE(other.run("SET deadlock_timeout = '10s'").ok);
  ASSERT_TRUE(other.run("BEGIN").ok);
  ASSERT_TRUE(other.run("SELECT 1 FROM freshet.kv WHERE key = 'b' FOR UPDATE").ok);
  std::promise<Result<WriteReply>> written;
  storage_->write(request_of({put("a", "2", token_), put("b", "2", token_)}),
                  [&](Result<WriteReply> reply) { written.set_value(std::move(reply)); });
  const auto writer = [&] {
    return TemporaryPostgres::run(url_, "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
                                        "application_name = 'freshet:default:write'");
  };
  while (writer().empty()) std::this_thread::yield();
  other.start("SELECT 1 FROM freshet.kv WHERE key = 'a' FOR UPDATE");
  EXPECT_TRUE(other.finish().ok) << "the write was the victim: its deadlock_timeout is the shorter one";
  ASSERT_TRUE(other.run("COMMIT").ok);
  const auto reply = written.get_future().get();
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(value_of("a"), "2");
  EXPECT_EQ(value_of("b"), "2");
}

INSTANTIATE_TEST_SUITE_P(Postgres, GuardDialects, ::testing::Values(GuardDialect::advisory, GuardDialect::for_share),
                         [](const auto& tested) {
                           return tested.param == GuardDialect::advisory ? "advisory" : "for_share";
                         });

}  // namespace
}  // namespace freshet::storage::postgres
