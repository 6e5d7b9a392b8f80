// A database with tables that are guarded, and short ways to write and read their rows. Tests only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/postgres/guarded/test_database.h"

namespace freshet::storage::postgres {

inline CollectionSpec guarded(const std::string& name, const std::string& table) {
  CollectionSpec spec;
  spec.name = name;
  spec.table = table;
  spec.guarded = true;
  return spec;
}

inline Cell set(std::string column, std::string text) { return {std::move(column), Cell::Kind::set, std::move(text)}; }
inline Cell clear(std::string column) { return {std::move(column), Cell::Kind::clear, {}}; }
inline Cell add(std::string column, std::string number) { return {std::move(column), Cell::Kind::add, std::move(number)}; }

class GuardedRowsFixture : public ::testing::Test {
 protected:
  // Makes the tables, and opens a storage that guards them.
  void make(const std::string& sql, std::vector<CollectionSpec> specs, GuardDialect dialect = GuardDialect::advisory) {
    if (url_.empty()) url_ = TemporaryPostgres::shared().create_database();
    if (!sql.empty()) TemporaryPostgres::run(url_, sql);
    auto options = options_for(url_, dialect);
    options.rows = std::move(specs);
    storage_.reset();
    storage_ = open_storage(options);
    ASSERT_TRUE(storage_);
    token_ = Token::make();
    ASSERT_TRUE(calls().set_guard(kAllSlots, token_));
  }
  // What stands in the way of guarding it.
  Error refusal(const std::string& sql, std::vector<CollectionSpec> specs) {
    if (url_.empty()) url_ = TemporaryPostgres::shared().create_database();
    if (!sql.empty()) TemporaryPostgres::run(url_, sql);
    auto options = options_for(url_);
    options.rows = std::move(specs);
    auto opened = PostgresStorage::open(options);
    EXPECT_FALSE(opened);
    return opened ? Error() : opened.error();
  }

  BlockingStorage calls() { return BlockingStorage(*storage_); }

  Mutation change(const std::string& key, std::vector<Cell> cells, Condition condition = Condition::none) {
    Mutation mutation;
    mutation.kind = MutationKind::change;
    mutation.key = key;
    mutation.cells = std::move(cells);
    mutation.condition = condition;
    mutation.expiry.mode = Expiry::Mode::keep;
    mutation.want_before = true;
    mutation.token = token_;
    return mutation;
  }
  Result<MutationOutcome> write(Mutation mutation) {
    auto reply = calls().write(request_of({std::move(mutation)}));
    if (!reply) return reply.error();
    return std::move(reply->front());
  }

  std::string json(const std::string& key, const KeyState& state) {
    if (!state.present) return "(absent)";
    const auto* collection = storage_->rows()->find(key);
    EXPECT_TRUE(collection->has_shape(state.value));
    return *to_json(*collection->shape, collection->row_in(state.value));
  }
  // What a write says that the table holds now, or its error; a read must say the same.
  std::string after(Mutation mutation) {
    const auto key = mutation.key;
    const auto outcome = write(std::move(mutation));
    if (!outcome) return outcome.error().what;
    const auto said = json(key, outcome->after);
    EXPECT_EQ(read(key), said);
    return (outcome->applied ? "" : "not applied: ") + said;
  }
  std::string changed(const std::string& key, std::vector<Cell> cells, Condition condition = Condition::none) {
    return after(change(key, std::move(cells), condition));
  }
  std::string read(const std::string& key) {
    const auto reply = calls().read({key});
    if (!reply) return reply.error().what;
    if (!reply->faults.empty()) return reply->faults.front().second.what + "; " + reply->faults.front().second.remedy;
    return json(key, reply->states.front());
  }
  // What plain SQL says to it.
  std::string sql(const std::string& statement) {
    const auto outcome = SqlSession(url_).run(statement);
    return outcome.ok ? (outcome.rows.empty() ? "" : outcome.rows.front().front()) : outcome.state + " " + outcome.message;
  }

  std::string url_;
  std::unique_ptr<PostgresStorage> storage_;
  Token token_;
};

}  // namespace freshet::storage::postgres
