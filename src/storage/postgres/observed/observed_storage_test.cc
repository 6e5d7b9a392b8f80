// The storage as its caller meets it: the stream's changes of real tables, probes, nudges, and what happens around them.
#include <gmock/gmock.h>

#include "storage/postgres/observed/observed_database.h"

namespace freshet::storage::postgres {
namespace {

using Kind = Change::Kind;

std::vector<std::string> lines_of(const std::vector<Heard::Item>& changes) {
  const char* const kinds[] = {"put ", "erase ", "drop ", "all "};
  std::vector<std::string> lines;
  for (const auto& change : changes) {
    lines.push_back(kinds[static_cast<int>(change.kind)] +
                    (change.kind == Kind::all ? std::to_string(change.collection) : change.key));
  }
  return lines;
}

TEST(ObservedStorage, describes_before_the_stream_starts_and_tells_what_happens_to_rows) {
  ObservedDatabase database;
  database.sql("CREATE TABLE t (id int PRIMARY KEY, v text, w text, g int GENERATED ALWAYS AS (id + 1) STORED)");
  auto some = rows_of("some", "t");
  some.columns = {{"v", "value"}};
  database.follow({rows_of("t", "t"), some});
  database.sql("ALTER TABLE t ALTER COLUMN w SET STORAGE EXTERNAL; INSERT INTO t VALUES (1, 'a', repeat('x', 9000))");
  database.sql("UPDATE t SET v = 'b'");
  database.sql("UPDATE t SET id = 2");
  database.sql("DELETE FROM t");
  database.sql("TRUNCATE t");
  database.catch_up();
  EXPECT_THAT(lines_of(database.heard.take_changes()),
              ::testing::ElementsAre("drop t:1", "put some:1", "drop t:1", "put some:1", "erase t:1", "drop t:2",
                                     "erase some:1", "put some:2", "erase t:2", "erase some:2", "all 0", "all 1"))
      << "a generated column is not in the stream";
}

TEST(ObservedStorage, values_that_were_not_sent_drop_the_key) {
  ObservedDatabase database;
  database.sql("CREATE TABLE t (id int PRIMARY KEY, v text, w text); ALTER TABLE t ALTER COLUMN w SET STORAGE EXTERNAL");
  database.follow({rows_of("t", "t")});
  database.sql("INSERT INTO t VALUES (1, 'a', repeat('x', 9000))");
  database.sql("UPDATE t SET v = 'b'");
  database.sql("ALTER TABLE t REPLICA IDENTITY FULL");
  database.sql("UPDATE t SET v = 'c'");
  database.catch_up();
  const auto changes = database.heard.take_changes();
  EXPECT_THAT(lines_of(changes), ::testing::ElementsAre("put t:1", "drop t:1", "put t:1"));
  EXPECT_EQ(changes.back().value, database.fill_one(0, "t:1").value) << "the old row has what the new one lacks";
}

TEST(ObservedStorage, a_probe_tells_of_a_commit_and_a_nudge_brings_its_position) {
  ObservedDatabase database;
  database.sql("CREATE TABLE t (id int PRIMARY KEY)");
  database.follow({rows_of("t", "t")});
  SqlSession session(database.url());
  session.run("BEGIN");
  const auto xid = std::stoull(session.run("SELECT pg_current_xact_id()::text").rows[0][0]);
  EXPECT_FALSE(database.probe().snapshot.shows(FullXid(xid)));
  session.run("COMMIT");
  const auto probe = database.probe();
  EXPECT_TRUE(probe.snapshot.shows(FullXid(xid)));
  EXPECT_EQ(probe.fingerprint, database.heard.description().fingerprint);
  database.nudge();
  EXPECT_TRUE(database.heard.wait([&](const Heard& h) { return h.position_ >= probe.position; }));
}

// Once nothing is committed, probes ask for less: what changes then is seen by the very next one.
TEST(ObservedStorage, probes_see_the_schema_change_after_any_number_of_calm_ones) {
  ObservedDatabase database;
  database.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)");
  database.follow({rows_of("t", "t")});
  for (int calm = 0; calm < 12; ++calm) {
    const auto described = database.probe().fingerprint;
    for (int i = 0; i < calm; ++i) EXPECT_EQ(database.probe().fingerprint, described) << calm;
    const auto before = database.probe().snapshot;
    database.sql("INSERT INTO other VALUES (1)");
    const auto after = database.probe();
    EXPECT_NE(after.snapshot, before) << calm;
    EXPECT_EQ(after.fingerprint, described) << calm;
    for (int i = 0; i < calm; ++i) database.probe();
    database.sql("ALTER TABLE t ADD COLUMN c" + std::to_string(calm) + " int");
    EXPECT_NE(database.probe().fingerprint, described) << calm;
  }
}

TEST(ObservedStorage, the_insert_position_is_reached_where_writers_commit_asynchronously) {
  ObservedDatabase database;
  database.sql("CREATE TABLE t (id int PRIMARY KEY); ALTER DATABASE " + freshet::testing::database_of(database.url()) +
               " SET synchronous_commit = off");
  database.follow({rows_of("t", "t")});
  bool insert_position = false;
  database.run_on_loop([&](ObservedStorage& storage) { insert_position = storage.probes_insert_position(); });
  EXPECT_TRUE(insert_position);
  for (int round = 0; round < 50; ++round) {
    database.sql("INSERT INTO t VALUES (" + std::to_string(round) + ")");
    const auto probe = database.probe();
    database.nudge();
    ASSERT_TRUE(database.heard.wait([&](const Heard& h) { return h.position_ >= probe.position; })) << round;
  }
  EXPECT_EQ(database.heard.take_changes().size(), 50u);
}

TEST(ObservedStorage, a_collection_with_a_fault_is_served_once_it_is_mended) {
  ObservedDatabase database;
  database.sql("CREATE TABLE t (id int PRIMARY KEY)");
  database.follow({rows_of("t", "t"), rows_of("later", "later")});
  ASSERT_TRUE(database.heard.description().collections[1].fault);
  EXPECT_FALSE(database.try_fill(1, {"later:1"}));
  EXPECT_EQ(database.read(0, "t:1"), "absent");
  database.sql("CREATE TABLE later (id int PRIMARY KEY); INSERT INTO later VALUES (1)");
  const auto position = database.position().second;
  ASSERT_TRUE(database.heard.wait([](const Heard& h) { return !h.descriptions_.back().collections[1].fault; }));
  EXPECT_EQ(database.read(1, "later:1"), R"({"id":1})");
  EXPECT_GE(database.heard.description().published, position);
  // Transactions that wrote before it was published may be told in part only.
  EXPECT_TRUE(database.heard.wait([](const Heard& h) { return h.starts_.size() == 2 && !h.starts_[1].continuous; }));
  database.sql("INSERT INTO later VALUES (2)");
  database.catch_up();
  EXPECT_THAT(lines_of(database.heard.take_changes()), ::testing::ElementsAre("put later:2"));
}

TEST(ObservedStorage, a_managed_slot_is_given_up_before_it_retains_too_much) {
  ObservedDatabase database;
  database.sql("CREATE TABLE t (id int PRIMARY KEY, v text)");
  auto options = database.options({rows_of("t", "t")});
  options.retained_wal_bytes_max = 4 * 1024 * 1024;
  options.slot_check_interval = 50 * base::kMillisecond;
  database.follow(options);
  // Nothing is confirmed: the slot retains all of this.
  database.sql("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 8000) i");
  ASSERT_TRUE(database.heard.wait([](const Heard& h) { return h.starts_.size() >= 2; }));
  EXPECT_TRUE(database.heard.wait([](const Heard& h) { return !h.starts_[1].continuous; }));
  EXPECT_GE(database.status().slots_lost, 1u);
  const auto rows = database.sql("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn)::int8 < 4194304 FROM "
                                 "pg_replication_slots WHERE slot_name = '" + options.slot + "'");
  EXPECT_EQ(rows[0][0], "t");
}

TEST(ObservedStorage, confirmed_log_is_let_go) {
  ObservedDatabase database;
  database.sql("CREATE TABLE t (id int PRIMARY KEY, v text)");
  const auto options = database.options({rows_of("t", "t")});
  database.follow(options);
  database.sql("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 1000) i");
  database.catch_up();
  const auto target = database.position().second;
  database.run_on_loop([&](ObservedStorage& storage) { storage.confirm(target); });
  const auto give_up = base::now() + kTestPatience;
  bool confirmed = false;
  while (!confirmed && base::now() < give_up) {
    database.nudge();
    database.catch_up();
    const auto now = database.position().second;
    database.run_on_loop([&](ObservedStorage& storage) { storage.confirm(now); });
    confirmed = database.sql("SELECT confirmed_flush_lsn > '" + text_of_lsn(target) + "' FROM pg_replication_slots "
                             "WHERE slot_name = '" + options.slot + "'")[0][0] == "t";
  }
  EXPECT_TRUE(confirmed);
}

TEST(ObservedStorage, calls_without_a_database_are_answered_by_their_deadline) {
  ObservedDatabase database;
  auto options = database.options({});
  options.url = "postgres://postgres@127.0.0.1:1/none";
  net::Loop loop("test");
  std::unique_ptr<PostgresObservedStorage> storage;
  std::promise<Error> answer;
  loop.run([&] {
    storage = std::move(*PostgresObservedStorage::open(options, loop));
    storage->follow(database.heard);
    storage->position(base::now() + 300 * base::kMillisecond, [&](Result<std::pair<Identity, Lsn>> reply) {
      answer.set_value(reply ? Error() : reply.error());
    });
  });
  const auto error = answer.get_future().get();
  EXPECT_TRUE(error.code == ErrorCode::unavailable || error.code == ErrorCode::deadline_exceeded) << error.what;
  loop.run([&] { storage.reset(); });
}

TEST(ObservedStorage, options_that_cannot_work_are_refused) {
  ObservedDatabase database;
  auto options = database.options({});
  options.fill_connections = 0;
  EXPECT_FALSE(PostgresObservedStorage::check(options));
  options = database.options({});
  options.slot = "Not A Slot";
  EXPECT_FALSE(PostgresObservedStorage::check(options));
  options = database.options({CollectionSpec()});
  EXPECT_FALSE(PostgresObservedStorage::check(options));
  EXPECT_TRUE(PostgresObservedStorage::check(database.options({rows_of("t", "t")})));
}

}  // namespace
}  // namespace freshet::storage::postgres
