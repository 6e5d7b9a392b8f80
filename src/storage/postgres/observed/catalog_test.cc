// What stands behind collections: faults with their remedies, the publication, and fingerprints under DDL.
#include "storage/postgres/observed/catalog.h"

#include <gmock/gmock.h>

#include <future>

#include "storage/postgres/observed/observed_database.h"

namespace freshet::storage::postgres {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct ObservedCatalogTest : ::testing::Test {
  ObservedDatabase database;
  std::string url = database.url();

  void sql(const std::string& text) { database.sql(text); }

  Result<CatalogRef> look(const ObservedOptions& options) {
    Interrupt interrupt;
    CatalogSession session(*connection_parameters(options.url, "test"), interrupt, 5 * base::kSecond, 10 * base::kSecond);
    if (auto connected = session.ensure_connected("SELECT " + output_settings_sql()); !connected) return connected.error();
    return read_catalog(session, options);
  }
  CatalogRef look(std::vector<CollectionSpec> specs) {
    auto options = database.options(std::move(specs));
    options.url = url;
    auto catalog = look(options);
    EXPECT_TRUE(catalog) << catalog.error().what;
    return catalog ? *catalog : nullptr;
  }
  std::string fault_of(const CollectionSpec& spec) {
    const auto catalog = look({spec});
    const auto& fault = catalog->collections[0].fault;
    return fault ? fault->what + " | " + fault->remedy : "none";
  }
};

TEST_F(ObservedCatalogTest, names_follow_the_search_path_and_the_shape_follows_the_columns) {
  sql("CREATE SCHEMA app; CREATE TABLE app.t (id int8 PRIMARY KEY, a bool, b json, c float4, d numeric, e text, f int2[]);"
      "ALTER DATABASE " + freshet::testing::database_of(url) + " SET search_path = app");
  const auto catalog = look({rows_of("t", "t")});
  ASSERT_FALSE(catalog->collections[0].fault);
  std::vector<ColumnKind> kinds;
  for (const auto& column : catalog->collections[0].shape->columns) kinds.push_back(column.kind);
  EXPECT_EQ(kinds, (std::vector{ColumnKind::integer, ColumnKind::boolean, ColumnKind::json, ColumnKind::real,
                                ColumnKind::numeric, ColumnKind::text, ColumnKind::text}));
  EXPECT_EQ(catalog->collections[0].depends_on, "app.t by its primary key (id)");
}

TEST_F(ObservedCatalogTest, what_cannot_be_followed_is_refused_with_what_to_do) {
  sql("CREATE TABLE plain (id int PRIMARY KEY, v text); CREATE VIEW v AS SELECT * FROM plain;"
      "CREATE MATERIALIZED VIEW m AS SELECT * FROM plain; CREATE UNLOGGED TABLE u (id int PRIMARY KEY);"
      "CREATE TABLE keyless (id int); ALTER TABLE keyless REPLICA IDENTITY FULL;"
      "CREATE TABLE silent (id int PRIMARY KEY); ALTER TABLE silent REPLICA IDENTITY NOTHING;"
      "CREATE TABLE spans (id interval PRIMARY KEY);"
      "CREATE TABLE sub (id int PRIMARY KEY, alt int NOT NULL UNIQUE);"
      "ALTER TABLE sub REPLICA IDENTITY USING INDEX sub_alt_key;"
      "CREATE COLLATION nd (provider = icu, locale = 'und', deterministic = false);"
      "CREATE TABLE loose (id text COLLATE nd PRIMARY KEY);"
      "CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id);"
      "CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (10);"
      "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child () INHERITS (parent);"
      "CREATE TABLE late (id int PRIMARY KEY DEFERRABLE)");
  const auto refused = [&](const char* table) { return fault_of(rows_of("c", table)); };
  EXPECT_THAT(refused("nothing"), HasSubstr("there is no table nothing"));
  EXPECT_THAT(refused("v"), HasSubstr("is a view"));
  EXPECT_THAT(refused("m"), HasSubstr("materialized view"));
  EXPECT_THAT(refused("u"), HasSubstr("ALTER TABLE public.u SET LOGGED;"));
  EXPECT_THAT(refused("keyless"), HasSubstr("ALTER TABLE public.keyless ADD PRIMARY KEY"));
  EXPECT_THAT(refused("silent"), HasSubstr("ALTER TABLE public.silent REPLICA IDENTITY FULL;"));
  EXPECT_THAT(refused("spans"), HasSubstr("of type interval"));
  EXPECT_THAT(refused("sub"), HasSubstr("ALTER TABLE public.sub REPLICA IDENTITY DEFAULT;"));
  EXPECT_THAT(refused("loose"), HasSubstr("non-deterministic collation"));
  EXPECT_THAT(refused("leaf"), HasSubstr("is a partition of root"));
  EXPECT_THAT(refused("parent"), HasSubstr("inherit"));
  EXPECT_THAT(refused("late"), HasSubstr("REPLICA IDENTITY FULL"));
  EXPECT_EQ(refused("plain"), "none");
  EXPECT_EQ(refused("root"), "none");
  auto spec = rows_of("c", "plain");
  spec.columns = {{"w", "w"}};
  EXPECT_THAT(fault_of(spec), HasSubstr("has no column w | Its columns are id, v."));
}

TEST_F(ObservedCatalogTest, a_partition_outside_the_log_is_a_fault_of_its_root) {
  sql("CREATE TABLE root (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
      "CREATE TABLE plain PARTITION OF root FOR VALUES FROM (0) TO (10);"
      "CREATE UNLOGGED TABLE dark PARTITION OF root FOR VALUES FROM (10) TO (20)");
  const auto refused = AllOf(HasSubstr("public.dark"), HasSubstr("ALTER TABLE public.dark SET LOGGED;"));
  EXPECT_THAT(fault_of(rows_of("c", "root")), refused);
  EXPECT_THAT(fault_of(query_of("c", "SELECT id, v FROM root WHERE id = $1")), refused);
  EXPECT_THAT(fault_of(query_of("c", "SELECT id, v FROM plain WHERE id = $1")), refused) << "it is told as its root";
  auto declared = query_of("c", "SELECT count(*) FROM root");
  declared.declared = true;
  EXPECT_THAT(fault_of(declared), refused);
  sql("ALTER TABLE dark SET LOGGED");
  EXPECT_EQ(fault_of(rows_of("c", "root")), "none");
  EXPECT_EQ(fault_of(query_of("c", "SELECT id, v FROM plain WHERE id = $1")), "none");
  sql("CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere;"
      "CREATE TABLE keyless (id int) PARTITION BY RANGE (id);"
      "CREATE FOREIGN TABLE away PARTITION OF keyless FOR VALUES FROM (20) TO (30) SERVER far");
  EXPECT_THAT(fault_of(rows_of("c", "keyless")), HasSubstr("a foreign partition, public.away"));
  EXPECT_THAT(fault_of(query_of("c", "SELECT count(*) FROM keyless")), HasSubstr("a foreign partition, public.away"));
}

TEST_F(ObservedCatalogTest, missing_rights_are_named_with_the_statements) {
  sql("CREATE TABLE t (id int PRIMARY KEY, v text); DROP ROLE IF EXISTS reader_catalog;"
      "CREATE ROLE reader_catalog LOGIN REPLICATION");
  url = logical_server().url(freshet::testing::database_of(url), "reader_catalog");
  EXPECT_THAT(fault_of(rows_of("t", "t")), HasSubstr("GRANT SELECT ON public.t TO reader_catalog;"));
  sql("GRANT SELECT ON t TO reader_catalog");
  EXPECT_THAT(fault_of(rows_of("t", "t")),
              HasSubstr("CREATE PUBLICATION \"freshet\" FOR TABLE ONLY public.t WITH (publish_via_partition_root = true);"));
  sql("CREATE PUBLICATION freshet WITH (publish_via_partition_root = true)");
  EXPECT_THAT(fault_of(rows_of("t", "t")), HasSubstr("ALTER PUBLICATION \"freshet\" ADD TABLE ONLY public.t;"));
  sql("ALTER PUBLICATION freshet ADD TABLE t");
  EXPECT_EQ(fault_of(rows_of("t", "t")), "none");
  sql("ALTER TABLE t ENABLE ROW LEVEL SECURITY");
  EXPECT_THAT(fault_of(rows_of("t", "t")), HasSubstr("ALTER ROLE reader_catalog BYPASSRLS;"));
  sql("DROP OWNED BY reader_catalog; DROP ROLE reader_catalog");
}

TEST_F(ObservedCatalogTest, a_managed_publication_is_made_and_extended) {
  sql("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)");
  EXPECT_FALSE(look({rows_of("a", "a")})->collections[0].fault);
  const auto first = look({rows_of("a", "a"), rows_of("b", "b")});
  EXPECT_FALSE(first->collections[0].fault);
  EXPECT_FALSE(first->collections[1].fault);
  const auto rows = TemporaryPostgres::run(
      url, "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_publication_tables WHERE pubname = 'freshet'");
  EXPECT_EQ(rows[0][0], "a b");
  EXPECT_EQ(look({rows_of("a", "a"), rows_of("b", "b")})->fingerprint, first->fingerprint) << "nothing changed";
}

TEST_F(ObservedCatalogTest, an_adopted_publication_is_only_checked) {
  sql("CREATE TABLE t (id int PRIMARY KEY, v text, w text); CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)");
  auto options = database.options({rows_of("t", "t"), rows_of("p", "p")});
  options.publication_managed = false;
  options.publication = "theirs";
  const auto fault = [&](std::size_t i) {
    const auto catalog = look(options);
    EXPECT_TRUE(catalog);
    const auto& found = (*catalog)->collections[i].fault;
    return found ? found->what + " | " + found->remedy : "none";
  };
  EXPECT_THAT(fault(0), HasSubstr("CREATE PUBLICATION \"theirs\" FOR TABLE"));
  sql("CREATE PUBLICATION theirs FOR TABLE t WHERE (id > 5), TABLE p");
  EXPECT_THAT(fault(0), HasSubstr("only some rows"));
  EXPECT_THAT(fault(1), HasSubstr("SET (publish_via_partition_root = true)"));
  sql("ALTER PUBLICATION theirs SET TABLE t (id, v)");
  EXPECT_EQ(fault(0), "none");
  const auto catalog = look(options);
  std::vector<bool> carried;
  for (const auto& column : (*catalog)->collections[0].mappings[0].rows[0].shown) carried.push_back(column.in_stream);
  EXPECT_EQ(carried, (std::vector<bool>{true, true, false}));
  sql("ALTER PUBLICATION theirs SET (publish = 'insert, update')");
  EXPECT_THAT(fault(0), HasSubstr("does not publish delete, truncate"));
}

TEST_F(ObservedCatalogTest, asynchronous_writers_are_seen_in_the_defaults) {
  sql("CREATE TABLE t (id int PRIMARY KEY); DROP ROLE IF EXISTS hasty_writer; CREATE ROLE hasty_writer");
  EXPECT_FALSE(look({rows_of("t", "t")})->insert_position);
  sql("ALTER ROLE hasty_writer SET synchronous_commit = off");
  EXPECT_TRUE(look({rows_of("t", "t")})->insert_position);
  sql("DROP ROLE hasty_writer");
  EXPECT_FALSE(look({rows_of("t", "t")})->insert_position);
  sql("ALTER DATABASE " + freshet::testing::database_of(url) + " SET synchronous_commit = off");
  EXPECT_TRUE(look({rows_of("t", "t")})->insert_position);
}

TEST_F(ObservedCatalogTest, asynchronous_subscriptions_are_seen) {
  sql("CREATE TABLE t (id int PRIMARY KEY); CREATE SUBSCRIPTION s CONNECTION 'host=nowhere.invalid' PUBLICATION p WITH "
      "(connect = false, slot_name = NONE, synchronous_commit = remote_apply)");
  EXPECT_FALSE(look({rows_of("t", "t")})->insert_position);
  sql("ALTER SUBSCRIPTION s SET (synchronous_commit = off)");
  EXPECT_TRUE(look({rows_of("t", "t")})->insert_position);
  sql("DROP SUBSCRIPTION s");
}

// The position that probes ask for follows; what is cached stays.
TEST_F(ObservedCatalogTest, what_makes_commits_asynchronous_later_is_noticed) {
  sql("CREATE TABLE t (id int PRIMARY KEY); DROP ROLE IF EXISTS hasty_later; CREATE ROLE hasty_later");
  database.follow({rows_of("t", "t")});
  for (const auto* statement :
       {"ALTER ROLE hasty_later SET synchronous_commit = off", "DROP ROLE hasty_later",
        "CREATE SUBSCRIPTION s CONNECTION 'host=nowhere.invalid' PUBLICATION p WITH (connect = false, slot_name = NONE)",
        "DROP SUBSCRIPTION s"}) {
    const auto before = database.heard.description();
    ASSERT_EQ(database.probe().fingerprint, before.fingerprint);
    sql(statement);
    EXPECT_NE(database.probe().fingerprint, before.fingerprint) << statement;
    const auto after = database.reload();
    EXPECT_EQ(after.collections[0].fingerprint, before.collections[0].fingerprint) << statement;
  }
}

// A change that alters nothing of what is looked up, made while the fingerprints are read: either the probe sees it later,
// or the collection's own fingerprint is a new one. A lock on pg_enum holds the reading up at the collection that has an
// enum.
TEST_F(ObservedCatalogTest, a_silent_change_between_the_fingerprints_is_not_swallowed) {
  sql("CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE moody (id int PRIMARY KEY, m mood);"
      "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);"
      "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)");
  const std::vector<CollectionSpec> specs = {rows_of("p", "p"), rows_of("moody", "moody")};
  ASSERT_TRUE(look(specs));
  SqlSession holder(url);
  ASSERT_TRUE(holder.run("BEGIN").ok);
  ASSERT_TRUE(holder.run("LOCK TABLE pg_catalog.pg_enum IN ACCESS EXCLUSIVE MODE").ok);
  auto looking = std::async(std::launch::async, [&] { return look(specs); });
  const auto waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'pg_catalog.pg_enum'::regclass AND database = "
                     "(SELECT oid FROM pg_database WHERE datname = current_database())";
  const auto deadline = base::now() + kTestPatience;
  while (database.sql(waits).empty()) ASSERT_LT(base::now(), deadline) << "nobody reads pg_enum";
  ASSERT_TRUE(holder.run("TRUNCATE p1").ok);
  ASSERT_TRUE(holder.run("COMMIT").ok);
  const auto raced = looking.get();
  const auto fresh = look(specs);
  ASSERT_TRUE(raced && fresh);
  EXPECT_TRUE(raced->fingerprint != fresh->fingerprint ||
              raced->collections[0].fingerprint == fresh->collections[0].fingerprint);
}

// Each statement is noticed by the probe, and by the collection that it concerns alone.
struct DdlTest : ::testing::TestWithParam<const char*> {};

TEST_P(DdlTest, changes_the_fingerprint) {
  ObservedDatabase database;
  database.sql("CREATE TYPE mood AS ENUM ('sad', 'fine');"
               "CREATE TABLE t (id int PRIMARY KEY, v varchar(20), gone int, m mood);"
               "CREATE TABLE other (id int PRIMARY KEY);"
               "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);"
               "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
               "CREATE TABLE loose (id int PRIMARY KEY)");
  database.follow({rows_of("t", "t"), rows_of("other", "other"), rows_of("p", "p")});
  const auto before = database.heard.description();
  for (const auto& collection : before.collections) ASSERT_FALSE(collection.fault) << collection.fault->what;
  ASSERT_EQ(database.probe().fingerprint, before.fingerprint);
  database.sql("INSERT INTO t VALUES (1); ANALYZE; CREATE INDEX ON loose (id); CREATE TABLE unrelated (a int)");
  database.sql("VACUUM t");
  ASSERT_EQ(database.probe().fingerprint, before.fingerprint) << "what concerns nothing changes nothing";

  database.sql(GetParam());
  const auto probed = database.probe().fingerprint;
  EXPECT_NE(probed, before.fingerprint);
  const auto after = database.reload();
  EXPECT_EQ(database.probe().fingerprint, after.fingerprint);
  EXPECT_EQ(after.collections[1].fingerprint, before.collections[1].fingerprint) << "another table's entries may stay";
  const bool concerns_p = std::string(GetParam()).find(" p1") != std::string::npos ||
                          std::string(GetParam()).find(" p ") != std::string::npos;
  EXPECT_NE(after.collections[concerns_p ? 2 : 0].fingerprint, before.collections[concerns_p ? 2 : 0].fingerprint);
}

INSTANTIATE_TEST_SUITE_P(
    statements, DdlTest,
    ::testing::Values("ALTER TABLE t ADD COLUMN w int DEFAULT 5", "ALTER TABLE t DROP COLUMN gone",
                    "ALTER TABLE t RENAME COLUMN v TO w", "ALTER TABLE t ALTER COLUMN id TYPE int8",
                    "ALTER TABLE t ALTER COLUMN v TYPE text", "DROP TABLE t", "ALTER TABLE t RENAME TO s",
                    "ALTER TABLE t RENAME TO s; CREATE TABLE t (id int PRIMARY KEY, v varchar(20), gone int, m mood)",
                    "DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v varchar(20), gone int, m mood)",
                    "ALTER TABLE t DROP CONSTRAINT t_pkey", "ALTER TABLE t REPLICA IDENTITY FULL",
                    "ALTER TABLE t ENABLE ROW LEVEL SECURITY", "ALTER PUBLICATION freshet DROP TABLE t",
                    "ALTER PUBLICATION freshet SET TABLE t WHERE (id > 1), other, p",
                    "ALTER TYPE mood RENAME VALUE 'sad' TO 'low'",
                    "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)", "ALTER TABLE p DETACH PARTITION p1",
                    "ALTER TABLE p ATTACH PARTITION loose FOR VALUES FROM (50) TO (60)", "TRUNCATE p1",
                    "ALTER TABLE p1 REPLICA IDENTITY NOTHING"));

// The same for queries: what their tables inherit from, and what their texts are made of.
struct QueryDdlTest : ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(QueryDdlTest, changes_the_fingerprint) {
  ObservedDatabase database;
  database.sql("CREATE TYPE mood AS ENUM ('sad', 'fine'); CREATE TYPE pair AS (a int, b mood);"
               "CREATE TABLE parent (id int PRIMARY KEY, v text); CREATE TABLE c1 () INHERITS (parent);"
               "ALTER TABLE c1 ADD PRIMARY KEY (id); CREATE TABLE loose (id int PRIMARY KEY, v text);"
               "CREATE TABLE t (id int PRIMARY KEY, m mood, p pair)");
  const auto& [query, ddl] = GetParam();
  database.follow({query_of("q", query)});
  const auto before = database.heard.description();
  ASSERT_FALSE(before.collections[0].fault) << before.collections[0].fault->what;
  ASSERT_EQ(database.probe().fingerprint, before.fingerprint);
  database.sql(ddl);
  EXPECT_NE(database.probe().fingerprint, before.fingerprint);
  EXPECT_NE(database.reload().collections[0].fingerprint, before.collections[0].fingerprint);
}

constexpr const char* kOfParent = "SELECT id, v FROM parent WHERE id = $1";

INSTANTIATE_TEST_SUITE_P(
    statements, QueryDdlTest,
    ::testing::Values(std::pair(kOfParent, "CREATE TABLE c2 (PRIMARY KEY (id)) INHERITS (parent)"),
                      std::pair(kOfParent, "ALTER TABLE c1 NO INHERIT parent"),
                      std::pair(kOfParent, "ALTER TABLE loose ALTER id SET NOT NULL; ALTER TABLE loose INHERIT parent"),
                      std::pair("SELECT m::text AS x FROM t WHERE id = $1", "ALTER TYPE mood RENAME VALUE 'sad' TO 'low'"),
                      std::pair("SELECT json_agg(m) AS x FROM t WHERE id = $1",
                                "ALTER TYPE mood RENAME VALUE 'sad' TO 'low'"),
                      std::pair("SELECT concat(p) AS x FROM t WHERE id = $1", "ALTER TYPE mood RENAME VALUE 'sad' TO 'low'"),
                      std::pair("SELECT to_json(p) AS x FROM t WHERE id = $1", "ALTER TYPE pair RENAME ATTRIBUTE a TO c")));

}  // namespace
}  // namespace freshet::storage::postgres
