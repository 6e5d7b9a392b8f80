// Fills on a real PostgreSQL: what is read, and which spellings of a key are refused.
#include "storage/postgres/observed/fill.h"
#include "storage/postgres/text_array.h"

#include <gmock/gmock.h>

#include "storage/postgres/observed/observed_database.h"

namespace freshet::storage::postgres {
namespace {

using ::testing::HasSubstr;

TEST(ObservedFill, reads_rows_present_and_absent_in_one_snapshot) {
  ObservedDatabase database;
  database.sql("CREATE TABLE users (id int PRIMARY KEY, name text, ok bool, score numeric, born date);"
               "INSERT INTO users VALUES (1, 'Ada', true, 1.50, '1815-12-10'), (2, NULL, NULL, NULL, NULL)");
  database.follow({rows_of("users", "users")});
  auto reply = database.fill(0, {"users:1", "users:3", "users:2", "users:1"});
  ASSERT_EQ(reply.values.size(), 4u);
  EXPECT_TRUE(reply.values[0].present);
  EXPECT_FALSE(reply.values[1].present);
  EXPECT_FALSE(reply.values[1].error);
  EXPECT_TRUE(reply.values[2].present);
  EXPECT_EQ(reply.values[3].value, reply.values[0].value);
  EXPECT_FALSE(reply.values[0].unsettled);
  EXPECT_GT(reply.position, 0u);
  EXPECT_GT(reply.snapshot.xmax(), 0u);
  EXPECT_FALSE(reply.identity.system.empty());
  EXPECT_EQ(reply.identity, database.probe().identity);
  EXPECT_EQ(reply.identity, database.heard.starts_.front().identity);
  EXPECT_EQ(database.read(0, "users:1"), R"({"id":1,"name":"Ada","ok":true,"score":1.50,"born":"1815-12-10"})");
  EXPECT_EQ(database.read(0, "users:2"), R"({"id":2,"name":null,"ok":null,"score":null,"born":null})");
}

TEST(ObservedFill, a_locked_row_carries_a_mark) {
  ObservedDatabase database;
  database.sql("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (2, 2)");
  database.follow({rows_of("t", "t")});
  SqlSession session(database.url());
  session.run("BEGIN");
  session.run("UPDATE t SET v = 5 WHERE id = 1");
  const auto reply = database.fill(0, {"t:1", "t:2"});
  EXPECT_TRUE(reply.values[0].unsettled);
  EXPECT_FALSE(reply.values[1].unsettled);
  session.run("ROLLBACK");
}

TEST(ObservedFill, only_the_canonical_spelling_is_a_key) {
  ObservedDatabase database;
  database.sql(R"(CREATE TYPE mood AS ENUM ('sad', 'fine'); CREATE DOMAIN small AS int CHECK (VALUE < 100);
    CREATE TABLE a (k int PRIMARY KEY); CREATE TABLE b (k uuid PRIMARY KEY); CREATE TABLE c (k numeric PRIMARY KEY);
    CREATE TABLE d (k timestamptz PRIMARY KEY); CREATE TABLE e (k float8 PRIMARY KEY); CREATE TABLE f (k bool PRIMARY KEY);
    CREATE TABLE g (k mood PRIMARY KEY); CREATE TABLE h (k small PRIMARY KEY); CREATE TABLE i (k varchar(3) PRIMARY KEY);
    CREATE TABLE j (k bytea PRIMARY KEY); CREATE TABLE l (k numeric(6,2) PRIMARY KEY); CREATE TABLE m (k inet PRIMARY KEY);
    INSERT INTO c VALUES (1.50); INSERT INTO e VALUES ('-0'))");
  std::vector<CollectionSpec> specs;
  for (const char* table : {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "l", "m"}) {
    specs.push_back(rows_of(table, table));
  }
  database.follow(specs);
  const auto id = [&](const std::string& key) {
    const auto is = [&](const CollectionSpec& spec) { return spec.name == prefix_of(key); };
    return static_cast<CollectionId>(std::find_if(specs.begin(), specs.end(), is) - specs.begin());
  };
  const std::pair<const char*, const char*> respelled[] = {
      {"a:007", "Use a:7."}, {"a:+7", "Use a:7."}, {"a: 7", "Use a:7."}, {"c:1.50", "Use c:1.5."}, {"c:1e3", "Use c:1000."},
      {"b:A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "Use b:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11."},
      {"d:2020-01-02 04:00:00+02", "Use d:2020-01-02 02:00:00+00."}, {"e:1.0", "Use e:1."}, {"e:-0", "Use e:0."},
      {"f:true", "Use f:t."}, {"i:abcd", "Use i:abc."}, {"j:\\xAB", "Use j:\\xab."}, {"l:1.5", "Use l:1.50."},
      {"m:10.0.0.1/32", "Use m:10.0.0.1."}, {"h:05", "Use h:5."}};
  for (const auto& [key, remedy] : respelled) EXPECT_THAT(database.read(id(key), key), HasSubstr(remedy)) << key;
  const char* const canonical[] = {"a:7", "b:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "c:1000", "d:2020-01-02 02:00:00+00",
                                   "f:t", "g:sad", "h:5", "i:abc", "j:\\xab", "l:1.50", "m:10.0.0.1"};
  for (const auto* key : canonical) EXPECT_EQ(database.read(id(key), key), "absent") << key;
  EXPECT_EQ(database.read(2, "c:1.5"), R"({"k":1.50})");
  EXPECT_EQ(database.read(4, "e:0"), R"({"k":-0})");
}

TEST(ObservedFill, a_part_that_is_no_value_of_its_type_spoils_its_own_key_only) {
  ObservedDatabase database;
  database.sql("CREATE DOMAIN small AS int CHECK (VALUE < 100); CREATE TABLE t (a int, b small, PRIMARY KEY (a, b));"
               "INSERT INTO t VALUES (1, 2)");
  database.follow({rows_of("t", "t")});
  const auto reply = database.fill(0, {"t:1:2", "t:x:2", "t:1:500", "t:1", "t:1:2:3", "other:1:2", "t:99999999999:1",
                                       "t:3:4", std::string("t:1\0:2", 6), "t:\xff:2"});
  ASSERT_EQ(reply.values.size(), 10u);
  EXPECT_TRUE(reply.values[0].present);
  EXPECT_FALSE(reply.values[7].present);
  EXPECT_FALSE(reply.values[7].error);
  for (const std::size_t i : {1u, 2u, 3u, 4u, 5u, 6u, 8u, 9u}) {
    ASSERT_TRUE(reply.values[i].error) << i;
    EXPECT_EQ(reply.values[i].error->code, ErrorCode::invalid_argument);
  }
  EXPECT_THAT(reply.values[1].error->what, HasSubstr("invalid input syntax"));
  EXPECT_THAT(reply.values[3].error->what, HasSubstr("t:a:b"));
  EXPECT_GT(reply.snapshot.xmax(), 0u);
  const auto wrong = database.fill(0, {"t:x:2"});
  EXPECT_GT(wrong.snapshot.xmax(), 0u) << "a snapshot also where nothing can be read";
}

TEST(ObservedFill, quoted_names_and_separators_inside_of_parts) {
  ObservedDatabase database;
  database.sql(R"(CREATE SCHEMA "Odd Schema"; CREATE TABLE "Odd Schema"."T ""q""" ("Key A" text, "b:c" text COLLATE "C",
    "select" int, PRIMARY KEY ("b:c", "Key A")); INSERT INTO "Odd Schema"."T ""q""" VALUES ('a:b', 'x\y', 3))");
  auto spec = rows_of("odd", R"("Odd Schema"."T ""q""")");
  spec.columns = {{"select", "chosen"}, {"Key A", "a"}};
  database.follow({spec});
  EXPECT_EQ(database.read(0, R"(odd:x\\y:a\:b)"), R"({"chosen":3,"a":"a:b"})");
  EXPECT_EQ(database.heard.description().collections[0].depends_on,
            R"("Odd Schema"."T ""q""" by its primary key (b:c, Key A))");
}

TEST(ObservedFill, partitioned_tables_by_their_root) {
  ObservedDatabase database;
  database.sql("CREATE TABLE p (id int, day date, v text, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);"
               "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');"
               "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')");
  database.follow({rows_of("p", "p")});
  database.sql("INSERT INTO p VALUES (1, '2024-05-05', 'x')");
  database.sql("UPDATE p SET day = '2025-05-05'");
  database.catch_up();
  const auto changes = database.heard.take_changes();
  ASSERT_EQ(changes.size(), 3u);
  EXPECT_EQ(changes[0].key, "p:2024-05-05:1");
  EXPECT_EQ(changes[1].kind, Change::Kind::erase);
  EXPECT_EQ(changes[2].key, "p:2025-05-05:1");
  EXPECT_EQ(changes[2].value, database.fill_one(0, "p:2025-05-05:1").value);
  EXPECT_EQ(database.read(0, "p:2024-05-05:1"), "absent");
}

TEST(ObservedFill, queries_give_their_rows_in_order) {
  ObservedDatabase database;
  database.sql("CREATE TABLE orders (id int PRIMARY KEY, customer int, note text); ALTER TABLE orders REPLICA IDENTITY FULL;"
               "INSERT INTO orders VALUES (1, 7, 'b'), (2, 7, 'a'), (3, 8, '$1 of :them')");
  database.follow({query_of("by-customer", "SELECT id, note FROM orders WHERE customer = $1 ORDER BY note"),
                   query_of("everything", "SELECT count(*) AS n FROM orders")});
  const auto description = database.heard.description();
  for (const auto& collection : description.collections) ASSERT_FALSE(collection.fault) << collection.fault->what;
  EXPECT_EQ(database.read(0, "by-customer:7"), R"([{"id":2,"note":"a"},{"id":1,"note":"b"}])");
  EXPECT_EQ(database.read(0, "by-customer:9"), "[]");
  EXPECT_THAT(database.read(0, "by-customer:09"), HasSubstr("Use by-customer:9."));
  EXPECT_EQ(database.read(1, "everything:"), R"([{"n":3}])");
  database.sql("UPDATE orders SET customer = 8 WHERE id = 1");
  database.catch_up();
  std::vector<std::string> keys;
  for (const auto& change : database.heard.take_changes()) {
    keys.push_back(change.kind == Change::Kind::all ? "all" : change.key);
  }
  EXPECT_THAT(keys, ::testing::ElementsAre("by-customer:7", "by-customer:8", "all"));
}

TEST(ObservedFill, keys_of_several_collections_as_of_one_snapshot) {
  ObservedDatabase database;
  database.sql("CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (x text, y int, v text, PRIMARY KEY (x, y));"
               "INSERT INTO a VALUES (1, 10); INSERT INTO b VALUES ('k', 1, 'one')");
  database.follow({rows_of("a", "a"), rows_of("b", "b"), query_of("sum", "SELECT sum(v) AS s FROM a WHERE id = $1")});
  const std::vector<std::pair<CollectionId, std::string>> keys{
      {1, "b:k:1"}, {0, "a:1"}, {0, "a:2"}, {1, "b:k:01"}, {2, "sum:1"}, {2, "sum:x"}};
  const auto reply = database.call<FillReply>([&](ObservedStorage& storage, Callback<FillReply> done) {
    storage.fill_together(keys, base::now() + kTestPatience, std::move(done));
  });
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(reply->values[0].value, database.fill_one(1, "b:k:1").value);
  EXPECT_EQ(reply->values[1].value, database.fill_one(0, "a:1").value);
  EXPECT_FALSE(reply->values[2].present);
  EXPECT_TRUE(reply->values[3].error);
  EXPECT_EQ(reply->values[4].value, database.fill_one(2, "sum:1").value);
  EXPECT_TRUE(reply->values[5].error);
}

TEST(ObservedFill, a_schema_that_changed_underneath_is_told_and_looked_up_again) {
  ObservedDatabase database;
  database.sql("CREATE TABLE t (id int PRIMARY KEY, v int)");
  database.follow({rows_of("t", "t")});
  database.sql("ALTER TABLE t DROP COLUMN v");
  const auto reply = database.try_fill(0, {"t:1"});
  ASSERT_TRUE(reply) << reply.error().what;
  ASSERT_TRUE(reply->outdated);
  EXPECT_EQ(reply->outdated->code, ErrorCode::unavailable);
  ASSERT_TRUE(database.heard.wait([](const Heard& h) { return h.descriptions_.size() > 1; }));
  EXPECT_EQ(database.read(0, "t:1"), "absent");
}

TEST(ObservedFill, an_array_that_is_cut_is_an_error) {
  EXPECT_FALSE(read_text_array("abc"));
  const std::string one("\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\1\0\0\0\1\0\0\0\2ab", 26);
  ASSERT_TRUE(read_text_array(one));
  EXPECT_EQ(read_text_array(one)->at(0), "ab");
  for (std::size_t size = 12; size < one.size(); ++size) EXPECT_FALSE(read_text_array(one.substr(0, size))) << size;
}

}  // namespace
}  // namespace freshet::storage::postgres
