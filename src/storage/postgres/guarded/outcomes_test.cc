// What an answer proves: errors that leave the outcome open, warnings that concern no call, deadlines counted from the
// write, calls made while the storage is being destroyed, and old tombstones.
#include <atomic>
#include <future>
#include <thread>

#include "storage/postgres/schema.h"
#include "storage/postgres/guarded/test_database.h"

namespace freshet::storage::postgres {
namespace {

constexpr base::Nanoseconds kPatience = 30 * base::kSecond;

TEST(PostgresOutcomes, an_error_that_says_the_completion_is_unknown_is_no_rollback) {
  for (const std::string state : {"40003", "08006"}) {
    SCOPED_TRACE(state);
    const auto url = TemporaryPostgres::shared().create_database();
    const auto storage = open_storage(options_for(url));
    ASSERT_TRUE(storage);
    TemporaryPostgres::run(url, "CREATE OR REPLACE FUNCTION freshet.begin_guarded(lock_class integer) RETURNS void LANGUAGE "
                                "plpgsql AS $$ BEGIN RAISE EXCEPTION 'who knows' USING ERRCODE = '" + state + "'; END $$");
    const auto token = Token::make();
    const auto reply = BlockingStorage(*storage).write(request_of({put("k", "v", token), put("l", "v", token)}));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, ErrorCode::unknown_outcome) << reply.error().what;
  }
}

// A database whose collation version has changed warns at every connection.
TEST(PostgresOutcomes, a_warning_while_connecting_casts_no_doubt_on_the_first_write) {
  const auto url = TemporaryPostgres::shared().create_database();
  ASSERT_TRUE(open_storage(options_for(url)));
  TemporaryPostgres::run(url, "UPDATE pg_database SET datcollversion = 'another' WHERE datname = current_database()");
  const auto storage = open_storage(options_for(url));
  ASSERT_TRUE(storage);
  BlockingStorage calls(*storage);
  const auto token = Token::make();
  const auto guarded = calls.set_guard(kAllSlots, token);
  ASSERT_TRUE(guarded) << guarded.error().what;
  for (int i = 0; i < 8; ++i) {
    const auto reply = calls.write(request_of({put("k", "v", token)}));
    ASSERT_TRUE(reply) << reply.error().what;
  }
}

TEST(PostgresOutcomes, a_lifetime_counts_from_the_write_and_not_from_its_wait_for_a_lock) {
  const auto url = TemporaryPostgres::shared().create_database();
  const auto storage = open_storage(options_for(url));
  ASSERT_TRUE(storage);
  BlockingStorage calls(*storage);
  const auto token = Token::make();
  ASSERT_TRUE(calls.set_guard(kAllSlots, token));
  ASSERT_TRUE(calls.write(request_of({put("k", "v", token)})));
  SqlSession holder(url);
  ASSERT_TRUE(holder.run("BEGIN").ok);
  ASSERT_TRUE(holder.run("SELECT 1 FROM freshet.kv WHERE key = 'k' FOR UPDATE").ok);
  auto mutation = put("k", "w", token);
  mutation.expiry = {Expiry::Mode::after, 1000};
  std::promise<Result<WriteReply>> written;
  storage->write(request_of({mutation}), [&](Result<WriteReply> reply) { written.set_value(std::move(reply)); });
  const auto waits = [&] {
    return !TemporaryPostgres::run(url, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
                                        "current_database() AND application_name = 'freshet:default:write'").empty();
  };
  for (const auto give_up = base::now() + kPatience; !waits() && base::now() < give_up;) std::this_thread::yield();
  const auto released_ms = std::stoll(holder.run("SELECT freshet.now_ms()").rows.at(0).at(0));
  ASSERT_TRUE(holder.run("COMMIT").ok);
  const auto reply = written.get_future().get();
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_GE(reply->at(0)->after.expires_at_ms, released_ms + 1000);
  EXPECT_EQ(calls.read({"k"})->states[0].expires_at_ms, reply->at(0)->after.expires_at_ms);
}

// Each callback asks again, as a cache that retries would.
TEST(PostgresOutcomes, calls_from_callbacks_of_a_closing_storage_are_answered) {
  const auto url = TemporaryPostgres::shared().create_database();
  auto storage = open_storage(options_for(url));
  ASSERT_TRUE(storage);
  auto* raw = storage.get();
  const auto token = Token::make();
  ASSERT_TRUE(BlockingStorage(*storage).set_guard(kAllSlots, token));
  // Nothing is answered while the table is locked: all calls are open when the storage goes.
  SqlSession holder(url);
  ASSERT_TRUE(holder.run("BEGIN").ok);
  ASSERT_TRUE(holder.run("LOCK TABLE freshet.kv").ok);
  constexpr int kCalls = 40;
  std::atomic<int> answered = 0;
  std::atomic<int> refused = 0;
  const auto again = [&](const auto& result) {
    EXPECT_FALSE(result);
    ++answered;
    const auto count = [&](const auto& second) {
      EXPECT_FALSE(second);
      refused += second.error().code == ErrorCode::unavailable;
    };
    raw->read({"k"}, base::kForever, count);
    raw->write(request_of({put("k", "v", token)}), count);
    raw->set_guard(kAllSlots, Token::make(), base::kForever, count);
  };
  for (int i = 0; i < kCalls; ++i) {
    raw->read({"k"}, base::kForever, again);
    raw->write(request_of({put("k", "v", token)}), again);
  }
  storage.reset();
  EXPECT_EQ(answered, 2 * kCalls);
  EXPECT_EQ(refused, 3 * 2 * kCalls);
}

class PostgresSweep : public ::testing::Test {
 protected:
  void open(base::Nanoseconds age) {
    auto options = options_for(url_);
    options.tombstone_sweep_interval = 50 * base::kMillisecond;
    options.tombstone_age = age;
    storage_ = open_storage(options);
    ASSERT_TRUE(storage_);
  }
  void write(const std::string& key, bool erase) {
    auto mutation = put(key, "v", token_);
    if (erase) mutation.kind = MutationKind::erase;
    const auto reply = BlockingStorage(*storage_).write(request_of({mutation}));
    ASSERT_TRUE(reply) << reply.error().what;
  }
  int count(const std::string& condition) {
    return std::stoi(TemporaryPostgres::run(url_, "SELECT count(*) FROM freshet.kv WHERE " + condition)[0][0]);
  }

  std::string url_ = TemporaryPostgres::shared().create_database();
  std::unique_ptr<PostgresStorage> storage_;
  Token token_ = Token::make();
};

TEST_F(PostgresSweep, old_tombstones_go_and_values_stay) {
  TemporaryPostgres::run(url_, schema_sql());
  // More than one batch, on many pages, behind and before values.
  TemporaryPostgres::run(url_, "INSERT INTO freshet.kv SELECT n::text::bytea, n, CASE WHEN n % 10 = 0 THEN 'v'::bytea END, "
                               "nextval('freshet.version'), gen_random_uuid() FROM generate_series(1, 20000) n");
  open(200 * base::kMillisecond);
  ASSERT_TRUE(BlockingStorage(*storage_).set_guard(kAllSlots, token_));
  for (const auto give_up = base::now() + kPatience; count("value IS NULL") > 0 && base::now() < give_up;) {
    std::this_thread::yield();
  }
  EXPECT_EQ(count("value IS NULL"), 0);
  EXPECT_EQ(count("value IS NOT NULL"), 2000);
  // One that this storage makes itself, under a token that stays.
  write("k", true);
  for (const auto give_up = base::now() + kPatience; count("key = 'k'") > 0 && base::now() < give_up;) {
    std::this_thread::yield();
  }
  EXPECT_EQ(count("key = 'k'"), 0);
}

TEST_F(PostgresSweep, a_tombstone_younger_than_the_age_stays_while_older_ones_go) {
  open(3 * base::kSecond);
  ASSERT_TRUE(BlockingStorage(*storage_).set_guard(kAllSlots, token_));
  const auto made_old = base::now();  // Or a little later: an age counts from the version, given out inside of the write.
  write("old", true);
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const auto made_young = base::now();
  write("young", true);
  for (const auto give_up = base::now() + kPatience; count("key = 'old'") > 0 && base::now() < give_up;) {
    std::this_thread::yield();
  }
  EXPECT_GE(base::now() - made_old, 3 * base::kSecond);
  const int young = count("key = 'young'");
  if (base::now() - made_young < 3 * base::kSecond) {
    EXPECT_EQ(young, 1);
  }
  EXPECT_EQ(count("key = 'old'"), 0);
}

}  // namespace
}  // namespace freshet::storage::postgres
