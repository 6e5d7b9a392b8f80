// Rows of guarded tables through the storage, against a real server: what commands on columns do, what is wrong with them,
// and what the table finally holds.
#include "storage/postgres/guarded/row_database.h"

#include <fmt/format.h>

#include <atomic>
#include <thread>

namespace freshet::storage::postgres {
namespace {

using ::testing::Test;

class GuardedRows : public GuardedRowsFixture {};

constexpr const char* kUsers =
    "CREATE TABLE users (id int PRIMARY KEY, name varchar(8) NOT NULL DEFAULT 'new', age int CHECK (age > 0), "
    "email text UNIQUE, amount numeric(6,2), twice int GENERATED ALWAYS AS (age * 2) STORED)";

TEST_F(GuardedRows, a_change_inserts_a_missing_row_and_updates_one_that_is_there) {
  make(kUsers, {guarded("users", "users")});
  EXPECT_EQ(read("users:1"), "(absent)");
  EXPECT_EQ(changed("users:1", {set("age", "7")}),
            R"({"id":1,"name":"new","age":7,"email":null,"amount":null,"twice":14})");
  EXPECT_EQ(changed("users:1", {set("name", "Ann"), add("age", "3"), add("amount", "1.5")}),
            R"({"id":1,"name":"Ann","age":10,"email":null,"amount":1.50,"twice":20})");
  EXPECT_EQ(changed("users:1", {clear("age")}),
            R"({"id":1,"name":"Ann","age":null,"email":null,"amount":1.50,"twice":null})");
  EXPECT_EQ(changed("users:1", {add("age", "4")}), R"({"id":1,"name":"Ann","age":4,"email":null,"amount":1.50,"twice":8})");
  EXPECT_EQ(changed("users:2", {clear("age")}, Condition::if_present), "not applied: (absent)");
  EXPECT_EQ(sql("SELECT count(*) FROM users"), "1");
}

TEST_F(GuardedRows, the_state_before_comes_with_a_change) {
  make(kUsers, {guarded("users", "users")});
  const auto first = write(change("users:1", {set("age", "7")}));
  ASSERT_TRUE(first && first->before);
  EXPECT_FALSE(first->before->present);
  const auto second = write(change("users:1", {set("age", "8")}));
  ASSERT_TRUE(second && second->before);
  EXPECT_EQ(json("users:1", *second->before), R"({"id":1,"name":"new","age":7,"email":null,"amount":null,"twice":14})");
  Mutation erase = change("users:1", {});
  erase.kind = MutationKind::erase;
  const auto third = write(erase);
  ASSERT_TRUE(third && third->before && third->applied);
  EXPECT_TRUE(third->before->present);
  EXPECT_FALSE(third->after.present);
  erase.condition = Condition::if_present;
  EXPECT_FALSE(write(erase)->applied);
}

TEST_F(GuardedRows, a_whole_row_takes_the_defaults_of_what_it_leaves_out) {
  make(kUsers, {guarded("users", "users")});
  auto put = change("users:1", {set("id", "1"), set("name", "Ann"), set("age", "5"), set("twice", "99")});
  put.kind = MutationKind::put;
  EXPECT_EQ(after(put), R"({"id":1,"name":"Ann","age":5,"email":null,"amount":null,"twice":10})");
  put.cells = {set("email", "a@b")};
  EXPECT_EQ(after(put), R"({"id":1,"name":"new","age":null,"email":"a@b","amount":null,"twice":null})");
  put.condition = Condition::if_absent;
  EXPECT_EQ(after(put), R"(not applied: {"id":1,"name":"new","age":null,"email":"a@b","amount":null,"twice":null})");
  put.key = "users:3";
  put.condition = Condition::if_present;
  EXPECT_EQ(after(put), "not applied: (absent)");
}

TEST_F(GuardedRows, a_cell_is_set_only_if_it_is_null) {
  make(kUsers, {guarded("users", "users")});
  const Cell cell{"age", Cell::Kind::set_if_null, "3"};
  EXPECT_EQ(changed("users:1", {cell}), R"({"id":1,"name":"new","age":3,"email":null,"amount":null,"twice":6})");
  EXPECT_EQ(changed("users:1", {cell}),
            R"(not applied: {"id":1,"name":"new","age":3,"email":null,"amount":null,"twice":6})");
  EXPECT_EQ(changed("users:1", {clear("age")}).substr(0, 8), R"({"id":1,)");
  EXPECT_EQ(changed("users:1", {cell}), R"({"id":1,"name":"new","age":3,"email":null,"amount":null,"twice":6})");
}

TEST_F(GuardedRows, errors_name_the_column_and_the_constraint) {
  make(kUsers, {guarded("users", "users")});
  ASSERT_EQ(sql("SELECT 1"), "1");
  changed("users:1", {set("name", "Ann"), set("age", "1"), set("email", "a@b")});
  changed("users:2", {set("name", "Bob"), set("age", "1")});
  const auto error = [&](std::vector<Cell> cells) { return write(change("users:2", std::move(cells))).error().what; };
  EXPECT_EQ(error({set("email", "x"), set("age", "old")}),
            "column 'age' of users: invalid input syntax for type integer: \"old\"");
  EXPECT_EQ(error({set("email", "x"), set("name", "much too long")}),
            "column 'name' of users: value too long for type character varying(8)");
  EXPECT_EQ(error({set("amount", "123456")}).substr(0, 48), "column 'amount' of users: numeric field overflow");
  EXPECT_EQ(error({add("age", "9999999999")}),
            "column 'age' of users: value \"9999999999\" is out of range for type integer");
  EXPECT_EQ(error({clear("name")}),
            "column 'name' of users: null value in column \"name\" of relation \"users\" violates not-null constraint "
            "(Failing row contains (2, null, 1, null, null, 2).)");
  EXPECT_EQ(error({set("age", "-1")}),
            "constraint 'users_age_check' of users: new row for relation \"users\" violates check constraint "
            "\"users_age_check\"");
  EXPECT_EQ(error({set("email", "a@b")}),
            "constraint 'users_email_key' of users: duplicate key value violates unique constraint \"users_email_key\" "
            "(Key (email)=(a@b) already exists.)");
  EXPECT_EQ(error({set("color", "red")}), "there is no column 'color' in users");
  EXPECT_EQ(error({set("twice", "1")}), "column 'twice' of users is computed by the database");
  EXPECT_EQ(error({set("id", "3")}), "column 'id' of users is part of the key, which says something else");
  EXPECT_EQ(error({set("name", std::string("a\0b", 3))}), "column 'name' of users cannot hold a zero byte");
  const auto adding = write(change("users:2", {add("name", "1")}));
  EXPECT_EQ(adding.error().what, "column 'name' of users is no number: it is character varying(8)");
  EXPECT_EQ(adding.error().code, ErrorCode::wrong_type);
  EXPECT_EQ(read("users:2"), R"({"id":2,"name":"Bob","age":1,"email":null,"amount":null,"twice":2})") << "nothing stays";
}

TEST_F(GuardedRows, keys_are_refused_unless_they_are_spelt_canonically) {
  make("CREATE TABLE prices (code numeric, region text, cents int, PRIMARY KEY (code, region));"
       "INSERT INTO prices VALUES (1.50, 'a:b', 3)", {guarded("prices", "prices")});
  EXPECT_EQ(read(R"(prices:1.5:a\:b)"), R"({"code":1.50,"region":"a:b","cents":3})");
  EXPECT_EQ(read(R"(prices:1.50:a\:b)"),
            R"(prices:1.50:a\:b is not the canonical spelling of this key; Use prices:1.5:a\:b.)");
  EXPECT_EQ(read("prices:1.5"),
            "prices:1.5 does not have the form prices:code:region; Write \\ before : and \\ inside of a part.");
  EXPECT_EQ(read("prices:x:y"), "prices:x:y is no key of prices: invalid input syntax for type numeric: \"x\"; ");
  EXPECT_EQ(changed(R"(prices:1.5:a\:b)", {set("cents", "4")}), R"({"code":1.50,"region":"a:b","cents":4})");
  EXPECT_EQ(changed(R"(prices:1.50:a\:b)", {set("cents", "5")}),
            "freshet: 1.50:a:b is not the canonical spelling of this key");
  EXPECT_EQ(changed("prices:007:z", {set("cents", "5")}), "freshet: 007:z is not the canonical spelling of this key");
  EXPECT_EQ(changed("prices:7:z", {set("cents", "5")}), R"({"code":7,"region":"z","cents":5})");
  EXPECT_EQ(sql("SELECT count(*) FROM prices"), "2");
}

TEST_F(GuardedRows, one_key_that_is_none_does_not_spoil_a_read_of_many) {
  make("CREATE TABLE users (id int PRIMARY KEY, n int); INSERT INTO users SELECT i, i FROM generate_series(1, 50) i",
       {guarded("users", "users")});
  std::vector<std::string> keys;
  for (int i = 1; i <= 50; ++i) keys.push_back("users:" + std::to_string(i));
  keys.push_back("users:none");
  keys.push_back("pair");
  keys.push_back("users:51");
  const auto reply = calls().read(keys);
  ASSERT_TRUE(reply) << reply.error().what;
  for (std::size_t i = 0; i < 50; ++i) EXPECT_TRUE(reply->states[i].present) << i;
  ASSERT_EQ(reply->faults.size(), 1u);
  EXPECT_EQ(reply->faults.front().first, 50u);
  EXPECT_FALSE(reply->states[52].present);
  EXPECT_GT(reply->database_ms, 0);
}

TEST_F(GuardedRows, what_before_and_after_triggers_leave_is_what_a_write_says) {
  make("CREATE TABLE users (id int PRIMARY KEY, name text, seen int DEFAULT 0, note text);"
       "CREATE FUNCTION upper_name() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := upper(NEW.name); "
       "RETURN NEW; END $$;"
       "CREATE TRIGGER first BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION upper_name();"
       "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.seen = OLD.seen THEN UPDATE public.users "
       "SET seen = seen + 1 WHERE id = NEW.id; END IF; RETURN NULL; END $$;"
       "CREATE TRIGGER second AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION see();"
       "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.note IS NULL THEN UPDATE public.users "
       "SET note = 'noted' WHERE id = NEW.id; END IF; RETURN NULL; END $$;"
       "CREATE CONSTRAINT TRIGGER third AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
       "EXECUTE FUNCTION note();",
       {guarded("users", "users")});
  EXPECT_EQ(changed("users:1", {set("name", "ann")}), R"({"id":1,"name":"ANN","seen":1,"note":"noted"})");
  EXPECT_EQ(changed("users:1", {set("name", "bob")}), R"({"id":1,"name":"BOB","seen":2,"note":"noted"})");
}

// Both keys have passed, so the trigger may; and what is said of its row is what it holds in the end.
TEST_F(GuardedRows, a_trigger_may_change_another_row_of_the_same_transaction) {
  make("CREATE TABLE a_totals (id int PRIMARY KEY, sum int DEFAULT 0); INSERT INTO a_totals VALUES (1, 0);"
       "CREATE TABLE orders (id int PRIMARY KEY, amount int);"
       "CREATE FUNCTION total() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE public.a_totals SET sum = sum + "
       "NEW.amount WHERE id = 1; RETURN NULL; END $$;"
       "CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION total();",
       {guarded("a_totals", "a_totals"), guarded("orders", "orders")});
  const auto order = change("orders:1", {set("amount", "5")});
  EXPECT_NE(write(order).error().what.find("has not passed the guard of a_totals:1"), std::string::npos);
  auto reads_it = request_of({order});
  reads_it.also.push_back({"a_totals:1", token_});
  EXPECT_FALSE(calls().write(reads_it)) << "what is only read stays cached: it must not be changed";
  const auto reply = calls().write(request_of({change("a_totals:1", {set("sum", "100")}), order}));
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(json("a_totals:1", (*reply)[0]->after), R"({"id":1,"sum":105})");
  EXPECT_EQ(read("a_totals:1"), R"({"id":1,"sum":105})");
}

TEST_F(GuardedRows, what_fails_at_the_commit_is_not_acknowledged) {
  make("CREATE TABLE parents (id int PRIMARY KEY);"
       "CREATE TABLE users (id int PRIMARY KEY, p int REFERENCES parents DEFERRABLE INITIALLY DEFERRED, "
       "n int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO users VALUES (1, NULL, 1)", {guarded("users", "users")});
  EXPECT_NE(changed("users:2", {set("p", "99")}).find("violates foreign key constraint"), std::string::npos);
  EXPECT_NE(changed("users:2", {set("n", "1")}).find("duplicate key"), std::string::npos);
  EXPECT_EQ(read("users:2"), "(absent)");
}

// Without a table's own deferred constraints nothing is looked at after the statement: the error comes with the sync.
TEST_F(GuardedRows, an_error_of_the_commit_itself_is_an_error) {
  make("CREATE TABLE users (id int PRIMARY KEY, n int);", {guarded("users", "users")});
  EXPECT_EQ(changed("users:1", {set("n", "1")}), R"({"id":1,"n":1})");
  sql("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not at the commit'; END $$");
  sql("CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
      "EXECUTE FUNCTION fail()");
  const auto outcome = write(change("users:1", {set("n", "2")}));
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().what.find("not at the commit"), std::string::npos);
  EXPECT_EQ(read("users:1"), R"({"id":1,"n":1})");
}

TEST_F(GuardedRows, updates_that_a_trigger_suppresses_succeed) {
  make("CREATE TABLE users (id int PRIMARY KEY, n int);"
       "CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();"
       "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
       "CREATE TABLE sink (id int PRIMARY KEY, n int);"
       "CREATE TRIGGER t BEFORE INSERT ON sink FOR EACH ROW EXECUTE FUNCTION swallow();",
       {guarded("users", "users"), guarded("sink", "sink")});
  EXPECT_EQ(changed("users:1", {set("n", "1")}), R"({"id":1,"n":1})");
  EXPECT_EQ(changed("users:1", {set("n", "1")}), R"({"id":1,"n":1})");
  EXPECT_EQ(changed("sink:1", {set("n", "1")}), "(absent)");
}

TEST_F(GuardedRows, the_writers_search_path_does_not_decide_what_the_seal_means) {
  make("CREATE TABLE users (id int PRIMARY KEY, n int)", {guarded("users", "users")});
  sql("CREATE SCHEMA mallory; CREATE FUNCTION mallory.strpos(text, text) RETURNS int LANGUAGE sql AS 'SELECT 1'; "
      "CREATE FUNCTION mallory.current_setting(text, boolean) RETURNS text LANGUAGE sql AS "
      "'SELECT pg_current_xact_id()::text || chr(31)'");
  for (const char* name : {">", "=", "<>"}) {
    for (const char* type : {"int", "text"}) {
      const bool is = *name != '<';
      sql(fmt::format("CREATE OR REPLACE FUNCTION mallory.says_{2}({1}, {1}) RETURNS bool LANGUAGE sql AS 'SELECT {2}'; "
                      "CREATE OPERATOR mallory.{0} (leftarg = {1}, rightarg = {1}, function = mallory.says_{2})",
                      name, type, is));
    }
  }
  sql("CREATE FUNCTION mallory.joined(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1'; "
      "CREATE OPERATOR mallory.|| (leftarg = text, rightarg = text, function = mallory.joined)");
  EXPECT_EQ(sql("SELECT count(*) FROM pg_operator WHERE oprnamespace = 'mallory'::regnamespace"), "7");
  for (const int id : {2, 5}) ASSERT_TRUE(write(change(fmt::format("users:{}", id), {set("n", "1")})));
  // Of a transaction that has passed one key, and writes others.
  const std::string passed =
      "SELECT set_config('freshet.passed', pg_current_xact_id()::text || chr(31) || 'users:2' || chr(31), true)";
  for (const char* statement : {"INSERT INTO users VALUES (1, 1)", "UPDATE users SET n = 2", "DELETE FROM users",
                                "UPDATE users SET id = id + 10 WHERE id < 3", "SELECT 1"}) {
    const auto said = sql(fmt::format("{}; SET search_path = mallory, pg_catalog, public; {}", passed, statement));
    EXPECT_EQ(said.substr(0, 5), statement == std::string("SELECT 1") ? "1" : "FR005") << statement;
  }
  EXPECT_EQ(sql(passed + "; UPDATE users SET n = 2 WHERE id = 2 RETURNING n"), "2") << "which it may write";
}

// It runs with the writer's own rights.
TEST_F(GuardedRows, the_seal_is_said_to_writers_without_rights_to_the_schema) {
  make("CREATE TABLE users (id int PRIMARY KEY, n int); CREATE TABLE days (day date PRIMARY KEY, n int)",
       {guarded("users", "users"), guarded("days", "days")});
  sql("DROP ROLE IF EXISTS freshet_stranger; CREATE ROLE freshet_stranger; REVOKE ALL ON SCHEMA freshet FROM PUBLIC; "
      "GRANT ALL ON users, days TO freshet_stranger");
  EXPECT_EQ(sql("SET ROLE freshet_stranger; INSERT INTO users VALUES (1, 1)").substr(0, 5), "FR005");
  const auto refused = sql("SET ROLE freshet_stranger; SET datestyle = 'German'; INSERT INTO days VALUES ('2000-01-02', 1)");
  EXPECT_NE(refused.find("has not passed the guard of days:2000-01-02"), refused.npos) << refused;
  sql("REVOKE ALL ON users, days FROM freshet_stranger; DROP ROLE freshet_stranger");
}

TEST_F(GuardedRows, versions_begin_above_what_the_column_holds) {
  auto spec = guarded("users", "users");
  spec.version_column = "version";
  make("CREATE TABLE users (id int PRIMARY KEY, n int, version bigint); INSERT INTO users VALUES (1, 1, 1700000000000)",
       {spec});
  EXPECT_GT(write(change("users:1", {set("n", "2")}))->after.version, 1700000000000u);
  spec.exclusive_writer = true;
  make("", {spec});
  const auto first = write(change("users:1", {set("n", "2")}))->after.version;
  EXPECT_GT(first, 1700000000001u) << "without a seal Freshet draws them itself";
  EXPECT_GT(write(change("users:2", {set("n", "2")}))->after.version, first);
}

TEST_F(GuardedRows, a_seal_is_not_taken_away_while_somebody_serves) {
  make("CREATE TABLE users (id int PRIMARY KEY, n int)", {guarded("users", "users")});
  sql("SELECT freshet.swap_lease('default', NULL, NULL, NULL, 'other', 1, 1, 400)");
  std::atomic<bool> stopping = false;
  std::thread other([&] {
    SqlSession session(url_);
    for (int counter = 1; !stopping; ++counter) {
      session.run(fmt::format("SELECT freshet.swap_lease('default', 'other', 1, {}, 'other', 1, {}, 400)", counter,
                              counter + 1));
    }
  });
  auto spec = guarded("users", "users");
  spec.exclusive_writer = true;
  EXPECT_NE(refusal("", {spec}).what.find("cannot be changed while another process serves"), std::string::npos);
  EXPECT_NE(refusal("", {guarded("people", "users")}).what.find("cannot be changed"), std::string::npos);
  stopping = true;
  other.join();
  make("", {spec});
  EXPECT_EQ(sql("INSERT INTO users VALUES (1, 1)"), "") << "the other is gone for a whole lease";
}

TEST_F(GuardedRows, keys_of_every_allowed_type_pass_their_own_seal) {
  make("CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN small AS int CHECK (VALUE < 100);"
       "CREATE TABLE a (k real PRIMARY KEY, n int); CREATE TABLE b (k double precision PRIMARY KEY, n int);"
       "CREATE TABLE c (k char(5) PRIMARY KEY, n int); CREATE TABLE d (k timestamptz PRIMARY KEY, n int);"
       "CREATE TABLE e (k bytea PRIMARY KEY, n int); CREATE TABLE f (k uuid PRIMARY KEY, n int);"
       "CREATE TABLE g (k mood PRIMARY KEY, n int); CREATE TABLE h (k small PRIMARY KEY, n int);"
       "CREATE TABLE i (k text, l text, n int, PRIMARY KEY (k, l)); CREATE TABLE j (k date PRIMARY KEY, n int);"
       "CREATE TABLE l (k bool PRIMARY KEY, n int)",
       {guarded("a", "a"), guarded("b", "b"), guarded("c", "c"), guarded("d", "d"), guarded("e", "e"), guarded("f", "f"),
        guarded("g", "g"), guarded("h", "h"), guarded("i", "i"), guarded("j", "j"), guarded("l", "l")});
  sql("ALTER DATABASE " + freshet::testing::database_of(url_) + " SET timezone = 'Asia/Tokyo'");
  for (const std::string key : {"a:0.1", "a:0", "b:-1.5e+30", "c:ab   ", "d:2024-01-02 03:04:05+00", "e:\\x00ff",
                                "f:11111111-2222-3333-4444-555555555555", "g:happy", "h:7", "i:x\\:y:\\\\z",
                                "i:\x1f:\x1e" "0", "j:2024-02-29", "l:t"}) {
    const auto outcome = write(change(key, {set("n", "1")}));
    ASSERT_TRUE(outcome) << key << ": " << outcome.error().what << "; " << outcome.error().remedy;
    EXPECT_TRUE(write(change(key, {add("n", "1")}))) << key;
    EXPECT_NE(read(key).find("\"n\":2"), std::string::npos) << read(key);
  }
}

TEST_F(GuardedRows, a_trigger_may_swallow_a_write) {
  make("CREATE TABLE users (id int PRIMARY KEY, n int); INSERT INTO users VALUES (1, 1);"
       "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
       "CREATE TRIGGER first BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION swallow();", {guarded("users", "users")});
  auto erase = change("users:1", {});
  erase.kind = MutationKind::erase;
  erase.condition = Condition::if_present;
  EXPECT_EQ(after(erase), R"(not applied: {"id":1,"n":1})");
}

TEST_F(GuardedRows, sealed_tables_refuse_every_write_that_did_not_pass) {
  make("CREATE TABLE owners (id int PRIMARY KEY);"
       "CREATE TABLE users (id int PRIMARY KEY, owner int REFERENCES owners ON DELETE CASCADE, n int);"
       "INSERT INTO owners VALUES (1); INSERT INTO users VALUES (1, 1, 1);"
       "CREATE TABLE log (id int); CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE public.users "
       "SET n = n + 1; RETURN NULL; END $$; CREATE TRIGGER t AFTER INSERT ON log EXECUTE FUNCTION touch()",
       {guarded("users", "users")});
  const std::string refused =
      "FR005 ERROR:  freshet: public.users is sealed, and this transaction has not passed the guard of users:";
  for (const auto* statement : {"UPDATE users SET n = 2 WHERE id = 1", "DELETE FROM users",
                                "INSERT INTO users VALUES (2, 1, 1)", "DELETE FROM owners", "INSERT INTO log VALUES (1)",
                                "SET session_replication_role = replica; UPDATE users SET n = 2",
                                "SET freshet.passed = '1'; UPDATE users SET n = 2"}) {
    EXPECT_EQ(sql(statement).substr(0, refused.size()), refused) << statement;
  }
  EXPECT_EQ(sql("TRUNCATE users").substr(0, 5), "FR005");
  EXPECT_EQ(sql("TRUNCATE owners CASCADE").substr(0, 5), "FR005");
  EXPECT_EQ(sql("UPDATE owners SET id = 1"), "") << "what changes no row is no matter of the seal's";
  EXPECT_EQ(read("users:1"), R"({"id":1,"owner":1,"n":1})");
  EXPECT_EQ(changed("users:1", {set("n", "5")}), R"({"id":1,"owner":1,"n":5})");
}

TEST_F(GuardedRows, what_passed_ends_with_its_transaction_and_its_savepoint) {
  make("CREATE TABLE users (id int PRIMARY KEY, n int); INSERT INTO users VALUES (1, 1), (2, 1)",
       {guarded("users", "users")});
  const auto slot = std::to_string(base::slot_of("users:1"));
  const auto pass = "SELECT freshet.pass_row(1179796819, 'default', " + slot + ", '" + token_.to_text() + "', 'users:1')";
  SqlSession session(url_);
  ASSERT_TRUE(session.run("BEGIN").ok);
  ASSERT_TRUE(session.run(pass).ok) << session.run(pass).message;
  EXPECT_TRUE(session.run("UPDATE users SET n = 2 WHERE id = 1").ok);
  EXPECT_EQ(session.run("UPDATE users SET id = 3 WHERE id = 1").state, "FR005") << "the new key has not passed";
  session.run("ROLLBACK");
  EXPECT_EQ(session.run("UPDATE users SET n = 2 WHERE id = 1").state, "FR005");
  ASSERT_TRUE(session.run("BEGIN").ok);
  ASSERT_TRUE(session.run("SAVEPOINT s").ok);
  ASSERT_TRUE(session.run(pass).ok);
  ASSERT_TRUE(session.run("ROLLBACK TO s").ok);
  EXPECT_EQ(session.run("UPDATE users SET n = 2 WHERE id = 1").state, "FR005");
}

TEST_F(GuardedRows, another_token_stops_a_write) {
  make(kUsers, {guarded("users", "users")});
  auto mutation = change("users:1", {set("age", "1")});
  mutation.token = Token::make();
  EXPECT_EQ(write(mutation).error().code, ErrorCode::guard_mismatch);
  EXPECT_EQ(sql("SELECT count(*) FROM users"), "0");
  mutation.token = token_;
  EXPECT_TRUE(write(mutation));
}

TEST_F(GuardedRows, versions_grow_with_every_change_whoever_makes_it) {
  auto spec = guarded("users", "users");
  spec.version_column = "version";
  make("CREATE TABLE users (id int PRIMARY KEY, n int, version bigint)", {spec});
  const auto version = [&](std::vector<Cell> cells) { return write(change("users:1", std::move(cells)))->after.version; };
  const auto first = version({set("n", "1")});
  EXPECT_GT(first, 0u);
  const auto second = version({set("n", "1")});
  EXPECT_GT(second, first);
  auto guarded_change = change("users:1", {set("n", "3")}, Condition::if_version);
  guarded_change.version = first;
  EXPECT_FALSE(write(guarded_change)->applied);
  guarded_change.version = second;
  EXPECT_TRUE(write(guarded_change)->applied);
  auto erase = change("users:1", {});
  erase.kind = MutationKind::erase;
  ASSERT_TRUE(write(erase)->applied);
  EXPECT_GT(version({set("n", "1")}), second);
  EXPECT_EQ(write(change("users:1", {set("version", "1")})).error().what,
            "column 'version' of users is computed by the database");
}

TEST_F(GuardedRows, a_row_past_its_deadline_counts_as_absent_and_is_removed_by_the_databases_clock) {
  auto spec = guarded("users", "users");
  spec.expires_column = "until";
  make("CREATE TABLE users (id int PRIMARY KEY, n int, until timestamptz);"
       "INSERT INTO users VALUES (1, 1, now() - interval '1 s'), (2, 2, now() + interval '1 h'), (3, 3, 'infinity'), "
       "(4, 4, NULL)",
       {spec});
  const auto reply = calls().read({"users:1", "users:2", "users:3", "users:4"});
  ASSERT_TRUE(reply);
  EXPECT_LE(reply->states[0].expires_at_ms, reply->database_ms);
  EXPECT_GT(reply->states[1].expires_at_ms, reply->database_ms + 3500'000);
  EXPECT_EQ(reply->states[2].expires_at_ms, 0);
  EXPECT_EQ(reply->states[3].expires_at_ms, 0);
  Mutation expire = change("users:2", {});
  expire.kind = MutationKind::expire;
  EXPECT_FALSE(write(expire)->applied);
  expire.key = "users:1";
  EXPECT_TRUE(write(expire)->applied);
  EXPECT_EQ(sql("SELECT count(*) FROM users"), "3");

  sql("SELECT 1");
  auto touch = change("users:2", {});
  touch.kind = MutationKind::touch;
  touch.expiry = {Expiry::Mode::after, 10'000};
  const auto touched = write(touch);
  ASSERT_TRUE(touched) << touched.error().what;
  EXPECT_TRUE(touched->applied);
  EXPECT_NEAR(static_cast<double>(touched->after.expires_at_ms), static_cast<double>(reply->database_ms + 10'000), 9000.0);
  touch.expiry = {Expiry::Mode::at, 1};
  EXPECT_EQ(write(touch)->after.expires_at_ms, 1);
  EXPECT_FALSE(write(touch)->applied) << "it has passed";
  const auto anew = write(change("users:2", {set("n", "9")}));
  ASSERT_TRUE(anew);
  EXPECT_EQ(anew->after.expires_at_ms, 0) << "a new row, not the old one changed";
}

TEST_F(GuardedRows, several_rows_and_pairs_are_one_transaction) {
  make(kUsers, {guarded("users", "users")});
  auto first = change("users:1", {set("age", "1")});
  auto pair = put("pair", "value", token_);
  auto second = change("users:2", {set("age", "-2")});
  auto reply = calls().write(request_of({first, pair, second}));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().what.substr(0, 28), "constraint 'users_age_check'");
  EXPECT_EQ(sql("SELECT count(*) FROM users"), "0");
  EXPECT_EQ(sql("SELECT count(*) FROM freshet.kv"), "0");
  second.cells = {set("age", "2")};
  reply = calls().write(request_of({first, pair, second}));
  ASSERT_TRUE(reply) << reply.error().what;
  for (const auto& outcome : *reply) EXPECT_TRUE(outcome && outcome->applied);
  EXPECT_EQ(read("users:2"), R"({"id":2,"name":"new","age":2,"email":null,"amount":null,"twice":4})");
  // One condition that does not hold takes all back.
  auto only_new = put("pair", "other", token_);
  only_new.condition = Condition::if_absent;
  auto request = request_of({change("users:1", {set("age", "9")}), only_new});
  request.all_or_nothing = true;
  reply = calls().write(std::move(request));
  ASSERT_TRUE(reply) << reply.error().what;
  for (const auto& outcome : *reply) EXPECT_FALSE(outcome->applied);
  EXPECT_EQ(sql("SELECT age FROM users WHERE id = 1"), "1");
  for (const auto& outcome : *reply) EXPECT_FALSE(outcome->after_known) << "nobody looked";
}

TEST_F(GuardedRows, a_row_may_be_changed_several_times_in_one_transaction_and_keys_may_be_checked_only) {
  make(kUsers, {guarded("users", "users")});
  auto erase = change("users:1", {});
  erase.kind = MutationKind::erase;
  auto request = request_of({change("users:1", {set("age", "1")}), put("pair", "value", token_),
                             change("users:1", {add("age", "2")}), erase, change("users:1", {set("name", "Ann")})});
  request.also.push_back({"users:2", token_});
  request.also.push_back({"another pair", token_});
  auto reply = calls().write(request);
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(json("users:1", (*reply)[2]->after), R"({"id":1,"name":"new","age":3,"email":null,"amount":null,"twice":6})");
  EXPECT_GT((*reply)[1]->after.version, 0u);
  EXPECT_EQ(read("users:1"), R"({"id":1,"name":"Ann","age":null,"email":null,"amount":null,"twice":null})");
  request.also.back().token = Token::make();
  reply = calls().write(request);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::guard_mismatch);
}

TEST_F(GuardedRows, partitioned_tables_are_sealed_in_every_partition) {
  make("CREATE TABLE users (id int, n int, PRIMARY KEY (id)) PARTITION BY RANGE (id);"
       "CREATE TABLE low PARTITION OF users FOR VALUES FROM (0) TO (10); CREATE TABLE high PARTITION OF users DEFAULT;",
       {guarded("users", "users")});
  EXPECT_EQ(changed("users:1", {set("n", "1")}), R"({"id":1,"n":1})");
  EXPECT_EQ(changed("users:1", {add("n", "1")}), R"({"id":1,"n":2})");
  EXPECT_EQ(changed("users:11", {set("n", "1")}), R"({"id":11,"n":1})");
  for (const auto* statement : {"UPDATE low SET n = 2", "DELETE FROM users", "TRUNCATE high", "TRUNCATE users",
                                "SET session_replication_role = replica; DELETE FROM high"}) {
    EXPECT_EQ(sql(statement).substr(0, 5), "FR005") << statement;
  }
}

TEST_F(GuardedRows, the_for_share_dialect_guards_rows_too) {
  make(kUsers, {guarded("users", "users")}, GuardDialect::for_share);
  EXPECT_EQ(changed("users:1", {set("age", "7")}), R"({"id":1,"name":"new","age":7,"email":null,"amount":null,"twice":14})");
  auto mutation = change("users:1", {set("age", "1")});
  mutation.token = Token::make();
  EXPECT_EQ(write(mutation).error().code, ErrorCode::guard_mismatch);
}

TEST_F(GuardedRows, what_cannot_be_guarded_is_refused_with_the_reason_and_the_remedy) {
  const auto error = refusal("CREATE TABLE t (id int); CREATE TABLE owners (id int PRIMARY KEY);"
                             "CREATE TABLE users (id int PRIMARY KEY, o int REFERENCES owners ON DELETE CASCADE);"
                             "CREATE TABLE ruled (id int PRIMARY KEY, n int);"
                             "CREATE RULE r AS ON DELETE TO ruled DO INSTEAD NOTHING;"
                             "CREATE TABLE late (id int PRIMARY KEY DEFERRABLE);"
                             "CREATE TABLE plain (id int PRIMARY KEY, n int, v int);"
                             "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE plain SET n = 1; "
                             "RETURN NULL; END $$; CREATE TRIGGER w AFTER INSERT ON owners EXECUTE FUNCTION f()",
                             {guarded("t", "t")});
  EXPECT_EQ(error.what, "collection \"t\" cannot be guarded: public.t has no primary key: its rows have no names");
  EXPECT_EQ(error.remedy, "Run: ALTER TABLE public.t ADD PRIMARY KEY (…);");
  const auto what = [&](CollectionSpec spec) { return refusal("", {std::move(spec)}).what; };
  EXPECT_NE(what(guarded("ruled", "ruled")).find("has a rewrite rule, r"), std::string::npos);
  EXPECT_NE(what(guarded("late", "late")).find("is deferrable"), std::string::npos);
  EXPECT_NE(what(guarded("none", "none")).find("there is no table none"), std::string::npos);
  auto unsealed = guarded("users", "users");
  unsealed.exclusive_writer = true;
  EXPECT_NE(what(unsealed).find("the foreign key users_o_fkey (ON DELETE of public.owners) changes its rows"),
            std::string::npos);
  unsealed.table = "plain";
  EXPECT_NE(what(unsealed).find("the trigger w of public.owners names it"), std::string::npos) << what(unsealed);
  auto versioned = guarded("plain", "plain");
  versioned.version_column = "v";
  EXPECT_NE(what(versioned).find("v of public.plain is no plain column of type bigint"), std::string::npos);
  const auto twice = refusal("", {guarded("a", "plain"), guarded("b", "plain")});
  EXPECT_NE(twice.what.find("both guard public.plain"), std::string::npos);
  EXPECT_EQ(sql("SELECT count(*) FROM pg_trigger WHERE tgname = 'freshet_seal' AND tgrelid = 'users'::regclass"), "0");
}

TEST_F(GuardedRows, a_table_is_unsealed_for_an_exclusive_writer_and_sealed_again) {
  make("CREATE TABLE users (id int PRIMARY KEY, n int); INSERT INTO users VALUES (1, 1)", {guarded("users", "users")});
  EXPECT_EQ(sql("UPDATE users SET n = 2").substr(0, 5), "FR005");
  auto spec = guarded("users", "users");
  spec.exclusive_writer = true;
  make("", {spec});
  EXPECT_EQ(sql("UPDATE users SET n = 2"), "");
  EXPECT_EQ(changed("users:1", {add("n", "1")}), R"({"id":1,"n":3})");
  make("", {guarded("users", "users")});
  EXPECT_EQ(sql("UPDATE users SET n = 2").substr(0, 5), "FR005");
}

TEST_F(GuardedRows, a_role_that_may_not_seal_is_told_what_the_owner_must_run) {
  url_ = TemporaryPostgres::shared().create_database();
  { auto opened = PostgresStorage::open(options_for(url_)); ASSERT_TRUE(opened); }
  sql("CREATE TABLE users (id int PRIMARY KEY, n int)");
  sql("DROP ROLE IF EXISTS guest");
  sql("CREATE ROLE guest LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON users TO guest; "
      "GRANT ALL ON SCHEMA freshet TO guest; GRANT ALL ON ALL TABLES IN SCHEMA freshet TO guest; "
      "GRANT ALL ON ALL SEQUENCES IN SCHEMA freshet TO guest");
  auto options = options_for(TemporaryPostgres::shared().url(freshet::testing::database_of(url_), "guest"));
  options.rows = {guarded("users", "users")};
  const auto refused = PostgresStorage::open(options);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("could not be sealed"), std::string::npos) << refused.error().what;
  ASSERT_EQ(refused.error().remedy.substr(0, 18), "Run as its owner: ");
  EXPECT_EQ(sql(refused.error().remedy.substr(18)), "");
  const auto opened = PostgresStorage::open(options);
  EXPECT_TRUE(opened) << opened.error().what;
}

}  // namespace
}  // namespace freshet::storage::postgres
