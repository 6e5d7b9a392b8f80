// Slots on a real server: made, used again, adopted, given up, lost, in use, and dropped at the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/postgres/stream/recorded_stream.h"
#include "tcp_proxy.h"

namespace freshet::storage::postgres {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

bool some_contain(const std::vector<std::string>& texts, const std::string& part) {
  return std::any_of(texts.begin(), texts.end(), [&](const auto& text) { return text.find(part) != std::string::npos; });
}

[[nodiscard]] bool wait_failure(const RecordedStream& stream, const std::string& part) {
  return stream.wait([&](const auto& record) { return some_contain(record.failures, part); });
}

// A stream whose slot is tampered with while it is cut off.
class CutOffStream {
 public:
  CutOffStream() : proxy_(database_.server().port()) {
    database_.run("CREATE TABLE t (id int PRIMARY KEY)");
    const auto name = freshet::testing::database_of(database_.url());
    stream_ = std::make_unique<RecordedStream>(stream_options(database_.server().url_through(proxy_.port(), name)));
    EXPECT_TRUE(stream_->wait_started());
    database_.run("INSERT INTO t VALUES (1)");
    EXPECT_TRUE(stream_->wait([](const auto& record) { return record.commits == 1; }));
  }
  StreamDatabase& database() { return database_; }
  RecordedStream& stream() { return *stream_; }
  void run_while_cut_off(const std::string& sql) {
    proxy_.set_mode(freshet::testing::TcpProxy::Mode::refuse);
    database_.end_stream_session();
    database_.run(sql);
    proxy_.set_mode(freshet::testing::TcpProxy::Mode::pass);
  }

 private:
  StreamDatabase database_;
  freshet::testing::TcpProxy proxy_;
  std::unique_ptr<RecordedStream> stream_;
};

TEST(SlotLife, a_managed_slot_goes_with_its_stream) {
  StreamDatabase database;
  {
    RecordedStream stream(stream_options(database.url()));
    ASSERT_TRUE(stream.wait_started());
    EXPECT_TRUE(database.has_slot());
    EXPECT_EQ(stream.status().slots_created, 1u);
  }
  EXPECT_FALSE(database.has_slot());
}

TEST(SlotLife, a_slot_of_before_is_used_again_with_what_came_meanwhile) {
  StreamDatabase database;
  database.run("CREATE TABLE t (id int PRIMARY KEY)");
  auto options = stream_options(database.url());
  options.drop_on_stop = false;
  {
    RecordedStream stream(options);
    ASSERT_TRUE(stream.wait_started());
  }
  database.run("INSERT INTO t VALUES (1)");
  {
    RecordedStream stream(options);
    ASSERT_TRUE(stream.wait([](const auto& record) { return record.commits == 1; }));
    EXPECT_FALSE(stream.record().starts[0].new_slot);
    EXPECT_FALSE(stream.record().starts[0].continuous);
    EXPECT_THAT(stream.record().events, ElementsAre("begin", "insert t '1'", "commit"));
  }
  options.reuse_lag_bytes_max = 0;
  options.drop_on_stop = true;
  RecordedStream stream(options);
  ASSERT_TRUE(stream.wait_started());
  EXPECT_TRUE(stream.record().starts[0].new_slot);
  EXPECT_EQ(stream.status().slots_lost, 1u);
  database.run("INSERT INTO t VALUES (2)");
  ASSERT_TRUE(stream.wait([](const auto& record) { return record.commits == 1; }));
  EXPECT_THAT(stream.record().events, ElementsAre("begin", "insert t '2'", "commit"));
}

TEST(SlotLife, an_adopted_slot_is_neither_made_nor_dropped) {
  StreamDatabase database;
  auto options = stream_options(database.url());
  options.managed = false;
  {
    RecordedStream stream(options);
    ASSERT_TRUE(wait_failure(stream, "run SELECT pg_create_logical_replication_slot('" + options.slot + "', 'pgoutput')"));
    EXPECT_FALSE(database.has_slot());
    database.run("SELECT pg_create_logical_replication_slot('" + options.slot + "', 'pgoutput')");
    ASSERT_TRUE(stream.wait_started());
    stream.give_up("the test wants it");
    EXPECT_TRUE(stream.status().streaming);
  }
  EXPECT_TRUE(database.has_slot());
  database.end_stream_session();
  database.run("SELECT pg_drop_replication_slot('" + options.slot + "')");
}

TEST(SlotLife, a_slot_in_use_is_waited_for) {
  StreamDatabase database;
  auto options = stream_options(database.url());
  options.drop_on_stop = false;
  auto first = std::make_unique<RecordedStream>(options);
  ASSERT_TRUE(first->wait_started());
  options.drop_on_stop = true;
  {
    RecordedStream second(options);
    ASSERT_TRUE(wait_failure(second, "is read by the server process"));
  }
  // It was never the second's: it is still there.
  EXPECT_TRUE(database.has_slot());
  RecordedStream third(options);
  ASSERT_TRUE(wait_failure(third, "is read by the server process"));
  first.reset();
  ASSERT_TRUE(third.wait_started());
}

TEST(SlotLife, a_slot_that_was_dropped_is_made_again_and_the_stream_is_not_continuous) {
  CutOffStream test;
  test.run_while_cut_off("SELECT pg_drop_replication_slot('" + test.database().slot() + "')");
  ASSERT_TRUE(test.stream().wait_started(2));
  EXPECT_FALSE(test.stream().record().starts[1].continuous);
  EXPECT_TRUE(test.stream().record().starts[1].new_slot);
  EXPECT_EQ(test.stream().status().slots_lost, 1u);
  test.database().run("INSERT INTO t VALUES (2)");
  ASSERT_TRUE(test.stream().wait([](const auto& record) { return record.commits == 2; }));
}

TEST(SlotLife, a_slot_that_another_reader_moved_on_is_not_continuous) {
  CutOffStream test;
  test.run_while_cut_off("SELECT pg_replication_slot_advance('" + test.database().slot() + "', pg_current_wal_flush_lsn())");
  ASSERT_TRUE(test.stream().wait_started(2));
  EXPECT_FALSE(test.stream().record().starts[1].continuous);
  EXPECT_FALSE(test.stream().record().starts[1].new_slot);
}

TEST(SlotLife, a_slot_given_up_is_replaced) {
  StreamDatabase database;
  RecordedStream stream(stream_options(database.url()));
  ASSERT_TRUE(stream.wait_started());
  stream.give_up("it retains too much log");
  ASSERT_TRUE(stream.wait_started(2));
  const auto record = stream.record();
  EXPECT_THAT(record.breaks, ElementsAre(HasSubstr("it retains too much log")));
  EXPECT_FALSE(record.starts[1].continuous);
  EXPECT_TRUE(record.starts[1].new_slot);
  EXPECT_EQ(stream.status().slots_created, 2u);
  EXPECT_EQ(stream.status().slots_lost, 1u);
}

TEST(SlotLife, a_lost_slot_is_replaced) {
  // So small a bound that a few switched segments break it.
  TemporaryPostgres server({"fsync = off", "max_slot_wal_keep_size = 16MB", "max_wal_size = 32MB", "min_wal_size = 32MB"});
  StreamDatabase database(server);
  auto options = stream_options(database.url());
  options.drop_on_stop = false;
  { EXPECT_TRUE(RecordedStream(options).wait_started()); }
  database.end_stream_session();
  for (int i = 0; i < 4; ++i) database.run("SELECT pg_logical_emit_message(true, '', ''), pg_switch_wal()");
  database.run("CHECKPOINT");
  ASSERT_EQ(database.value("SELECT wal_status FROM pg_replication_slots"), "lost");
  RecordedStream stream(options);
  ASSERT_TRUE(stream.wait_started());
  EXPECT_TRUE(stream.record().starts[0].new_slot);
  EXPECT_EQ(stream.status().slots_lost, 1u);
}

TEST(SlotLife, creation_waits_for_running_transactions_and_says_so) {
  StreamDatabase database;
  SqlSession session(database.url());
  ASSERT_TRUE(session.run("BEGIN; SELECT pg_current_xact_id()").ok);
  auto stream = std::make_unique<RecordedStream>(stream_options(database.url()));
  const auto waits = [&] {
    const auto give_up = base::now() + 30 * base::kSecond;
    while (base::now() < give_up) {
      if (database.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'freshet:test:stream' AND "
                         "wait_event_type = 'Lock' AND datname = current_database()") == "1") return true;
    }
    return false;
  };
  ASSERT_TRUE(waits());
  EXPECT_THAT(stream->status().detail, HasSubstr("which waits for the transactions that run"));
  // Ended while it waits, it leaves nothing behind.
  stream.reset();
  EXPECT_FALSE(database.has_slot());
  stream = std::make_unique<RecordedStream>(stream_options(database.url()));
  ASSERT_TRUE(waits());
  EXPECT_TRUE(session.run("COMMIT").ok);
  ASSERT_TRUE(stream->wait_started());
}

TEST(SlotLife, a_missing_publication_is_named) {
  StreamDatabase database;
  auto options = stream_options(database.url());
  options.publication = "other";
  RecordedStream stream(options);
  ASSERT_TRUE(wait_failure(stream, "run CREATE PUBLICATION \"other\""));
  EXPECT_FALSE(database.has_slot());
  database.run("CREATE PUBLICATION other FOR ALL TABLES");
  ASSERT_TRUE(stream.wait_started());
}

// The server looks for a publication as of the change that it decodes: one made later never helps the slot.
TEST(SlotLife, a_slot_older_than_its_publication_is_replaced) {
  StreamDatabase database;
  database.run("CREATE TABLE t (id int PRIMARY KEY)");
  auto options = stream_options(database.url());
  options.publication = "late";
  database.run("SELECT pg_create_logical_replication_slot('" + options.slot + "', 'pgoutput')");
  database.run("INSERT INTO t VALUES (1)");
  database.run("CREATE PUBLICATION late FOR ALL TABLES");
  RecordedStream stream(options);
  ASSERT_TRUE(stream.wait_started(2));
  EXPECT_TRUE(stream.record().starts[1].new_slot);
  database.run("INSERT INTO t VALUES (2)");
  ASSERT_TRUE(stream.wait([](const auto& record) { return record.commits == 1; }));
  EXPECT_THAT(stream.record().events, ElementsAre("begin", "insert t '2'", "commit"));
}

TEST(SlotLife, confirming_moves_the_slot_and_nothing_else_does) {
  StreamDatabase database;
  database.run("CREATE TABLE t (id int PRIMARY KEY)");
  RecordedStream stream(stream_options(database.url()));
  ASSERT_TRUE(stream.wait_started());
  const auto slot_sql =
      "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '" + database.slot() + "'";
  const auto before = database.value(slot_sql);
  database.run("INSERT INTO t VALUES (1)");
  ASSERT_TRUE(stream.wait([](const auto& record) { return record.commits == 1; }));
  const auto end = stream.record().last_commit_end;
  database.run("INSERT INTO t VALUES (2)");
  ASSERT_TRUE(stream.wait_received(database.position()));
  EXPECT_EQ(database.value(slot_sql), before);
  stream.confirm(end);
  const auto give_up = base::now() + 30 * base::kSecond;
  while (database.value(slot_sql) == before && base::now() < give_up) {
  }
  EXPECT_EQ(database.value(slot_sql), text_of_lsn(end));
  // Beyond what was received nothing can be confirmed.
  stream.confirm(end + (Lsn{1} << 40));
  EXPECT_LE(stream.status().confirmed, stream.status().received);
}

}  // namespace
}  // namespace freshet::storage::postgres
