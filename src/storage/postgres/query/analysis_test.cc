// The analysis of queries against a real PostgreSQL: what is exact, what only looks so, and what is refused.
#include "storage/postgres/query/analysis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/postgres/libpq.h"
#include "temporary_postgres.h"

namespace freshet::storage::postgres {
namespace {

using freshet::testing::TemporaryPostgres;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Columns = std::vector<std::string>;

constexpr const char* kSchema = R"(
CREATE SCHEMA app;
CREATE COLLATION app.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE app.mood AS ENUM ('sad', 'glad');
CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE TABLE app.orders (id int PRIMARY KEY, customer_id int, region text, code varchar(8), total numeric(9,2),
  mood app.mood, loose text COLLATE app.loose, at timestamptz, seen xid, p app.positive,
  twice int GENERATED ALWAYS AS (id * 2) STORED,
  "where" int, "Odd = $1" int, lower int, tags int[], pad char(4));
ALTER TABLE app.orders REPLICA IDENTITY FULL;
CREATE TABLE app.customers (id int PRIMARY KEY, name text);
CREATE TABLE app.narrow (id int PRIMARY KEY, customer_id int, note text);
CREATE TABLE app.indexed (id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, c int);
CREATE UNIQUE INDEX indexed_a ON app.indexed (a) INCLUDE (b);
ALTER TABLE app.indexed REPLICA IDENTITY USING INDEX indexed_a;
CREATE TABLE app.mute (id int);
CREATE TABLE app.late (id int PRIMARY KEY DEFERRABLE);
CREATE TABLE app.secret (id int PRIMARY KEY);
ALTER TABLE app.secret ENABLE ROW LEVEL SECURITY;
CREATE UNLOGGED TABLE app.scratch (id int PRIMARY KEY);
CREATE MATERIALIZED VIEW app.stored AS SELECT id FROM app.orders;
CREATE VIEW app.v AS SELECT o.id, o.customer_id, c.name FROM app.orders o JOIN app.customers c ON c.id = o.customer_id;
CREATE VIEW app.vv AS SELECT * FROM app.v;
CREATE VIEW app.clock AS SELECT id, now() AS at FROM app.orders;
CREATE TABLE app.parent (id int PRIMARY KEY, a int);
CREATE TABLE app.child () INHERITS (app.parent);
ALTER TABLE app.child ADD PRIMARY KEY (id);
CREATE TABLE app.parts (id int, a int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE app.part1 PARTITION OF app.parts FOR VALUES FROM (0) TO (10);
CREATE TABLE app.part2 PARTITION OF app.parts FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE app.part2a PARTITION OF app.part2 FOR VALUES FROM (10) TO (20);
CREATE FUNCTION app.equal(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR app.= (LEFTARG = int, RIGHTARG = int, FUNCTION = app.equal);
CREATE FUNCTION app.pure(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE FUNCTION app.reads(int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM app.customers';
CREATE FUNCTION app.customer_id(app.orders) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION app.reads_more(bigint, int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT $1 + count(*) FROM app.customers';
CREATE AGGREGATE app.unsteady(int) (sfunc = app.reads_more, stype = bigint, initcond = '0');
CREATE TYPE app.shade AS ENUM ('dark');
CREATE FUNCTION app.shade_json(app.shade) RETURNS json LANGUAGE sql STABLE AS $$SELECT to_json(now()::text)$$;
CREATE CAST (app.shade AS json) WITH FUNCTION app.shade_json(app.shade);
CREATE SEQUENCE app.numbers;
CREATE TABLE app.odd (id int PRIMARY KEY, place regclass, s app.shade);
CREATE ROLE reader LOGIN;
GRANT USAGE ON SCHEMA app TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA app TO reader;
)";

// One database for all: nothing here changes it, and the last test looks that nothing did.
const std::string& database() {
  static const std::string url = [] {
    auto made = TemporaryPostgres::shared().create_database();
    TemporaryPostgres::run(made, kSchema);
    return made;
  }();
  return url;
}

Rows run(PGconn* connection, const QueryAnalysis::Step& step) {
  if (step.kind == QueryAnalysis::Step::Kind::describe) {
    Rows prepared(PQprepare(connection, "", step.sql.c_str(), 0, nullptr));
    return succeeded(prepared.get()) ? Rows(PQdescribePrepared(connection, "")) : std::move(prepared);
  }
  std::vector<const char*> values;
  for (const auto& parameter : step.parameters) values.push_back(parameter.c_str());
  return Rows(PQexecParams(connection, step.sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(), nullptr,
                           nullptr, 0));
}

Result<QueryDescription> analyse(const CollectionSpec& spec, const std::string& url = database()) {
  ConnectionPointer connection(PQconnectdb(url.c_str()));
  EXPECT_EQ(PQstatus(connection.get()), CONNECTION_OK) << message_of(connection.get());
  QueryAnalysis analysis(spec);
  while (const auto step = analysis.next()) {
    const auto rows = run(connection.get(), *step);
    if (succeeded(rows.get())) {
      analysis.answer(rows.get());
    } else {
      const auto error = sql_error_of(rows.get());
      analysis.fail(error.state, error.message);
    }
  }
  EXPECT_EQ(PQtransactionStatus(connection.get()), PQTRANS_IDLE);
  return analysis.result();
}

CollectionSpec spec_of(std::string query) {
  CollectionSpec spec;
  spec.name = "c";
  spec.query = std::move(query);
  return spec;
}

CollectionSpec declared(std::string query, std::vector<std::string> depends_on = {}) {
  auto spec = spec_of(std::move(query));
  spec.declared = true;
  spec.depends_on = std::move(depends_on);
  return spec;
}

// The exact columns of a query that must be accepted.
Columns exact(const std::string& query) {
  const auto description = analyse(spec_of(query));
  EXPECT_TRUE(description) << query << ": " << description.error().what << "; " << description.error().remedy;
  if (!description) return {"refused"};
  EXPECT_EQ(description->exact(), description->why_not_exact.empty()) << query << ": " << description->why_not_exact;
  return description->exact_columns;
}

std::string refusal(const CollectionSpec& spec) {
  const auto description = analyse(spec);
  if (description) return "accepted";
  EXPECT_THAT(description.error().what, HasSubstr("collection \"c\": "));
  return description.error().what + " | " + description.error().remedy;
}

std::string refusal(const std::string& query) { return refusal(spec_of(query)); }

Columns tables(const CollectionSpec& spec) {
  const auto description = analyse(spec);
  EXPECT_TRUE(description) << spec.query << ": " << description.error().what;
  Columns names;
  if (description) {
    for (const auto& table : description->tables) names.push_back(table.name);
  }
  return names;
}

TEST(QueryAnalysis, DescribesParametersColumnsAndTables) {
  const auto description = analyse(spec_of(
      "SELECT id AS number, total, count(*) OVER () AS n FROM app.orders WHERE customer_id = $1 AND region = $2"));
  ASSERT_TRUE(description) << description.error().what;
  EXPECT_THAT(description->parameter_types, ElementsAre(23, 25));
  ASSERT_EQ(description->columns.size(), 3u);
  EXPECT_EQ(description->columns[0], (QueryResultColumn{"number", 23, -1}));
  EXPECT_EQ(description->columns[1].type, 1700u);
  EXPECT_NE(description->columns[1].modifier, -1);
  ASSERT_EQ(description->tables.size(), 1u);
  EXPECT_EQ(description->tables[0].name, "app.orders");
  EXPECT_THAT(description->exact_columns, ElementsAre("customer_id", "region"));
  EXPECT_THAT(description->functions, IsEmpty());
}

TEST(QueryAnalysis, ExactQueries) {
  EXPECT_THAT(exact("SELECT * FROM app.orders WHERE id = $1"), ElementsAre("id"));
  EXPECT_THAT(exact("SELECT id FROM app.orders o WHERE $1 = o.customer_id;"), ElementsAre("customer_id"));
  EXPECT_THAT(exact("SELECT id FROM app.orders WHERE region = $2 AND customer_id = $1 -- AND x = $3"),
              ElementsAre("customer_id", "region"));
  EXPECT_THAT(exact("SELECT id FROM app.orders WHERE (region = $1 AND (total > 5 AND id = $2))"),
              ElementsAre("region", "id"));
  EXPECT_THAT(exact("SELECT sum(total) FROM app.orders WHERE code = $1"), ElementsAre("code"));
  EXPECT_THAT(exact("SELECT region, max(total) FROM app.orders WHERE mood = $1 GROUP BY 1 HAVING count(*) > 1 "
                    "ORDER BY 2 LIMIT 3"),
              ElementsAre("mood"));
  EXPECT_THAT(exact("SELECT id FROM app.orders WHERE total = $1"), ElementsAre("total"));
  EXPECT_THAT(exact("SELECT id FROM app.orders WHERE at = $1"), ElementsAre("at"));
  EXPECT_THAT(exact("SELECT id FROM app.orders WHERE pad = $1"), ElementsAre("pad"));
  EXPECT_THAT(exact("SELECT id FROM app.orders WHERE customer_id = $1::int AND (region = 'a' OR region = 'b')"),
              ElementsAre("customer_id"));
  EXPECT_THAT(exact("SELECT id FROM app.orders WHERE id = $1 AND id = $2"), ElementsAre("id", "id"));
  // The result is a function of the rows that match, whatever is made of them.
  EXPECT_THAT(exact("SELECT DISTINCT ON (region) region, id FROM app.orders WHERE id = $1 ORDER BY region, id"),
              ElementsAre("id"));
  EXPECT_THAT(exact("SELECT id, row_number() OVER (ORDER BY total) AS n FROM app.orders WHERE customer_id = $1"),
              ElementsAre("customer_id"));
  EXPECT_THAT(exact("SELECT generate_series(1, id) AS n FROM app.orders WHERE customer_id = $1"),
              ElementsAre("customer_id"));
}

TEST(QueryAnalysis, WordsInNamesCommentsAndConstantsMeanNothing) {
  EXPECT_THAT(exact("SELECT id FROM app.orders WHERE \"where\" = $1"), ElementsAre("where"));
  EXPECT_THAT(exact("SELECT id FROM app.orders WHERE \"Odd = $1\" = $1"), ElementsAre("Odd = $1"));
  EXPECT_THAT(exact("SELECT id FROM app.orders WHERE lower = $1"), ElementsAre("lower"));
  EXPECT_THAT(exact("SELECT ' WHERE id = $1 OR ' AS \":funcid\", id FROM app.orders /* OR id = $2 */ WHERE region = $1"),
              ElementsAre("region"));
  EXPECT_THAT(exact("SELECT id AS \"{QUERY :commandType 3}\" FROM app.orders WHERE id = $1 AND region <> '= $1'"),
              ElementsAre("id"));
  EXPECT_THAT(exact("SELECT id FROM app.orders WHERE region = 'customer_id = $1'"), IsEmpty());
  EXPECT_THAT(exact("SELECT id FROM app.orders /* WHERE id = $1 */ WHERE total > $1"), IsEmpty());
  EXPECT_THAT(exact("SELECT id FROM app.orders o WHERE app.customer_id(o) = $1"), IsEmpty());
  EXPECT_THAT(exact("SELECT lower FROM app.orders WHERE lower(region) = $1"), IsEmpty());
}

TEST(QueryAnalysis, QueriesThatOnlyLookExact) {
  for (const std::string query : {
           "SELECT id FROM app.orders WHERE customer_id = $1 OR id = 1",
           "SELECT id FROM app.orders WHERE NOT customer_id = $1",
           "SELECT id FROM app.orders WHERE NOT (customer_id = $1 AND id = 3)",
           "SELECT id FROM app.orders WHERE (customer_id = $1) IS NOT TRUE",
           "SELECT id FROM app.orders WHERE customer_id = $1 AND (id = $1 OR total > 3)",
           "SELECT id, $1::int AS asked FROM app.orders WHERE customer_id = $1",
           "SELECT id FROM app.orders WHERE customer_id = $1 ORDER BY id = $1",
           "SELECT id FROM app.orders WHERE customer_id = $1 LIMIT $2",
           "SELECT id FROM app.orders WHERE customer_id = $1 + 1",
           "SELECT id FROM app.orders WHERE customer_id + 0 = $1",
           "SELECT id FROM app.orders WHERE customer_id::bigint = $1",
           "SELECT id FROM app.orders WHERE customer_id = $1::bigint",
           "SELECT id FROM app.orders WHERE customer_id <> $1",
           "SELECT id FROM app.orders WHERE customer_id >= $1",
           "SELECT id FROM app.orders WHERE customer_id OPERATOR(app.=) $1",
           "SELECT id FROM app.orders WHERE customer_id IS NOT DISTINCT FROM $1",
           "SELECT id FROM app.orders WHERE customer_id IN ($1, 5)",
           "SELECT id FROM app.orders WHERE customer_id = ANY ($1)",
           "SELECT id FROM app.orders WHERE (customer_id, id) = ($1, $2) OR false",
           "SELECT id FROM app.orders WHERE region COLLATE \"C\" = $1",
           "SELECT id FROM app.orders WHERE loose = $1",
           "SELECT id FROM app.orders WHERE region = $1 COLLATE app.loose",
           "SELECT id FROM app.orders WHERE region LIKE $1",
           "SELECT id FROM app.orders WHERE p = $1",
           "SELECT id FROM app.orders WHERE tags = $1",
           "SELECT id FROM app.orders WHERE twice = $1",
           "SELECT id FROM app.orders WHERE CASE WHEN customer_id = $1 THEN true END",
           "SELECT region FROM app.orders GROUP BY region HAVING region = $1",
           "SELECT id FROM app.orders UNION SELECT id FROM app.orders WHERE customer_id = $1",
           "SELECT id FROM app.orders WHERE customer_id = $1 UNION ALL SELECT id FROM app.customers",
           "WITH o AS (SELECT * FROM app.orders) SELECT id FROM o WHERE customer_id = $1",
           "SELECT id FROM (SELECT * FROM app.orders) o WHERE customer_id = $1",
           "SELECT id FROM (SELECT * FROM app.orders LIMIT 5) o WHERE customer_id = $1",
           "SELECT id, (SELECT count(*) FROM app.orders) AS n FROM app.orders WHERE customer_id = $1",
           "SELECT id FROM app.orders o WHERE customer_id = $1 AND EXISTS (SELECT FROM app.customers c WHERE c.id = o.id)",
           "SELECT o.id FROM app.orders o JOIN app.customers c ON c.id = o.customer_id WHERE o.customer_id = $1",
           "SELECT o.id FROM app.orders o JOIN app.customers c ON o.customer_id = $1",
           "SELECT o.id FROM app.orders o LEFT JOIN app.customers c ON c.id = o.id AND o.customer_id = $1",
           "SELECT o.id FROM app.orders o, app.orders p WHERE o.customer_id = $1",
           "SELECT o.id FROM app.orders o, generate_series(1, 2) WHERE o.customer_id = $1",
           "SELECT count(*) FILTER (WHERE customer_id = $1) AS n FROM app.orders",
           "SELECT id FROM app.v WHERE customer_id = $1",
           "SELECT id FROM app.parent WHERE a = $1",
           "SELECT count(*) FROM app.orders",
       }) {
    EXPECT_THAT(exact(query), IsEmpty()) << query;
  }
}

TEST(QueryAnalysis, AllTablesAreFound) {
  EXPECT_THAT(tables(spec_of("SELECT id FROM app.vv WHERE customer_id = $1")), ElementsAre("app.orders", "app.customers"));
  EXPECT_THAT(tables(spec_of("SELECT id, (SELECT name FROM app.customers WHERE id = $1) AS n FROM app.parts")),
              ElementsAre("app.customers", "app.parts"));
  EXPECT_THAT(tables(spec_of("SELECT id FROM app.parent WHERE id = $1")), ElementsAre("app.parent", "app.child"));
  EXPECT_THAT(tables(spec_of("SELECT id FROM app.part2a WHERE id = $1")), ElementsAre("app.parts"));
  EXPECT_THAT(tables(declared("SELECT id FROM app.orders WHERE id = $1", {"app.v"})),
              ElementsAre("app.orders", "app.customers"));
  const auto view = analyse(spec_of("SELECT id FROM app.vv"));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->views.size(), 2u);
  const auto function = analyse(spec_of("SELECT app.pure(id) AS n FROM app.orders WHERE id = $1"));
  ASSERT_TRUE(function);
  EXPECT_EQ(function->functions.size(), 1u);
  EXPECT_TRUE(function->exact());
}

TEST(QueryAnalysis, ReplicaIdentitiesMustTellTheParameters) {
  EXPECT_THAT(exact("SELECT note FROM app.narrow WHERE id = $1"), ElementsAre("id"));
  EXPECT_THAT(refusal("SELECT id FROM app.narrow WHERE customer_id = $1"),
              HasSubstr("ALTER TABLE app.narrow REPLICA IDENTITY FULL;"));
  EXPECT_THAT(refusal("SELECT id FROM app.narrow WHERE customer_id = $1"), HasSubstr("does not tell its old customer_id"));
  const auto by_table = analyse(declared("SELECT id FROM app.narrow WHERE customer_id = $1"));
  ASSERT_TRUE(by_table) << by_table.error().what;
  EXPECT_FALSE(by_table->exact());
  EXPECT_THAT(exact("SELECT c FROM app.indexed WHERE a = $1"), ElementsAre("a"));
  EXPECT_THAT(refusal("SELECT c FROM app.indexed WHERE b = $1"), HasSubstr("lacks it")) << "included, but not of the key";
  EXPECT_THAT(refusal("SELECT c FROM app.indexed WHERE id = $1"), HasSubstr("lacks it"));
  EXPECT_THAT(exact("SELECT a FROM app.parts WHERE id = $1"), ElementsAre("id"));
  EXPECT_THAT(exact("SELECT a FROM app.part1 WHERE id = $1"), ElementsAre("id"));
  EXPECT_THAT(refusal("SELECT id FROM app.parts WHERE a = $1"), HasSubstr("ALTER TABLE app.part2a REPLICA IDENTITY FULL;"));
  EXPECT_THAT(refusal("SELECT id FROM app.mute WHERE id = $1"), HasSubstr("app.mute has no replica identity"));
  EXPECT_THAT(refusal("SELECT id FROM app.late"), HasSubstr("app.late has no replica identity"));
}

TEST(QueryAnalysis, WhatCannotBeFollowedNeedsADeclaration) {
  for (const auto& [query, why] : std::vector<std::pair<std::string, std::string>>{
           {"SELECT now() AS t, id FROM app.orders WHERE id = $1", "now() is not immutable"},
           {"SELECT id FROM app.orders WHERE at > now() AND id = $1", "now() is not immutable"},
           {"SELECT id FROM app.orders WHERE at > CURRENT_DATE AND id = $1", "asks for the time"},
           {"SELECT id FROM app.orders WHERE region = current_user AND id = $1", "asks for the time, the user"},
           {"SELECT id FROM app.orders WHERE id = $1 ORDER BY random()", "random() is not immutable"},
           {"SELECT id FROM app.orders WHERE at > 'now' AND id = $1", "'now'"},
           {"SELECT id FROM app.orders WHERE at > ' Yesterday'::timestamptz AND id = $1", "'today'"},
           {"SELECT region::timestamptz AS t FROM app.orders WHERE id = $1", "timestamptz_in"},
           {"SELECT to_tsvector(region)::text AS v FROM app.orders WHERE id = $1", "to_tsvector(text)"},
           {"SELECT concat(age(at)) AS v FROM app.orders WHERE id = $1", "age(timestamp with time zone)"},
           {"SELECT concat(nextval('app.numbers')) AS v FROM app.orders WHERE id = $1", "nextval(regclass)"},
           {"SELECT concat(place) AS v FROM app.odd WHERE id = $1", "the text of type regclass"},
           {"SELECT place::text AS v FROM app.odd WHERE id = $1", "the text of type regclass"},
           {"SELECT 'pg_class'::regclass::text || region AS v FROM app.orders WHERE id = $1", "the text of type regclass"},
           {"SELECT json_agg(o) AS v FROM app.odd o WHERE id = $1", "the text of type regclass"},
           {"SELECT to_json(s) AS v FROM app.odd WHERE id = $1", "the text of type app.shade"},
           {"SELECT app.unsteady(id) AS v FROM app.orders WHERE customer_id = $1", "app.reads_more(bigint,integer)"},
           {"SELECT app.reads(id) AS n FROM app.orders WHERE id = $1", "app.reads(integer) is not immutable"},
           {"SELECT id FROM app.clock WHERE id = $1", "now() is not immutable"},
           {"SELECT ctid::text AS place FROM app.orders WHERE id = $1", "system column"},
           {"SELECT id FROM app.orders TABLESAMPLE SYSTEM (10) WHERE id = $1", "sample"},
           {"SELECT id FROM app.secret WHERE id = $1", "app.secret has row-level security"},
           {"SELECT id FROM app.scratch WHERE id = $1", "does not tell of app.scratch"},
           {"SELECT id FROM app.stored WHERE id = $1", "does not tell of app.stored"},
           {"SELECT relname FROM pg_class WHERE oid = $1", "does not tell of pg_catalog.pg_class"},
           {"SELECT tablename FROM pg_tables", "does not tell of pg_catalog.pg_tables"},
       }) {
    EXPECT_THAT(refusal(query), HasSubstr(why)) << query;
    EXPECT_THAT(refusal(query), HasSubstr("declare depends_on")) << query;
    const auto taken = analyse(declared(query));
    EXPECT_TRUE(taken) << query << ": " << taken.error().what;
  }
  EXPECT_FALSE(analyse(declared("SELECT id FROM app.secret WHERE id = $1"))->exact());
  EXPECT_THAT(tables(declared("SELECT id FROM app.scratch WHERE id = $1")), IsEmpty());
  EXPECT_TRUE(analyse(declared("SELECT id, now() AS t FROM app.orders WHERE id = $1"))->exact());
  const auto more = analyse(declared("SELECT app.reads(id) AS n FROM app.orders WHERE id = $1", {"app.customers"}));
  ASSERT_TRUE(more) << more.error().what;
  EXPECT_FALSE(more->exact());
  EXPECT_EQ(more->tables.size(), 2u);
}

// Functions that depend on settings alone: every session that fills has the same.
TEST(QueryAnalysis, WhatDependsOnSettingsOnlyIsServed) {
  for (const std::string expression : {
           "concat(id, region, at)", "concat_ws('-', id, total)", "format('%s of %I', id, region)", "format('x')",
           "to_char(at, 'YYYY-MM-DD')", "to_char(total, '999D99')", "to_char(id, '000')", "to_char(at::timestamp, 'TMDay')",
           "to_json(mood)", "to_jsonb(o)", "row_to_json(o)", "row_to_json(o, true)", "json_build_object('id', id, 'at', at)",
           "jsonb_build_object('id', id, 'tags', tags)", "json_build_array(id, p)", "jsonb_build_array()",
           "array_to_json(tags)", "array_to_string(tags, ',')", "date_trunc('day', at)",
           "date_trunc('day', at, 'Europe/Paris')", "extract(hour FROM at)", "date_part('hour', at)", "at::date",
           "at::timestamp", "at + interval '1 day'", "at - interval '1 day'", "make_timestamptz(2020, 1, 1, 0, 0, 0)",
           "region || id", "id || region", "quote_literal(id)", "quote_nullable(total)"}) {
    EXPECT_THAT(exact("SELECT " + expression + " AS v FROM app.orders o WHERE customer_id = $1"), ElementsAre("customer_id"))
        << expression;
  }
  for (const std::string expression : {
           "json_agg(o)", "jsonb_agg(total ORDER BY id)", "array_agg(at)", "json_object_agg(id, at)",
           "jsonb_object_agg(id, mood)", "string_agg(id::text || at::text, ',' ORDER BY id)"}) {
    EXPECT_THAT(exact("SELECT " + expression + " AS v FROM app.orders o WHERE customer_id = $1"), ElementsAre("customer_id"))
        << expression;
  }
  EXPECT_THAT(exact("SELECT id FROM app.orders WHERE at > timestamp '2020-01-01' AND id = $1"), ElementsAre("id"));
  EXPECT_THAT(exact("SELECT id FROM app.orders WHERE at >= date '2020-01-01' AND id = $1"), ElementsAre("id"));
}

TEST(QueryAnalysis, WhatIsNoSelectIsRefusedDeclaredOrNot) {
  for (const std::string query : {
           "INSERT INTO app.customers VALUES (1) RETURNING id",
           "DELETE FROM app.customers WHERE id = $1 RETURNING id",
           "WITH d AS (DELETE FROM app.customers RETURNING id) SELECT id FROM d",
           "WITH d AS (UPDATE app.customers SET name = $1 RETURNING id) SELECT id FROM d",
           "SELECT id FROM app.orders WHERE id = $1 FOR UPDATE",
           "SELECT id FROM (SELECT id FROM app.orders FOR SHARE) o WHERE id = $1",
           "SELECT 1 AS a; SELECT 2 AS a",
           "SELECT 1 AS a; END; CREATE TABLE app.hacked (); --",
           "SELECT id INTO app.hacked FROM app.orders",
           "CREATE TABLE app.hacked ()",
           "SHOW work_mem",
           "EXPLAIN SELECT 1",
           "COMMIT",
           "SELECT id, id FROM app.orders",
           "SELECT FROM app.orders",
           "SELECT nothing FROM app.orders",
           "SELECT id FROM app.orders WHERE $1 IS NULL",
           "SELEC",
           "SELECT 1 /*",
       }) {
    for (const bool is_declared : {false, true}) {
      EXPECT_NE(refusal(is_declared ? declared(query) : spec_of(query)), "accepted") << query;
    }
  }
  EXPECT_THAT(refusal(declared("SELECT 1 AS a", {"app.nothing"})), HasSubstr("app.nothing, which does not exist"));
  EXPECT_NE(refusal(declared("SELECT 1 AS a", {"\"); DROP TABLE app.mute; --", "{"})), "accepted");
}

TEST(QueryAnalysis, WhoMayNotMakeTemporaryFunctionsIsTold) {
  const auto name = freshet::testing::database_of(database());
  TemporaryPostgres::run(database(), "REVOKE TEMPORARY ON DATABASE " + name + " FROM PUBLIC");
  const auto url = TemporaryPostgres::shared().url(name, "reader");
  const auto refused = analyse(spec_of("SELECT id FROM app.orders WHERE id = $1"), url);
  TemporaryPostgres::run(database(), "GRANT TEMPORARY ON DATABASE " + name + " TO PUBLIC");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().remedy, HasSubstr("GRANT TEMPORARY"));
  EXPECT_TRUE(analyse(spec_of("SELECT id FROM app.orders WHERE id = $1"), url));
}

TEST(QueryAnalysis, LeavesNothingBehind) {
  ASSERT_TRUE(analyse(spec_of("SELECT id FROM app.orders WHERE id = $1")));
  EXPECT_THAT(TemporaryPostgres::run(database(), "SELECT 1 FROM pg_proc WHERE proname = 'freshet_query'"), IsEmpty());
  EXPECT_THAT(TemporaryPostgres::run(database(), "SELECT 1 FROM pg_class WHERE relname = 'hacked'"), IsEmpty());
}

}  // namespace
}  // namespace freshet::storage::postgres
