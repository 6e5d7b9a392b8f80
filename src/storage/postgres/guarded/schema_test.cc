// Schema freshet: made once, found again, refused when newer; and the privileges that an ordinary role needs.
#include "storage/postgres/schema.h"

#include <atomic>
#include <thread>

#include "storage/postgres/guarded/test_database.h"

namespace freshet::storage::postgres {
namespace {

TEST(PostgresSchema, many_servers_may_make_it_at_once) {
  const auto url = TemporaryPostgres::shared().create_database();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { EXPECT_TRUE(open_storage(options_for(url))); });
  }
  for (auto& thread : threads) thread.join();
}

TEST(PostgresSchema, running_the_text_again_changes_nothing) {
  const auto url = TemporaryPostgres::shared().create_database();
  TemporaryPostgres::run(url, schema_sql());
  const auto database = TemporaryPostgres::run(url, "SELECT database FROM freshet.meta");
  TemporaryPostgres::run(url, schema_sql());
  EXPECT_EQ(TemporaryPostgres::run(url, "SELECT database FROM freshet.meta"), database);
}

TEST(PostgresSchema, a_newer_schema_is_refused_and_left_alone) {
  const auto url = TemporaryPostgres::shared().create_database();
  TemporaryPostgres::run(url, schema_sql());
  TemporaryPostgres::run(url, "UPDATE freshet.meta SET schema_version = " + std::to_string(kSchemaVersion + 1));
  const auto storage = PostgresStorage::open(options_for(url));
  ASSERT_FALSE(storage);
  EXPECT_EQ(storage.error().code, ErrorCode::unsupported);
  EXPECT_NE(storage.error().what.find(std::to_string(kSchemaVersion + 1)), std::string::npos) << storage.error().what;
  EXPECT_FALSE(SqlSession(url).run(schema_sql()).ok) << "by hand, too";
}

// A schema of version 5: values are strings, and its functions leave kinds alone.
TEST(PostgresSchema, an_older_schema_holds_strings_and_loses_the_functions_that_know_nothing_else) {
  const auto url = TemporaryPostgres::shared().create_database();
  ASSERT_TRUE(open_storage(options_for(url)));
  const auto run = [&](const std::string& sql) { return TemporaryPostgres::run(url, sql); };
  run("ALTER TABLE freshet.kv DROP COLUMN kind");
  run("INSERT INTO freshet.kv SELECT 'old', " + std::to_string(position_of("old")) +
      ", 'value', nextval('freshet.version'), gen_random_uuid()");
  run("CREATE FUNCTION freshet.mutate(boolean, integer, bytea, bigint, bytea, bigint, integer, bigint, integer, bigint, "
      "uuid) RETURNS integer LANGUAGE sql AS 'SELECT 1'");
  run("CREATE FUNCTION freshet.write(integer, text, boolean, uuid, integer[], uuid[], integer[], bytea[], bigint[], "
      "bytea[], bigint[], integer[], bigint[], integer[], bigint[], boolean[]) RETURNS integer LANGUAGE sql AS 'SELECT 1'");
  run("UPDATE freshet.meta SET schema_version = 5");
  const auto storage = open_storage(options_for(url));
  ASSERT_TRUE(storage);
  BlockingStorage calls(*storage);
  const auto reply = calls.read({"old"});
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(reply->states[0].value, "value");
  EXPECT_EQ(reply->states[0].kind, ValueKind::string);
  EXPECT_EQ(run("SELECT schema_version FROM freshet.meta")[0][0], std::to_string(kSchemaVersion));
  EXPECT_EQ(run("SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'freshet' "
                "AND p.proname IN ('write', 'mutate')")[0][0], "2");
}

TEST(PostgresSchema, an_ordinary_role_works_after_an_administrator_ran_the_text) {
  auto& server = TemporaryPostgres::shared();
  const auto url = server.create_database();
  const auto database = freshet::testing::database_of(url);
  TemporaryPostgres::run(url, "DROP ROLE IF EXISTS ordinary");
  TemporaryPostgres::run(url, "CREATE ROLE ordinary LOGIN");
  const auto ordinary = server.url(database, "ordinary");

  const auto refused = PostgresStorage::open(options_for(ordinary));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unsupported) << refused.error().what;
  EXPECT_FALSE(refused.error().remedy.empty());

  TemporaryPostgres::run(url, schema_sql("ordinary"));
  for (const auto dialect : {GuardDialect::advisory, GuardDialect::for_share}) {
    const auto storage = open_storage(options_for(ordinary, dialect));
    ASSERT_TRUE(storage);
    BlockingStorage calls(*storage);
    const auto token = Token::make();
    auto guarded = calls.set_guard(kAllSlots, token);
    ASSERT_TRUE(guarded) << guarded.error().what;
    const auto written = calls.write(request_of({put("k", "v", token), freshet::testing::increment("n", 1, token)}));
    ASSERT_TRUE(written) << written.error().what;
    ASSERT_TRUE(calls.write(request_of({put("k", "v", token)})));
    ASSERT_TRUE(calls.read({"k"}));
    ASSERT_TRUE(calls.scan(0, 10));
    ASSERT_TRUE(calls.count());
    ASSERT_TRUE(calls.split_points(kAllSlots, 2));
    const auto health = calls.health();
    ASSERT_TRUE(health) << health.error().what;
    EXPECT_FALSE(health->identity.system.empty());
  }
  TemporaryPostgres::run(url, "DROP OWNED BY ordinary; DROP ROLE ordinary");
}

// On servers that keep pg_control_system() to themselves the database's own id stands in.
TEST(PostgresSchema, without_pg_control_system_there_is_still_an_identity) {
  auto& server = TemporaryPostgres::shared();
  const auto url = server.create_database();
  TemporaryPostgres::run(url, "DROP ROLE IF EXISTS confined");
  TemporaryPostgres::run(url, "CREATE ROLE confined LOGIN");
  TemporaryPostgres::run(url, schema_sql("confined"));
  TemporaryPostgres::run(url, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
  const auto storage = open_storage(options_for(server.url(freshet::testing::database_of(url), "confined")));
  ASSERT_TRUE(storage);
  const auto health = BlockingStorage(*storage).health();
  ASSERT_TRUE(health) << health.error().what;
  EXPECT_EQ(health->identity.system, TemporaryPostgres::run(url, "SELECT database FROM freshet.meta")[0][0]);
}

TEST(PostgresSchema, wrong_options_are_refused) {
  auto options = options_for("not a connection string");
  EXPECT_EQ(PostgresStorage::open(options).error().code, ErrorCode::invalid_argument);
  options = options_for(TemporaryPostgres::shared().url());
  options.fleet = "two words";
  EXPECT_EQ(PostgresStorage::open(options).error().code, ErrorCode::invalid_argument);
  options.fleet = "default";
  options.connections = 1;
  EXPECT_EQ(PostgresStorage::open(options).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace freshet::storage::postgres
