// A row has one value wherever it comes from: what the change stream puts equals what a fill reads, for every type.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"
#include "storage/postgres/observed/observed_database.h"

namespace freshet::storage::postgres {
namespace {

constexpr int kRows = 60;
constexpr std::uint64_t kSeed = 20261124;

// A column's type, and SQL expressions over a random number r between 0 and 1 and a random integer n.
struct Sample {
  const char* type;
  std::vector<const char*> values;
};

const std::vector<Sample>& samples() {
  static const std::vector<Sample> list = {
      {"bool", {"n % 2 = 0"}},
      {"int2", {"n % 32768", "-n % 32768"}},
      {"int4", {"n", "-n"}},
      {"int8", {"n::int8 * 1000003"}},
      {"oid", {"n::oid"}},
      {"float4", {"r", "r * 1e30", "'-0'", "'NaN'", "'Infinity'", "r * 1e-30"}},
      {"float8", {"r", "r * 1e300", "'-0'", "'-Infinity'", "1.0 / 3", "n"}},
      {"numeric", {"r::numeric", "n", "'1.500'", "'NaN'", "n::numeric * 1e20", "'0.0000'"}},
      {"numeric(12,3)", {"r * 1000", "n % 1000000"}},
      {"text", {"md5(n::text)", "''", "'a:b\\c ' || n", "'Zoë 日本 \"q\" ' || chr(10)"}},
      {"varchar(9)", {"left(md5(n::text), 7)", "'  x '"}},
      {"char(6)", {"'ab'", "'  '", "left(md5(n::text), 6)"}},
      {"\"char\"", {"'x'", "''"}},
      {"name", {"'some_name'"}},
      {"bytea", {"decode(md5(n::text), 'hex')", "''::bytea"}},
      {"date", {"date '2000-02-29' + n % 10000", "'infinity'", "'0044-03-15 BC'"}},
      {"time(2)", {"time '12:34:56.789' + n * interval '1 ms'"}},
      {"timetz", {"'12:34:56.789+05:30'::timetz"}},
      {"timestamp", {"timestamp '1999-12-31 23:59:59.999999' + n * interval '1 s'", "'-infinity'"}},
      {"timestamptz", {"timestamptz '1999-12-31 23:59:59.5+02' + n * interval '1 s'"}},
      {"interval", {"n * interval '1 h 2 min'", "interval '1 year -2 mons 3.5 s'"}},
      {"uuid", {"md5(n::text)::uuid"}},
      {"json", {"'{\"a\": [1,  2]}'::json", "to_json(n)"}},
      {"jsonb", {"jsonb_build_object('n', n, 's', 'x\"y')"}},
      {"inet", {"'10.1.2.3'::inet + n % 100", "'10.0.0.0/8'::inet", "'::1'::inet"}},
      {"cidr", {"'10.0.0.0/8'::cidr"}},
      {"macaddr", {"'08:00:2b:01:02:03'::macaddr"}},
      {"money", {"n::money"}},
      {"point", {"point(r, n)"}},
      {"bit(5)", {"(n % 32)::bit(5)"}},
      {"int4[]", {"ARRAY[n, NULL, -n]", "'{}'", "'{{1,2},{3,4}}'"}},
      {"text[]", {"ARRAY['a', NULL, 'b\"c', '', 'NULL', '{']"}},
      {"int4range", {"int4range(n % 100, n % 100 + 5)", "'empty'"}},
      {"tsvector", {"to_tsvector('simple', 'the quick ' || n)"}},
      {"xml", {"('<a>' || n || '</a>')::xml"}},
      {"mood", {"'sad'", "'so so'"}},
      {"pair", {"ROW(n, 'x, y')::pair", "ROW(NULL, NULL)::pair"}},
      {"cents", {"(n % 100)::numeric / 100"}},
  };
  return list;
}

const char* const kTypes =
    "CREATE TYPE mood AS ENUM ('sad', 'so so'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN cents AS numeric(6,2);";

std::string literal_row(base::Random& random) {
  std::string values;
  for (const auto& sample : samples()) {
    const auto pick = random.below(sample.values.size() + 1);
    values += pick == sample.values.size() ? std::string(", NULL")
                                           : ", (" + std::string(sample.values[pick]) + ")::" + sample.type;
  }
  return values;
}

std::string from_numbers(base::Random& random) {
  return " FROM (SELECT " + std::to_string(random.below(1'000'000'000)) + "::int4 AS n, 0." +
         std::to_string(random.below(1'000'000'000)) + "::float8 AS r) numbers";
}

TEST(SameText, a_change_puts_what_a_fill_reads) {
  base::Random random(kSeed);
  ::testing::Test::RecordProperty("seed", std::to_string(kSeed));
  ObservedDatabase database;
  std::string table = std::string(kTypes) + "CREATE TABLE wide (id int PRIMARY KEY";
  for (std::size_t i = 0; i < samples().size(); ++i) table += ", c" + std::to_string(i) + " " + samples()[i].type;
  // Sessions of other habits write and the server has others: neither may show.
  database.sql(table + "); ALTER DATABASE " + freshet::testing::database_of(database.url()) +
               " SET datestyle = 'German'; ALTER DATABASE " + freshet::testing::database_of(database.url()) +
               " SET timezone = 'Asia/Kolkata'");
  database.sql("ALTER DATABASE " + freshet::testing::database_of(database.url()) + " SET bytea_output = 'escape'");
  database.sql("ALTER DATABASE " + freshet::testing::database_of(database.url()) + " SET extra_float_digits = 0");
  database.sql("ALTER DATABASE " + freshet::testing::database_of(database.url()) + " SET intervalstyle = 'iso_8601'");
  database.follow({rows_of("wide", "wide")});
  ASSERT_FALSE(database.heard.description().collections[0].fault);

  std::vector<std::string> keys;
  for (int id = 0; id < kRows; ++id) {
    database.sql("INSERT INTO wide SELECT " + std::to_string(id) + literal_row(random) + from_numbers(random));
    keys.push_back("wide:" + std::to_string(id));
  }
  database.catch_up();
  std::map<std::string, std::string> put;
  for (const auto& change : database.heard.take_changes()) {
    ASSERT_EQ(change.kind, Change::Kind::put) << change.key;
    put[change.key] = change.value;
  }
  const auto filled = database.fill(0, keys);
  const auto shape = database.heard.description().collections[0].shape;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ASSERT_TRUE(filled.values[i].present) << keys[i];
    EXPECT_EQ(put[keys[i]], filled.values[i].value)
        << to_json(*shape, put[keys[i]]).value() << "\n" << to_json(*shape, filled.values[i].value).value();
  }
}

// Each type that may make keys: the key that the stream names is the one under which the fill finds the row.
TEST(SameText, a_change_names_the_key_that_a_fill_takes) {
  const std::vector<const char*> key_types = {
      "bool", "int2", "int4", "int8", "oid", "float4", "float8", "numeric", "text", "name", "date", "time(2)", "timetz",
      "timestamp", "uuid", "inet", "cidr", "bytea", "mood", "macaddr", "timestamptz", "varchar(9)", "char(6)", "\"char\"",
      "numeric(12,3)", "cents", "bpchar"};
  base::Random random(kSeed + 1);
  ::testing::Test::RecordProperty("seed", std::to_string(kSeed + 1));
  ObservedDatabase database;
  std::string sql = kTypes;
  std::vector<CollectionSpec> specs;
  for (std::size_t i = 0; i < key_types.size(); ++i) {
    const auto name = "k" + std::to_string(i);
    sql += "CREATE TABLE " + name + " (a " + key_types[i] + ", b text, v int, PRIMARY KEY (b, a));";
    specs.push_back(rows_of(name, name));
  }
  database.sql(sql);
  database.follow(specs);
  for (std::size_t i = 0; i < key_types.size(); ++i) {
    const std::string type = key_types[i];
    ASSERT_FALSE(database.heard.description().collections[i].fault) << type;
    const auto sample = std::find_if(samples().begin(), samples().end(), [&](const auto& s) { return s.type == type; });
    const auto values = sample == samples().end() ? std::vector<const char*>{"'ab  '", "'ab'", "''"} : sample->values;
    for (const auto* value : values) {
      database.sql("INSERT INTO k" + std::to_string(i) + " SELECT (" + value + ")::" + type + ", 'x:\\' || n, 5" +
                   from_numbers(random));
    }
  }
  database.catch_up();
  std::size_t seen = 0;
  for (const auto& change : database.heard.take_changes()) {
    ASSERT_EQ(change.kind, Change::Kind::put) << change.key;
    const auto value = database.fill_one(change.collection, change.key);
    const auto& type = key_types[change.collection];
    ASSERT_FALSE(value.error) << type << ": " << value.error->what << " " << value.error->remedy;
    EXPECT_TRUE(value.present) << type << ": " << change.key;
    EXPECT_EQ(value.value, change.value) << type << ": " << change.key;
    ++seen;
  }
  EXPECT_GE(seen, key_types.size());
}

}  // namespace
}  // namespace freshet::storage::postgres
