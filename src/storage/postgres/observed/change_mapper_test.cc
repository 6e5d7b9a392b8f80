// From messages to changes, without a server.
#include "storage/postgres/observed/change_mapper.h"

#include <gtest/gtest.h>

namespace freshet::storage::postgres {
namespace {

using pgoutput::Cell;
using pgoutput::Old;

constexpr Oid kTable = 100;
constexpr Oid kInt4 = 23;
constexpr Oid kText = 25;
constexpr Oid kNumeric = 1700;

Cell text(std::string_view bytes) { return {Cell::Kind::text, bytes}; }
Cell null() { return {}; }
Cell unchanged() { return {Cell::Kind::unchanged, {}}; }

struct Recorder final : StreamListener {
  std::vector<std::string> changes;
  void on_stream_started(const StreamStart&) override {}
  void on_begin(Xid, Lsn) override {}
  void on_commit(Xid, Lsn) override {}
  void on_position(Lsn) override {}
  void on_stream_broken(const std::string&) override {}
  void on_described(const Description&) override {}
  void on_change(const Change& change) override {
    const char* const kinds[] = {"put", "erase", "drop", "all"};
    std::string line = kinds[static_cast<int>(change.kind)];
    line += change.kind == Change::Kind::all ? " #" + std::to_string(change.collection) : " " + std::string(change.key);
    if (change.kind == Change::Kind::put) {
      for (std::size_t i = 0; i < columns; ++i) {
        const auto column = column_of(change.value, i);
        line += " " + std::string(column.value_or("NULL"));
      }
    }
    changes.push_back(line);
  }
  std::size_t columns = 2;
};

// orders (id int4, code numeric, note text), key (id, code).
struct ChangeMapperTest : ::testing::Test {
  ChangeMapper mapper;
  Recorder recorder;
  std::vector<pgoutput::RelationColumn> relation_columns{{true, "id", kInt4, -1}, {true, "code", kNumeric, -1},
                                                         {false, "note", kText, -1}};

  static TableMapping orders() {
    const StreamColumn id{"id", kInt4, -1, KeyForm::as_is, true};
    const StreamColumn code{"code", kNumeric, -1, KeyForm::trim_scale, true};
    const StreamColumn note{"note", kText, -1, KeyForm::as_is, true};
    return {kTable, "public", "orders", {{0, "orders", {id, code}, {note, id}}}, {}};
  }
  static QueryMapping by_code(bool exact) {
    if (!exact) return {1, "any", false, {}};
    return {1, "by-code", true, {{"code", kNumeric, -1, KeyForm::trim_scale, true}}};
  }

  void tell_relation(Oid id = kTable, const char* name = "orders", char identity = 'd') {
    mapper.map(pgoutput::Relation{id, "public", name, identity, relation_columns}, recorder);
  }
  void insert(std::vector<Cell> row) { mapper.map(pgoutput::Insert{kTable, row}, recorder); }
  void update(Old old, std::vector<Cell> old_row, std::vector<Cell> row) {
    mapper.map(pgoutput::Update{kTable, old, old_row, row}, recorder);
  }
  void erase(Old old, std::vector<Cell> old_row) { mapper.map(pgoutput::Delete{kTable, old, old_row}, recorder); }
  std::vector<std::string> taken() { return std::exchange(recorder.changes, {}); }
};

using Lines = std::vector<std::string>;

TEST_F(ChangeMapperTest, rows_are_put_under_canonical_keys_and_columns_in_the_order_of_the_shape) {
  mapper.describe({orders()});
  tell_relation();
  insert({text("7"), text("1.50"), text("hello")});
  insert({text("7"), text("2.0"), null()});
  EXPECT_EQ(taken(), (Lines{"put orders:7:1.5 hello 7", "put orders:7:2 NULL 7"}));
  update(Old::none, {}, {text("7"), text("1.50"), text("bye")});
  EXPECT_EQ(taken(), (Lines{"put orders:7:1.5 bye 7"}));
  erase(Old::key, {text("7"), text("1.50"), null()});
  EXPECT_EQ(taken(), (Lines{"erase orders:7:1.5"}));
}

TEST_F(ChangeMapperTest, a_changed_key_erases_the_old_one_and_an_equal_one_in_other_words_does_not) {
  mapper.describe({orders()});
  tell_relation();
  update(Old::key, {text("7"), text("1.5"), null()}, {text("8"), text("1.5"), text("x")});
  EXPECT_EQ(taken(), (Lines{"erase orders:7:1.5", "put orders:8:1.5 x 8"}));
  update(Old::key, {text("7"), text("1.5"), null()}, {text("7"), text("1.50"), text("x")});
  EXPECT_EQ(taken(), (Lines{"put orders:7:1.5 x 7"}));
}

TEST_F(ChangeMapperTest, unsent_values_drop_the_key_unless_the_old_row_is_complete) {
  mapper.describe({orders()});
  tell_relation();
  update(Old::none, {}, {text("7"), text("1"), unchanged()});
  update(Old::key, {text("6"), text("1"), null()}, {text("7"), text("1"), unchanged()});
  EXPECT_EQ(taken(), (Lines{"drop orders:7:1", "erase orders:6:1", "drop orders:7:1"}));
  update(Old::full, {text("7"), text("1"), text("long")}, {text("7"), text("1"), unchanged()});
  EXPECT_EQ(taken(), (Lines{"put orders:7:1 long 7"}));
}

TEST_F(ChangeMapperTest, an_unsent_key_column_is_taken_from_the_old_row) {
  mapper.describe({orders()});
  tell_relation();
  update(Old::key, {text("7"), text("1"), null()}, {text("7"), unchanged(), text("x")});
  EXPECT_EQ(taken(), (Lines{"put orders:7:1 x 7"}));
  update(Old::none, {}, {text("7"), unchanged(), text("x")});
  EXPECT_EQ(taken(), (Lines{"all #0"}));
}

TEST_F(ChangeMapperTest, a_column_that_the_stream_does_not_carry_drops) {
  auto table = orders();
  table.rows[0].shown[0].in_stream = false;
  mapper.describe({table});
  tell_relation();
  insert({text("7"), text("1"), text("x")});
  EXPECT_EQ(taken(), (Lines{"drop orders:7:1"}));
}

TEST_F(ChangeMapperTest, a_relation_that_differs_concerns_the_whole_collection_until_it_is_described_again) {
  mapper.describe({orders()});
  relation_columns[2].name = "remark";
  tell_relation();
  insert({text("7"), text("1"), text("x")});
  insert({text("8"), text("1"), text("x")});
  EXPECT_EQ(taken(), (Lines{"all #0"})) << "once a transaction";
  mapper.begin();
  erase(Old::key, {text("7"), text("1"), null()});
  EXPECT_EQ(taken(), (Lines{"all #0"}));
  auto table = orders();
  table.rows[0].shown[0].name = "remark";
  mapper.describe({table});
  mapper.begin();
  insert({text("7"), text("1"), text("x")});
  EXPECT_EQ(taken(), (Lines{"put orders:7:1 x 7"}));
}

TEST_F(ChangeMapperTest, another_type_differs_too) {
  mapper.describe({orders()});
  relation_columns[1].modifier = 655366;
  tell_relation();
  insert({text("7"), text("1"), text("x")});
  EXPECT_EQ(taken(), (Lines{"all #0"}));
}

TEST_F(ChangeMapperTest, a_key_outside_the_replica_identity_is_not_trusted) {
  mapper.describe({orders()});
  relation_columns[1].key = false;
  tell_relation();
  insert({text("7"), text("1"), text("x")});
  EXPECT_EQ(taken(), (Lines{"all #0"}));
}

TEST_F(ChangeMapperTest, a_new_table_of_the_same_name_concerns_the_whole_collection) {
  mapper.describe({orders()});
  mapper.map(pgoutput::Relation{kTable + 1, "public", "orders", 'd', relation_columns}, recorder);
  const std::vector<Cell> row{text("7"), text("1"), text("x")};
  mapper.map(pgoutput::Insert{kTable + 1, row}, recorder);
  EXPECT_EQ(taken(), (Lines{"all #0"}));
  mapper.begin();
  tell_relation(kTable, "renamed");
  insert(row);
  EXPECT_EQ(taken(), (Lines{"all #0"}));
}

TEST_F(ChangeMapperTest, tables_of_no_collection_are_passed_over) {
  mapper.describe({orders()});
  mapper.map(pgoutput::Relation{5, "public", "other", 'd', relation_columns}, recorder);
  const std::vector<Cell> row{text("7"), text("1"), text("x")};
  mapper.map(pgoutput::Insert{5, row}, recorder);
  mapper.map(pgoutput::Insert{6, row}, recorder);
  EXPECT_EQ(taken(), Lines());
}

TEST_F(ChangeMapperTest, exact_queries_are_touched_under_old_and_new_values) {
  auto table = orders();
  table.rows.clear();
  table.queries.push_back(by_code(true));
  mapper.describe({table});
  tell_relation();
  insert({text("7"), text("1.0"), text("x")});
  update(Old::key, {text("7"), text("1.0"), null()}, {text("7"), text("2"), text("x")});
  update(Old::none, {}, {text("7"), text("2"), text("y")});
  erase(Old::key, {text("7"), text("2"), null()});
  EXPECT_EQ(taken(), (Lines{"drop by-code:1", "drop by-code:1", "drop by-code:2", "drop by-code:2", "drop by-code:2"}));
}

TEST_F(ChangeMapperTest, a_null_parameter_is_in_no_result) {
  auto table = orders();
  table.rows.clear();
  table.queries.push_back(by_code(true));
  mapper.describe({table});
  tell_relation(kTable, "orders", 'f');
  insert({text("7"), null(), text("x")});
  EXPECT_EQ(taken(), Lines());
  update(Old::full, {text("7"), null(), text("x")}, {text("7"), text("3"), text("x")});
  EXPECT_EQ(taken(), (Lines{"drop by-code:3"}));
}

TEST_F(ChangeMapperTest, other_queries_and_truncate_concern_everything) {
  auto table = orders();
  table.queries.push_back(by_code(false));
  mapper.describe({table});
  tell_relation();
  insert({text("7"), text("1"), text("x")});
  EXPECT_EQ(taken(), (Lines{"put orders:7:1 x 7", "all #1"}));
  mapper.begin();
  const std::vector<Oid> relations{kTable, 999};
  mapper.map(pgoutput::Truncate{false, false, relations}, recorder);
  EXPECT_EQ(taken(), (Lines{"all #0", "all #1"}));
}

TEST_F(ChangeMapperTest, what_the_stream_said_of_relations_is_forgotten_when_it_begins_anew) {
  mapper.describe({orders()});
  tell_relation();
  mapper.forget_relations();
  insert({text("7"), text("1"), text("x")});
  EXPECT_EQ(taken(), Lines()) << "the server tells a relation before its first change";
}

}  // namespace
}  // namespace freshet::storage::postgres
