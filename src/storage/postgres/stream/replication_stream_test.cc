// What the stream hands on, from a real server: every kind of change, every common type, huge transactions.
#include "storage/postgres/stream/replication_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "storage/postgres/output_settings.h"
#include "storage/postgres/stream/recorded_stream.h"

namespace freshet::storage::postgres {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ReplicationStream, hands_on_every_kind_of_change) {
  StreamDatabase database;
  database.run("CREATE TABLE t (id int PRIMARY KEY, name text)");
  database.run("CREATE TABLE whole (a int, b text)");
  database.run("ALTER TABLE whole REPLICA IDENTITY FULL");
  RecordedStream stream(stream_options(database.url()));
  ASSERT_TRUE(stream.wait_started());
  database.run("INSERT INTO t VALUES (1, 'a'), (2, NULL)");
  database.run("UPDATE t SET name = 'b' WHERE id = 1");
  database.run("UPDATE t SET id = 3 WHERE id = 2");
  database.run("BEGIN; DELETE FROM t WHERE id = 1; INSERT INTO whole VALUES (7, 'x'); COMMIT");
  database.run("UPDATE whole SET b = 'y'");
  database.run("BEGIN; INSERT INTO t VALUES (9, 'never'); ROLLBACK");
  database.run("DELETE FROM whole");
  database.run("TRUNCATE t, whole");
  ASSERT_TRUE(stream.wait_received(database.position()));
  const auto record = stream.record();
  EXPECT_THAT(record.events,
              ElementsAre("begin", "insert t '1' 'a'", "insert t '2' null", "commit",                             //
                          "begin", "update t to '1' 'b'", "commit",                                              //
                          "begin", "update t key('2' null) to '3' null", "commit",                               //
                          "begin", "delete t key('1' null) ", "insert whole '7' 'x'", "commit",                  //
                          "begin", "update whole full('7' 'x') to '7' 'y'", "commit",                            //
                          "begin", "delete whole full('7' 'y') ", "commit",                                      //
                          "begin", "truncate t whole", "commit"));
  ASSERT_EQ(record.starts.size(), 1u);
  EXPECT_FALSE(record.starts[0].continuous);
  EXPECT_TRUE(record.starts[0].new_slot);
  const auto& identity = record.starts[0].identity;
  EXPECT_EQ(identity.system, database.value("SELECT system_identifier FROM pg_control_system()"));
  EXPECT_EQ(identity.timeline, database.value("SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"));
  EXPECT_EQ(identity.started_at, database.value("SELECT " + std::string(kStartedAtSql)));
  const auto status = stream.status();
  EXPECT_TRUE(status.streaming);
  EXPECT_EQ(status.transactions, 7u);
  EXPECT_EQ(status.row_changes, 8u);
}

TEST(ReplicationStream, leaves_out_unchanged_toast) {
  StreamDatabase database;
  database.run("CREATE TABLE t (id int PRIMARY KEY, n int, big text)");
  database.run("ALTER TABLE t ALTER big SET STORAGE EXTERNAL");
  database.run("INSERT INTO t VALUES (1, 1, repeat('x', 20000))");
  RecordedStream stream(stream_options(database.url()));
  ASSERT_TRUE(stream.wait_started());
  database.run("UPDATE t SET n = 2");
  database.run("UPDATE t SET big = repeat('y', 20000)");
  ASSERT_TRUE(stream.wait_received(database.position()));
  const auto events = stream.record().events;
  ASSERT_EQ(events.size(), 6u);
  EXPECT_EQ(events[1], "update t to '1' '2' unchanged");
  EXPECT_EQ(events[4], "update t to '1' '2' '" + std::string(20000, 'y') + "'");
}

// Values of types whose text depends on settings, which the role sets otherwise here.
TEST(ReplicationStream, writes_values_as_the_output_settings_say) {
  StreamDatabase database;
  const auto name = freshet::testing::database_of(database.url());
  for (const auto* setting : {"datestyle = 'SQL, DMY'", "intervalstyle = 'iso_8601'", "timezone = 'Asia/Tokyo'",
                              "extra_float_digits = -3", "bytea_output = 'escape'", "search_path = 'public'"}) {
    database.run("ALTER DATABASE " + name + " SET " + setting);
  }
  database.run("CREATE TYPE mood AS ENUM ('glad')");
  database.run("CREATE DOMAIN positive AS int CHECK (value > 0)");
  database.run("CREATE TABLE t (id int PRIMARY KEY, a bool, b int2, c int8, d numeric, e float4, f float8, g text, "
               "h varchar(9), i char(4), j bytea, k date, l timestamp, m timestamptz, n time, o interval, p uuid, q json, "
               "r jsonb, s inet, t int[], u text[], v mood, w positive, x regclass, y money, z tstzrange)");
  RecordedStream stream(stream_options(database.url()));
  ASSERT_TRUE(stream.wait_started());
  database.run("INSERT INTO t VALUES (1, true, -2, 9007199254740993, 1.50, 0.1, 1e-7, 'é', 'v', 'ab', '\\xdeadbeef', "
               "'2024-02-29', '2024-02-29 13:14:15.5', '2024-02-29 13:14:15+05', '23:59:59', '1 year 2 days 3 hours', "
               "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{\"a\": 1}', '{\"b\":[1,null]}', '10.0.0.1/8', '{1,NULL,3}', "
               "'{\"a b\",c}', 'glad', 5, 't', 12.5, '[2024-01-01 00:00+00,)')");
  ASSERT_TRUE(stream.wait_received(database.position()));
  const auto events = stream.record().events;
  ASSERT_EQ(events.size(), 3u);
  EXPECT_THAT(events[1], HasSubstr("'t' '-2' '9007199254740993' '1.50' '0.1' '1e-07' 'é' 'v' 'ab  ' '\\xdeadbeef' "
                                   "'2024-02-29' '2024-02-29 13:14:15.5' '2024-02-29 08:14:15+00' '23:59:59' "
                                   "'1 year 2 days 03:00:00'"));
  EXPECT_THAT(events[1], HasSubstr("'public.t'"));

  // The same texts that a fill reads.
  auto parameters = stream_options(database.url()).parameters;
  add_output_settings(parameters);
  const ParameterArrays arrays(parameters);
  const ConnectionPointer connection(PQconnectdbParams(arrays.keywords.data(), arrays.values.data(), 0));
  const Rows rows(PQexec(connection.get(), "SELECT * FROM public.t"));
  ASSERT_TRUE(succeeded(rows.get())) << message_of(connection.get());
  std::string filled = "insert t";
  for (int i = 0; i < PQnfields(rows.get()); ++i) filled += std::string(" '") + PQgetvalue(rows.get(), 0, i) + "'";
  EXPECT_EQ(events[1], filled);
}

TEST(ReplicationStream, describes_tables_again_when_they_change) {
  StreamDatabase database;
  database.run("CREATE TABLE t (id int PRIMARY KEY)");
  RecordedStream stream(stream_options(database.url()));
  ASSERT_TRUE(stream.wait_started());
  database.run("INSERT INTO t VALUES (1)");
  database.run("ALTER TABLE t ADD COLUMN n int DEFAULT 5");
  database.run("ALTER TABLE t RENAME TO renamed");
  database.run("INSERT INTO renamed VALUES (2)");
  ASSERT_TRUE(stream.wait_received(database.position()));
  EXPECT_THAT(stream.record().events,
              ElementsAre("begin", "insert t '1'", "commit", "begin", "insert renamed '2' '5'", "commit"));
}

TEST(ReplicationStream, passes_a_huge_transaction_while_the_loop_stays_responsive) {
  constexpr std::uint64_t kRows = 100'000;
  StreamDatabase database;
  database.run("CREATE TABLE t (id int PRIMARY KEY, name text)");
  RecordedStream stream(stream_options(database.url()));
  stream.recorder().count_only();
  ASSERT_TRUE(stream.wait_started());
  // Turns of a timer between the transaction's first row and its last.
  std::unique_ptr<net::Timer> timer;
  int turns_inside = 0;
  stream.loop().run([&] {
    timer = std::make_unique<net::Timer>(stream.loop());
    timer->start(base::kMillisecond, [&] {
      const auto inserts = stream.record().inserts;
      turns_inside += inserts > 0 && inserts < kRows;
    }, base::kMillisecond);
  });
  database.run("INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, " + std::to_string(kRows) + ") i");
  const bool received = stream.wait_received(database.position());
  stream.loop().run([&] { timer.reset(); });
  ASSERT_TRUE(received);
  EXPECT_EQ(stream.record().inserts, kRows);
  EXPECT_EQ(stream.record().commits, 1u);
  EXPECT_GE(turns_inside, 10);
}

TEST(ReplicationStream, refuses_impossible_names) {
  StreamOptions options;
  options.publication = "p";
  for (const auto& slot : {std::string(), std::string("Upper"), std::string("with space"), std::string(64, 's')}) {
    options.slot = slot;
    EXPECT_FALSE(ReplicationStream::check(options)) << slot;
  }
  options.slot = "fine_1";
  EXPECT_TRUE(ReplicationStream::check(options));
  options.publication = "";
  EXPECT_FALSE(ReplicationStream::check(options));
}

TEST(OutputSettings, win_over_the_connection_strings_own) {
  ConnectionParameters parameters{{"options", "-c datestyle=German -c work_mem=8MB"}, {"client_encoding", "LATIN1"}};
  add_output_settings(parameters);
  ASSERT_EQ(parameters.size(), 2u);
  EXPECT_THAT(parameters[0].second, ::testing::StartsWith("-c datestyle=German -c work_mem=8MB -c datestyle=ISO,YMD -c "));
  EXPECT_EQ(parameters[1].second, "UTF8");
}

}  // namespace
}  // namespace freshet::storage::postgres
