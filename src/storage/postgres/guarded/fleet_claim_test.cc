// One fleet for a database: the first one claims it, and every way in is closed to the others.
#include "storage/postgres/schema.h"
#include "storage/postgres/guarded/test_database.h"

namespace freshet::storage::postgres {
namespace {

PostgresOptions of_fleet(const std::string& url, const std::string& fleet) {
  auto options = options_for(url);
  options.fleet = fleet;
  return options;
}

TEST(PostgresFleets, a_second_fleet_is_refused_with_the_first_ones_name) {
  const auto url = TemporaryPostgres::shared().create_database();
  ASSERT_TRUE(open_storage(of_fleet(url, "first")));
  const auto second = PostgresStorage::open(of_fleet(url, "second"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(second.error().what.find("\"first\""), std::string::npos) << second.error().what;
  EXPECT_FALSE(second.error().remedy.empty());
  EXPECT_TRUE(open_storage(of_fleet(url, "first"))) << "and again";
}

TEST(PostgresFleets, in_sql_too) {
  const auto url = TemporaryPostgres::shared().create_database();
  ASSERT_TRUE(open_storage(of_fleet(url, "first")));
  SqlSession session(url);
  const auto token = Token::make().to_text();
  EXPECT_EQ(session.run("SELECT freshet.set_guard(7, 'second', 0, 63, '" + token + "')").state, "FR003");
  EXPECT_EQ(session.run("SELECT freshet.swap_lease('second', NULL, NULL, NULL, 'h', 1, 1, 1000)").state, "FR003");
  EXPECT_TRUE(session.run("SELECT freshet.set_guard(7, 'first', 0, 63, '" + token + "')").ok);
  EXPECT_TRUE(session.run("SELECT freshet.swap_lease('first', NULL, NULL, NULL, 'h', 1, 1, 1000)").ok);
}

// A storage that was open when the database was handed over.
TEST(PostgresFleets, a_storage_of_the_former_fleet_sets_no_guard_any_more) {
  const auto url = TemporaryPostgres::shared().create_database();
  const auto storage = open_storage(of_fleet(url, "first"));
  ASSERT_TRUE(storage);
  TemporaryPostgres::run(url, "UPDATE freshet.meta SET fleet = NULL");
  ASSERT_TRUE(open_storage(of_fleet(url, "second")));
  const auto guarded = BlockingStorage(*storage).set_guard(kAllSlots, Token::make());
  ASSERT_FALSE(guarded);
  EXPECT_EQ(guarded.error().code, ErrorCode::invalid_argument) << guarded.error().what;
}

// A schema of version 1: no fleet, and guards that do not say how their writers lock.
TEST(PostgresFleets, an_older_schema_is_upgraded_and_its_guards_are_void) {
  const auto url = TemporaryPostgres::shared().create_database();
  const auto token = Token::make();
  {
    const auto storage = open_storage(options_for(url));
    ASSERT_TRUE(storage);
    ASSERT_TRUE(BlockingStorage(*storage).set_guard(kAllSlots, token));
  }
  TemporaryPostgres::run(url, "ALTER TABLE freshet.meta DROP COLUMN fleet");
  TemporaryPostgres::run(url, "ALTER TABLE freshet.guard DROP COLUMN writers_class");
  TemporaryPostgres::run(url, "UPDATE freshet.meta SET schema_version = 1");
  const auto storage = open_storage(options_for(url));
  ASSERT_TRUE(storage);
  BlockingStorage calls(*storage);
  const auto refused = calls.write(request_of({put("k", "v", token)}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::guard_mismatch);
  const auto next = Token::make();
  ASSERT_TRUE(calls.set_guard(kAllSlots, next));
  EXPECT_TRUE(calls.write(request_of({put("k", "v", next)})));
  EXPECT_FALSE(PostgresStorage::open(of_fleet(url, "second")));
}

}  // namespace
}  // namespace freshet::storage::postgres
