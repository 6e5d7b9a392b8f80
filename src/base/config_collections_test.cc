// Collections in configuration files: what is read, what it prints, and that what is wrong is named.
#include "base/config_collections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace freshet::base {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::StartsWith;

std::vector<CollectionConfig> collections_of(std::string_view text) {
  const auto config = parse_config(text, "f.toml");
  EXPECT_TRUE(config) << config.error().what;
  return config ? config->collections : std::vector<CollectionConfig>();
}

Error error_of(std::string_view text) {
  const auto config = parse_config(text, "f.toml");
  return config ? Error::of(ErrorCode::internal, "no error") : config.error();
}

// One line more in a collection that is right without it.
Error error_with(std::string_view line) {
  return error_of("[[collection]]\nname = \"c\"\ntable = \"t\"\n" + std::string(line));
}

TEST(Collections, AreRead) {
  const auto all = collections_of(R"(
[server]
threads = 2
[[collection]]
name = "users"
table = "app.users"
[[collection]]
name = "some.of-them_2"
table = "\"Odd Name\""
columns = ["id", "E-Mail"]
read_level = "bounded 50ms"
[[collection]]
name = "renamed"
table = "t"
columns = { z = "first", a = "second" }
read_level = "any"
[[collection]]
name = "orders"
query = """SELECT id
FROM orders WHERE customer_id = $1"""
depends_on = ["rates", "app.fees"]
)");
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].name, "users");
  EXPECT_EQ(all[0].table, "app.users");
  EXPECT_EQ(all[0].read_level, "linearizable");
  EXPECT_EQ(all[0].line, 4);
  EXPECT_FALSE(all[0].declared);
  EXPECT_EQ(all[1].table, "\"Odd Name\"");
  EXPECT_THAT(all[1].columns, ElementsAre(Pair("id", "id"), Pair("E-Mail", "E-Mail")));
  EXPECT_EQ(all[1].read_level, "bounded");
  EXPECT_EQ(all[1].bound, 50 * kMillisecond);
  EXPECT_THAT(all[2].columns, ElementsAre(Pair("z", "first"), Pair("a", "second"))) << "in the file's order";
  EXPECT_EQ(all[2].read_level, "any");
  EXPECT_EQ(all[3].query, "SELECT id\nFROM orders WHERE customer_id = $1");
  EXPECT_THAT(all[3].depends_on, ElementsAre("rates", "app.fees"));
  EXPECT_TRUE(all[3].declared);
}

TEST(Collections, ADeclarationMayBeEmpty) {
  const auto all = collections_of("[[collection]]\nname = \"q\"\nquery = \"SELECT now()\"\ndepends_on = []");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(all[0].declared);
  EXPECT_TRUE(all[0].depends_on.empty());
}

TEST(Collections, ErrorsNameLineExpectationAndNearestName) {
  EXPECT_EQ(error_with("colums = [\"a\"]").what, "f.toml:4: there is no setting \"collection.colums\"");
  EXPECT_EQ(error_with("colums = [\"a\"]").remedy, "Did you mean \"columns\"?");
  EXPECT_THAT(error_with("zebra = 1").remedy, HasSubstr("name, table, columns, query, depends_on, read_level"));
  EXPECT_THAT(error_with("read_level = \"linearisable\"").what, StartsWith("f.toml:4: collection.read_level: expected"));
  EXPECT_EQ(error_with("read_level = \"linearisable\"").remedy, "Did you mean \"linearizable\"?");
  EXPECT_EQ(error_with("read_level = \"bound 5ms\"").remedy, "Did you mean \"bounded 50ms\"?");
  EXPECT_EQ(error_of("[[colection]]\nname = \"a\"").remedy, "Did you mean [[collection]]?");
  EXPECT_THAT(error_of("[collection]\nname = \"a\"").remedy, HasSubstr("two pairs of brackets"));
  EXPECT_THAT(error_of("collection = [1]").what, HasSubstr("expected tables"));
}

TEST(Collections, LevelsThatAreNoneAreRefused) {
  for (const auto* level : {"", "bounded", "bounded ", "bounded 0", "bounded 0ms", "bounded 25h", "bounded 5", "any 5ms",
                            "session", "snapshot", "bounded -5ms"}) {
    EXPECT_THAT(error_with("read_level = \"" + std::string(level) + "\"").what, HasSubstr("read_level: expected")) << level;
  }
  EXPECT_THAT(error_with("read_level = 50").what, HasSubstr("found a whole number"));
}

TEST(Collections, NamesAreUniqueAndPlain) {
  for (const auto* name : {"", "a:b", "a b", "{a}", "kv", "\\u00e9", "a\\u0000"}) {
    EXPECT_THAT(error_of("[[collection]]\nname = \"" + std::string(name) + "\"\ntable = \"t\"").what,
                StartsWith("f.toml:2: collection.name: expected"))
        << name;
  }
  EXPECT_THAT(error_of("[[collection]]\ntable = \"t\"").what, HasSubstr("it has no name"));
  EXPECT_THAT(error_of("[[collection]]\nname = \"a\"\ntable = \"t\"\n[[collection]]\nname = \"a\"\ntable = \"u\"").what,
              HasSubstr("f.toml:4: collection \"a\": line 1 has that name"));
}

TEST(Collections, HaveATableOrAQuery) {
  const auto with = [](std::string_view lines) {
    return error_of("[[collection]]\nname = \"c\"\n" + std::string(lines)).what;
  };
  EXPECT_THAT(with(""), HasSubstr("found neither"));
  EXPECT_THAT(with("table = \"t\"\nquery = \"SELECT 1\""), HasSubstr("found both"));
  EXPECT_THAT(with("query = \"SELECT 1\"\ncolumns = [\"a\"]"), HasSubstr("columns goes with a table"));
  EXPECT_THAT(with("table = \"t\"\ndepends_on = []"), HasSubstr("depends_on goes with a query"));
  EXPECT_THAT(with("table = \"\""), HasSubstr("collection.table: expected"));
}

TEST(Collections, ColumnsAreNamesOnce) {
  EXPECT_THAT(error_with("columns = []").what, HasSubstr("1 to 1600 columns"));
  EXPECT_THAT(error_with("columns = \"a\"").what, HasSubstr("expected an array of names"));
  EXPECT_THAT(error_with("columns = [1]").what, HasSubstr("expected names of columns"));
  EXPECT_THAT(error_with("columns = [\"a\", \"a\"]").what, HasSubstr("no other column has"));
  EXPECT_THAT(error_with("columns = { a = \"x\", b = \"x\" }").what, HasSubstr("no other column has"));
  EXPECT_TRUE(parse_config("[[collection]]\nname = \"c\"\ntable = \"t\"\ncolumns = { \"a b\" = \"x\" }", "f.toml"));
}

// What a collection prints is read back to the same, whatever its texts hold.
RC_GTEST_PROP(Collections, read_back_what_they_print, ()) {
  const auto character = rc::gen::oneOf(rc::gen::inRange<char>(1, 127), rc::gen::element('"', '\\', '\n', '\'', '#'));
  const auto text = [&] { return "x" + *rc::gen::container<std::string>(character); };
  CollectionConfig collection;
  collection.name = "c";
  if (*rc::gen::arbitrary<bool>()) {
    collection.table = text();
    const bool renamed = *rc::gen::arbitrary<bool>();
    for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
      const auto name = std::to_string(i) + text();
      collection.columns.emplace_back(renamed ? text() + std::to_string(i) : name, name);
    }
  } else {
    collection.query = text();
    collection.declared = *rc::gen::arbitrary<bool>();
    if (collection.declared && *rc::gen::arbitrary<bool>()) collection.depends_on = {text(), text()};
  }
  const auto level = *rc::gen::element<std::string>("any", "linearizable", "bounded 7ms", "bounded 2min");
  RC_ASSERT(set_read_level(collection, level));
  const auto read = parse_config(text_of(collection), "f.toml");
  RC_ASSERT(read.has_value());
  RC_ASSERT(read->collections.size() == 1u);
  RC_ASSERT(read->collections.front() == collection);
}

}  // namespace
}  // namespace freshet::base
