// The tool over rows of a guarded table (`freshet check --rows`), against a server in this process over a real PostgreSQL:
// with every protection it finds nothing; with one switched off it finds that one's anomaly within a stated number of
// operations.
// Seeds are fixed; the interleaving is the machine's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <thread>

#include "cache/composed_engine.h"
#include "checker/check_command.h"
#include "checker/load.h"
#include "checker/rows/row_statements.h"
#include "checker/rows/row_table.h"
#include "delayed_storage.h"
#include "ownership/postgres_lease.h"
#include "server/commands/table.h"
#include "server/server.h"
#include "storage/postgres/guarded/postgres_storage.h"
#include "temporary_postgres.h"

namespace freshet {
namespace {

using checker::CheckOptions;
using checker::LoadReport;
using consistency::Protections;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::DelayedStorage;
using testing::Delays;
using testing::TemporaryPostgres;

constexpr std::uint64_t kSeed = 23;
constexpr std::uint64_t kOperations = 12'000;
constexpr double kSecondsMax = 60;
// Plain SQL is let in sooner than by default, so that more of it meets writes.
constexpr base::Nanoseconds kPollInterval = 5 * base::kMillisecond;

class NoSettings final : public server::Settings {
 public:
  std::vector<std::pair<std::string, std::string>> list() const override { return {}; }
  Result<void> set(std::string_view, std::string_view) override {
    return Error::of(ErrorCode::invalid_argument, "there are no settings here");
  }
  void reload(Reloaded done) override { done(Error::of(ErrorCode::unsupported, "there are no settings here")); }
};

// So long a write may take; then it counts as lost, and may be on its way all the same.
constexpr base::Nanoseconds kWriteDeadline = 200 * base::kMillisecond;

// A network on which some writes arrive late, even once they count as lost, and answers come late or never.
Delays bad_network() {
  Delays delays;
  delays.seed = kSeed;
  delays.write_late = 0.02;
  delays.write_late_max = 2 * kWriteDeadline;
  delays.reply_lost = 0.005;
  delays.guard_late = 0;
  delays.reply_late = 0.1;
  return delays;
}

// A server over the table `checked` of a database of its own. Put together by hand: an engine with all its parts would seal
// again at once what a test has unsealed.
class Node {
 public:
  explicit Node(Protections protections) : url(TemporaryPostgres::shared().create_database()) {
    TemporaryPostgres::run(url, checker::statement_to_create("checked"));
    storage::postgres::PostgresOptions options;
    options.url = url;
    storage::CollectionSpec spec;
    spec.name = spec.table = "checked";
    spec.guarded = true;
    options.rows = {spec};
    auto opened = storage::postgres::PostgresStorage::open(options);
    if (!opened) throw std::runtime_error(opened.error().what);
    ownership::PostgresLeaseOptions lease;
    lease.url = url;
    cache::EngineParts parts;
    parts.storage = std::make_unique<DelayedStorage>(std::shared_ptr<storage::Storage>(std::move(*opened)), bad_network());
    parts.ownership = *ownership::PostgresLease::open(lease);
    parts.protections = protections;
    parts.limits.outside.poll_interval = kPollInterval;
    cache::EngineOptions engine_options;
    engine_options.memory_bytes = 16 << 20;
    engine_options.write_deadline = kWriteDeadline;
    engine = std::make_unique<cache::ComposedEngine>(engine_options, std::move(parts));
    while (engine->stats().slots_guarded != base::kSlots) std::this_thread::yield();
    server::ServerOptions server_options;
    server_options.listen = "127.0.0.1:0";
    server_options.threads = 2;
    auto started = server::Server::start(server_options, server::command_table(), *engine, settings);
    if (!started) throw std::runtime_error(started.error().what);
    server = std::move(*started);
  }

  CheckOptions check_with(std::uint64_t operations = kOperations) const {
    CheckOptions options;
    options.target = "127.0.0.1:" + std::to_string(server->port());
    options.via_sql = url;
    options.rows = "checked";
    options.seconds = kSecondsMax;
    options.operations = operations;
    options.seed = kSeed;
    return options;
  }

  const std::string url;
  NoSettings settings;
  std::unique_ptr<cache::ComposedEngine> engine;
  std::unique_ptr<server::Server> server;
};

std::string all_of(const LoadReport& report) {
  std::string text = report.online_violation;
  for (const std::string& one : report.judgement.reports) text += one;
  if (report.rows) {
    for (const std::string& one : report.rows->violations) text += one;
  }
  return text;
}

TEST(CheckedRows, nothing_is_found_where_nothing_is_wrong) {
  const Node node({});
  std::ostringstream out;
  EXPECT_EQ(run_check(node.check_with(), out), checker::kExitFine) << out.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("no violation"), HasSubstr("refused, 0 accepted")));
  EXPECT_EQ(TemporaryPostgres::run(node.url, "SELECT count(*) FROM checked")[0][0], "0") << "what it made is gone";
}

struct Switch {
  const char* name;
  bool Protections::* protection;
};

// Those that concern rows. (outside_fence is left to PlainSqlFence, which plays its race: one run in three misses it here.)
class WithoutAProtection : public ::testing::TestWithParam<Switch> {};

TEST_P(WithoutAProtection, its_anomaly_is_found) {
  Protections protections;
  protections.*GetParam().protection = false;
  const Node node(protections);
  CheckOptions options = node.check_with(10 * kOperations);
  options.sql_clients = 4;
  const LoadReport report = run_load(options);
  EXPECT_TRUE(report.violated()) << report.operations << " operations; the last error was: " << report.last_error;
  std::cerr << report.operations << " operations\n" << all_of(report);
}

INSTANTIATE_TEST_SUITE_P(Rows, WithoutAProtection,
                         ::testing::Values(Switch{"overlapped", &Protections::overlapped},
                                           Switch{"fence_unknown", &Protections::fence_unknown},
                                           Switch{"key_locks", &Protections::key_locks},
                                           Switch{"rows_in_turn", &Protections::rows_in_turn},
                                           Switch{"outside_marks", &Protections::outside_marks}),
                         [](const auto& tested) { return tested.param.name; });

// A seal that somebody has switched off.
TEST(CheckedRows, a_disabled_seal_is_found) {
  const Node node({});
  TemporaryPostgres::run(node.url, "ALTER TABLE checked DISABLE TRIGGER freshet_seal");
  CheckOptions options = node.check_with();
  options.json = true;
  std::ostringstream out;
  EXPECT_EQ(run_check(options, out), checker::kExitViolation);
  EXPECT_THAT(out.str(), AllOf(StartsWith("{\"verdict\":\"violation\","), HasSubstr("\"rows\":{\"command_writes\":"),
                               HasSubstr("the table checked is not sealed: it accepted"), EndsWith("}\n")));
}

// What the operator is told before anything is written.
TEST(CheckedRows, a_table_that_does_not_do_is_refused_with_the_one_that_does) {
  const std::string url = TemporaryPostgres::shared().create_database();
  checker::SqlConnection connection(url);
  ASSERT_TRUE(connection.open());
  const std::pair<const char*, const char*> cases[] = {
      {"", "there is no such table"},
      {"CREATE TABLE t (key text, value text, n bigint)", "there is no such table with a primary key"},
      {"CREATE TABLE t (key int PRIMARY KEY, value text, n bigint)", "not one column of type text"},
      {"CREATE TABLE t (key text, more text, value text, n bigint, PRIMARY KEY (key, more))", "not one column of type text"},
      {"CREATE TABLE t (key text PRIMARY KEY, value varchar(5), n bigint)", "no column 'value' of type text"},
      {"CREATE TABLE t (key text PRIMARY KEY, value text)", "no column 'n' of type bigint"},
      {"CREATE TABLE t (key text PRIMARY KEY, value text, n bigint, \"A B\" int NOT NULL)", "its columns \"A B\" want"},
      {"CREATE TABLE t (key text PRIMARY KEY, value text, n bigint DEFAULT 5)", "its columns n want"},
  };
  for (const auto& [create, words] : cases) {
    TemporaryPostgres::run(url, std::string("DROP TABLE IF EXISTS t; ") + create);
    const auto found = find_row_table(connection, "t");
    ASSERT_FALSE(found) << create;
    EXPECT_THAT(found.error().what, HasSubstr(words));
    EXPECT_THAT(found.error().remedy, HasSubstr("CREATE TABLE t (key text PRIMARY KEY, value text, n bigint);"));
  }
  TemporaryPostgres::run(url, "CREATE SCHEMA s;"
                              "CREATE TABLE s.\"T\" (\"K\" text PRIMARY KEY, n bigint, value text, at date)");
  const auto found = find_row_table(connection, "s.\"T\"");
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_EQ(found->name, "s.\"T\"");
  EXPECT_EQ(found->key_column, "\"K\"");
}

TEST(CheckedRows, another_collection_or_database_is_refused) {
  const Node node({});
  CheckOptions options = node.check_with();
  options.rows = "other";
  options.table = "checked";
  EXPECT_THAT(run_load(options).refused, HasSubstr("no guarded collection of that name"));
  options = node.check_with();
  options.via_sql = TemporaryPostgres::shared().create_database();
  TemporaryPostgres::run(options.via_sql, checker::statement_to_create("checked"));
  EXPECT_THAT(run_load(options).refused, HasSubstr("does not show what the target has written"));
  EXPECT_EQ(TemporaryPostgres::run(node.url, "SELECT count(*) FROM checked")[0][0], "0");
}

// The two rows of a pair, written apart: whoever looks at both says so.
TEST(CheckedRows, sql_sees_a_torn_pair) {
  const std::string url = TemporaryPostgres::shared().create_database();
  TemporaryPostgres::run(url, checker::statement_to_create("t") + "INSERT INTO t VALUES ('a', 'x'), ('b', 'x'), ('c', 'y')");
  checker::SqlConnection connection(url);
  ASSERT_TRUE(connection.open());
  const checker::RowTable table = *find_row_table(connection, "t");
  const auto torn = [&](checker::Kind kind, const std::string& ids) {
    checker::Operation operation;
    operation.kind = kind;
    operation.argument = "z";
    const auto answer = run_row_statement(connection, operation, ids, table, checker::kTextColumn);
    EXPECT_TRUE(answer.ok()) << answer.message();
    return interpret_row_answer(answer, 2, operation).torn;
  };
  EXPECT_EQ(torn(checker::Kind::get, "{a,b}"), "");
  EXPECT_THAT(torn(checker::Kind::get, "{a,c}"), HasSubstr("the other"));
  EXPECT_THAT(torn(checker::Kind::get, "{a,none}"), HasSubstr("1 of 2 rows"));
  EXPECT_THAT(torn(checker::Kind::exchange, "{a,c}"), HasSubstr("'x'"));
  EXPECT_EQ(torn(checker::Kind::exchange, "{a,c}"), "") << "the first has made them the same";
  EXPECT_THAT(torn(checker::Kind::set_if_absent, "{a,d}"), HasSubstr("1 of 2 rows"));
  EXPECT_THAT(torn(checker::Kind::set_if_present, "{a,none}"), HasSubstr("1 of 2 rows"));
  EXPECT_THAT(torn(checker::Kind::erase, "{a,none}"), HasSubstr("1 of 2 rows"));
}

}  // namespace
}  // namespace freshet
