// What the doctor says about queries, and about writers whose commits do not wait.
#include "storage/postgres/doctor/doctor.h"

#include <gmock/gmock.h>

#include "storage/postgres/observed/observed_database.h"

namespace freshet::storage::postgres {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

struct DoctorTest : ::testing::Test {
  ObservedDatabase database;
  std::string url = database.url();

  // The first finding with `words` in it; fails if there is none.
  Finding finding(const std::vector<CollectionSpec>& specs, const std::string& words) {
    auto options = database.options(specs);
    options.url = url;
    std::string all;
    for (auto& found : examine(options)) {
      if (found.what.find(words) != std::string::npos) return found;
      all += found.what + "\n";
    }
    ADD_FAILURE() << "nothing about " << words << " in:\n" << all;
    return {};
  }
};

TEST_F(DoctorTest, a_query_is_analysed_and_its_tables_are_looked_at) {
  database.sql("CREATE TABLE t (id int PRIMARY KEY, v text)");
  const std::vector specs = {query_of("q", "SELECT v FROM t WHERE id = $1")};
  const auto fine = finding(specs, "its result can be followed");
  EXPECT_EQ(fine.verdict, Verdict::fine);
  EXPECT_THAT(fine.what, HasSubstr("public.t by id"));
  EXPECT_EQ(finding(specs, "public.t will be added to publication").verdict, Verdict::fine);
  const auto coarse = finding({query_of("q", "SELECT count(*) AS n FROM t WHERE id > $1")}, "any change of");
  EXPECT_EQ(coarse.verdict, Verdict::fine);
  EXPECT_THAT(coarse.what, HasSubstr("public.t"));
  EXPECT_THAT(database.sql("SELECT FROM pg_proc WHERE proname = 'freshet_query'"), IsEmpty());
}

TEST_F(DoctorTest, guarded_tables_are_looked_at_and_their_seals) {
  database.sql("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE keyless (id int)");
  CollectionSpec spec;
  spec.name = "t";
  spec.table = "t";
  spec.guarded = true;
  auto options = database.options({});
  options.url = url;
  options.guarded = {spec, spec};
  options.guarded[1].table = "keyless";
  const auto about = [&](const std::string& words) {
    for (auto& found : examine(options)) {
      if (found.what.find(words) != std::string::npos) return found;
    }
    return Finding();
  };
  EXPECT_THAT(about("has no primary key").statements, ElementsAre("ALTER TABLE public.keyless ADD PRIMARY KEY (…);"));
  const auto open = about("its table is not yet sealed");
  EXPECT_EQ(open.verdict, Verdict::advice);
  database.sql("CREATE SCHEMA freshet; CREATE FUNCTION freshet.refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS "
               "'BEGIN RETURN NULL; END'");
  for (const auto& statement : open.statements) database.sql(statement);
  EXPECT_EQ(about("sealed: it refuses every other write").verdict, Verdict::fine);
}

TEST_F(DoctorTest, the_statements_that_mend_a_query_are_told_one_by_one) {
  database.sql("CREATE TABLE p (id int, a int, PRIMARY KEY (id)) PARTITION BY RANGE (id);"
               "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
               "CREATE TABLE \"p;2\" PARTITION OF p FOR VALUES FROM (10) TO (20)");
  const auto lacking = finding({query_of("q", "SELECT id FROM p WHERE a = $1")}, "replica identity lacks it");
  EXPECT_EQ(lacking.verdict, Verdict::broken);
  EXPECT_THAT(lacking.statements, UnorderedElementsAre("ALTER TABLE public.\"p;2\" REPLICA IDENTITY FULL;",
                                                       "ALTER TABLE public.p1 REPLICA IDENTITY FULL;"));
  EXPECT_THAT(lacking.note, HasSubstr("depends_on"));
  const auto opaque = finding({query_of("q", "SELECT now() AS t, id FROM p WHERE id = $1")}, "now() is not immutable");
  EXPECT_THAT(opaque.statements, IsEmpty());
  EXPECT_THAT(opaque.note, HasSubstr("declare depends_on"));
  EXPECT_EQ(finding({query_of("q", "SELEC")}, "refuses its query").verdict, Verdict::broken);
}

TEST_F(DoctorTest, unlogged_partitions_are_told) {
  database.sql("CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);"
               "CREATE UNLOGGED TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)");
  for (const auto& spec : {rows_of("c", "p"), query_of("c", "SELECT id FROM p WHERE id = $1")}) {
    const auto dark = finding({spec}, "public.p1");
    EXPECT_EQ(dark.verdict, Verdict::broken);
    EXPECT_THAT(dark.statements, ElementsAre("ALTER TABLE public.p1 SET LOGGED;"));
  }
}

TEST_F(DoctorTest, the_temporary_privilege_is_asked_for) {
  const auto name = freshet::testing::database_of(url);
  database.sql("CREATE TABLE t (id int PRIMARY KEY); DROP ROLE IF EXISTS doctor_reader; CREATE ROLE doctor_reader LOGIN;"
               "GRANT SELECT ON t TO doctor_reader; REVOKE TEMPORARY ON DATABASE " + name + " FROM PUBLIC");
  url = logical_server().url(name, "doctor_reader");
  const auto missing = finding({query_of("q", "SELECT id FROM t WHERE id = $1")}, "temporary");
  EXPECT_EQ(missing.verdict, Verdict::broken);
  EXPECT_THAT(missing.statements, ElementsAre("GRANT TEMPORARY ON DATABASE " + name + " TO doctor_reader;"));
  database.sql("DROP OWNED BY doctor_reader; DROP ROLE doctor_reader");
}

TEST_F(DoctorTest, asynchronous_subscriptions_are_told) {
  EXPECT_EQ(finding({}, "commit synchronously").verdict, Verdict::fine);
  database.sql("CREATE SUBSCRIPTION s CONNECTION 'host=nowhere.invalid' PUBLICATION p WITH "
               "(connect = false, slot_name = NONE)");
  EXPECT_EQ(finding({}, "synchronous_commit is off").verdict, Verdict::advice);
  database.sql("DROP SUBSCRIPTION s");
}

}  // namespace
}  // namespace freshet::storage::postgres
