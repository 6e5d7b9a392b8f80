// Broken connections, restarts, standbys, silence: what is continuous, what is not, and that nothing is lost or doubled.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>

#include <atomic>
#include <thread>

#include "storage/postgres/stream/recorded_stream.h"
#include "tcp_proxy.h"

namespace freshet::storage::postgres {
namespace {

using ::testing::HasSubstr;
using freshet::testing::TcpProxy;

std::vector<std::string> inserts_of(const Recorder::Record& record) {
  // A transaction counts once it is committed: what came before a break comes again.
  std::vector<std::string> committed;
  std::vector<std::string> open;
  for (const auto& event : record.events) {
    if (event == "begin") {
      open.clear();
    } else if (event == "commit") {
      committed.insert(committed.end(), open.begin(), open.end());
    } else {
      open.push_back(event);
    }
  }
  return committed;
}

// Cuts the stream again and again while a writer commits transactions of three rows; `confirm` or not.
void expect_nothing_lost_or_doubled(bool confirm) {
  constexpr std::size_t kBreaks = 6;
  StreamDatabase database;
  database.run("CREATE TABLE t (id serial PRIMARY KEY)");
  RecordedStream stream(stream_options(database.url()));
  ASSERT_TRUE(stream.wait_started());
  std::atomic<bool> stop = false;
  int transactions = 0;
  std::thread writer([&] {
    SqlSession session(database.url());
    for (; !stop; ++transactions) {
      if (!session.run("INSERT INTO t SELECT nextval('t_id_seq') FROM generate_series(1, 3)").ok) stop = true;
    }
  });
  for (std::size_t i = 1; i <= kBreaks; ++i) {
    const auto commits = stream.record().commits;
    EXPECT_TRUE(stream.wait([&](const auto& record) { return record.commits > commits + 20; }));
    if (confirm) stream.confirm(stream.record().last_commit_end);
    database.end_stream_session();
    EXPECT_TRUE(stream.wait_started(i + 1));
  }
  stop = true;
  writer.join();
  ASSERT_TRUE(stream.wait_received(database.position()));
  const auto record = stream.record();
  const auto inserts = inserts_of(record);
  ASSERT_EQ(inserts.size(), static_cast<std::size_t>(transactions) * 3);
  for (std::size_t i = 0; i < inserts.size(); ++i) ASSERT_EQ(inserts[i], "insert t '" + std::to_string(i + 1) + "'");
  for (std::size_t i = 1; i < record.starts.size(); ++i) EXPECT_TRUE(record.starts[i].continuous) << i;
  EXPECT_EQ(record.breaks.size(), record.starts.size() - 1);
}

TEST(StreamFaults, broken_streams_go_on_with_nothing_confirmed) { expect_nothing_lost_or_doubled(false); }
TEST(StreamFaults, broken_streams_go_on_from_what_was_confirmed) { expect_nothing_lost_or_doubled(true); }

// The walsender waits at a shutdown until all that it sent is confirmed: a cache must not hold up the operator.
TEST(StreamFaults, a_restart_is_not_continuous_and_not_held_up) {
  TemporaryPostgres server({"fsync = off"});
  StreamDatabase database(server);
  database.run("CREATE TABLE t (id int PRIMARY KEY)");
  RecordedStream stream(stream_options(database.url()));
  ASSERT_TRUE(stream.wait_started());
  database.run("INSERT INTO t VALUES (1)");
  ASSERT_TRUE(stream.wait([](const auto& record) { return record.commits == 1; }));
  const auto before = base::now();
  server.restart("fast");
  EXPECT_LT(base::now() - before, 20 * base::kSecond);
  ASSERT_TRUE(stream.wait_started(2));
  // Not confirmed, so it comes again: the record of what was received is void.
  ASSERT_TRUE(stream.wait([](const auto& record) { return record.commits == 2; }));
  const auto record = stream.record();
  EXPECT_FALSE(record.starts[1].continuous);
  EXPECT_FALSE(record.starts[1].new_slot);
  EXPECT_NE(record.starts[0].identity.started_at, record.starts[1].identity.started_at);
  EXPECT_EQ(record.starts[0].identity.system, record.starts[1].identity.system);
  server.restart("immediate");
  ASSERT_TRUE(stream.wait_started(3));
  EXPECT_FALSE(stream.record().starts[2].continuous);
}

// The postmaster ends every other process, recovers and goes on: it counts that as no start of its own.
TEST(StreamFaults, a_crash_of_one_backend_is_not_continuous) {
  TemporaryPostgres server({"fsync = off"});
  StreamDatabase database(server);
  database.run("CREATE TABLE t (id int PRIMARY KEY)");
  database.run("CREATE ROLE reader LOGIN REPLICATION");
  // A role that may see no other role's sessions.
  RecordedStream stream(stream_options(server.url(freshet::testing::database_of(database.url()), "reader")));
  ASSERT_TRUE(stream.wait_started());
  database.end_stream_session();
  ASSERT_TRUE(stream.wait_started(2));
  SqlSession victim(database.url());
  ASSERT_EQ(kill(victim.process(), SIGKILL), 0);
  ASSERT_TRUE(stream.wait_started(3));
  const auto record = stream.record();
  EXPECT_TRUE(record.starts[1].continuous);
  EXPECT_FALSE(record.starts[2].continuous);
  EXPECT_EQ(record.starts[0].identity, record.starts[2].identity) << "the crash is seen in the identity: simplify";
}

TEST(StreamFaults, a_standby_is_refused_and_its_promotion_followed) {
  TemporaryPostgres primary({"fsync = off", "max_connections = 200"});
  StreamDatabase database(primary);
  const auto standby = primary.make_standby();
  const auto name = freshet::testing::database_of(database.url());
  auto options = stream_options(standby->url(name));
  options.history = std::make_shared<History>();
  RecordedStream stream(options);
  ASSERT_TRUE(stream.wait([](const auto& record) { return !record.failures.empty(); }));
  EXPECT_THAT(stream.record().failures[0], ::testing::AnyOf(HasSubstr("standby"), HasSubstr("does not exist")));
  standby->promote();
  ASSERT_TRUE(stream.wait_started());
  EXPECT_EQ(stream.record().starts[0].identity.timeline, "00000002");
  EXPECT_EQ(options.history->timeline(), "00000002");
  auto old = stream_options(database.url());
  old.history = options.history;
  RecordedStream behind(old);
  ASSERT_TRUE(behind.wait([](const auto& record) { return !record.failures.empty(); }));
  EXPECT_THAT(behind.record().failures[0], HasSubstr("old primary"));
}

TEST(StreamFaults, a_stalled_connection_is_given_up_and_its_session_ended) {
  StreamDatabase database;
  // The server would not notice by itself.
  database.run("ALTER DATABASE " + freshet::testing::database_of(database.url()) + " SET wal_sender_timeout = 0");
  database.run("CREATE TABLE t (id int PRIMARY KEY)");
  TcpProxy proxy(database.server().port());
  auto options = stream_options(database.server().url_through(proxy.port(), freshet::testing::database_of(database.url())));
  options.silence_max = 600 * base::kMillisecond;
  options.step_timeout = 500 * base::kMillisecond;
  RecordedStream stream(options);
  ASSERT_TRUE(stream.wait_started());
  proxy.set_mode(TcpProxy::Mode::stall);
  ASSERT_TRUE(stream.wait([](const auto& record) { return !record.breaks.empty(); }));
  EXPECT_THAT(stream.record().breaks[0], HasSubstr("silent"));
  database.run("INSERT INTO t VALUES (1)");
  proxy.set_mode(TcpProxy::Mode::pass);
  ASSERT_TRUE(stream.wait_started(2));
  EXPECT_TRUE(stream.record().starts[1].continuous);
  ASSERT_TRUE(stream.wait([](const auto& record) { return record.commits == 1; }));
}

TEST(StreamFaults, an_idle_server_is_not_taken_for_a_stalled_one) {
  StreamDatabase database;
  database.run("ALTER DATABASE " + freshet::testing::database_of(database.url()) + " SET wal_sender_timeout = '6s'");
  auto options = stream_options(database.url());
  options.silence_max = 5 * base::kSecond;
  RecordedStream stream(options);
  ASSERT_TRUE(stream.wait_started());
  // So many of its answers take longer than its timeout and than the silence allowed; between two of them there are 2 s to
  // spare, for a machine that is busy.
  constexpr std::uint64_t kAnswers = 3;
  constexpr std::uint64_t kKeepaliveBytes = 18;
  const auto give_up = base::now() + 30 * base::kSecond;
  while (stream.status().bytes < kAnswers * kKeepaliveBytes && base::now() < give_up) std::this_thread::yield();
  EXPECT_GE(stream.status().bytes, kAnswers * kKeepaliveBytes);
  EXPECT_TRUE(stream.record().breaks.empty());
}

TEST(StreamFaults, an_unreachable_server_is_tried_for_ever) {
  StreamDatabase database;
  TcpProxy proxy(database.server().port());
  proxy.set_mode(TcpProxy::Mode::refuse);
  RecordedStream stream(
      stream_options(database.server().url_through(proxy.port(), freshet::testing::database_of(database.url()))));
  ASSERT_TRUE(stream.wait([](const auto& record) { return record.failures.size() >= 4; }));
  proxy.set_mode(TcpProxy::Mode::pass);
  ASSERT_TRUE(stream.wait_started());
  proxy.cut();
  ASSERT_TRUE(stream.wait_started(2));
  EXPECT_TRUE(stream.record().starts[1].continuous);
}

}  // namespace
}  // namespace freshet::storage::postgres
