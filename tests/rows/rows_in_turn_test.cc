// Writes of one row that come at once, over a real PostgreSQL: each says what the row was before it, as if they had come one
// after the other. With the protection off two of them claim the same.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "held_storage.h"
#include "storage/postgres/guarded/postgres_storage.h"
#include "temporary_postgres.h"
#include "test_engine.h"

namespace freshet {
namespace {

using storage::Cell;
using storage::Mutation;
using testing::HeldStorage;
using testing::take;
using testing::TemporaryPostgres;
using testing::TestEngine;

class RowsInTurn : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    const auto url = TemporaryPostgres::shared().create_database();
    TemporaryPostgres::run(url, "CREATE TABLE users (id int PRIMARY KEY, n int); INSERT INTO users VALUES (1), (2)");
    storage::postgres::PostgresOptions options;
    options.url = url;
    options.rows.emplace_back();
    options.rows.back().name = options.rows.back().table = "users";
    options.rows.back().guarded = true;
    auto opened = storage::postgres::PostgresStorage::open(options);
    ASSERT_TRUE(opened) << opened.error().what;
    const std::shared_ptr<storage::Storage> rows = std::move(*opened);
    consistency::Protections protections;
    protections.rows_in_turn = GetParam();
    const auto over_rows = [&](const std::shared_ptr<storage::Storage>&) {
      auto held = std::make_unique<HeldStorage>(rows);
      held_ = held.get();
      return held;
    };
    engine_ = std::make_unique<TestEngine>(cache::EngineOptions(), nullptr, over_rows, protections);
    engine_->wait_until_guarded();
  }

  static Mutation set(const std::string& text, int id = 1) {
    Mutation mutation;
    mutation.kind = storage::MutationKind::change;
    mutation.key = "users:" + std::to_string(id);
    mutation.cells.push_back({"n", Cell::Kind::set, text});
    mutation.expiry.mode = storage::Expiry::Mode::keep;
    mutation.want_before = true;
    return mutation;
  }
  // Whether the write says that the column was NULL before it.
  bool was_null(const storage::MutationOutcome& outcome) {
    const auto& rows = *(*engine_)->guarded_rows("users:1");
    return !storage::column_of(rows.row_in(outcome.before.value().value), *rows.shape->find("n"));
  }

  HeldStorage* held_ = nullptr;
  std::unique_ptr<TestEngine> engine_;
};

INSTANTIATE_TEST_SUITE_P(Protection, RowsInTurn, ::testing::Values(true, false),
                         [](const auto& protection) { return protection.param ? "on" : "off"; });

// The first is on its way, and knows from the entry what the row was; the second overtakes it.
TEST_P(RowsInTurn, only_one_of_two_finds_the_column_empty) {
  ASSERT_TRUE(engine_->get("users:1"));
  ASSERT_TRUE(engine_->is_hit("users:1"));
  held_->hold(HeldStorage::Kind::write, true);
  auto first = engine_->start_write(set("1"));
  const auto call = held_->next(HeldStorage::Kind::write);
  held_->hold(HeldStorage::Kind::write, false);
  auto second = engine_->start_write(set("2"));
  const bool overtook = !GetParam();
  std::optional<Result<storage::WriteReply>> later;
  if (overtook) later = take(second);
  call->execute();
  call->reply();
  const auto earlier = take(first);
  if (!overtook) later = take(second);
  ASSERT_TRUE(earlier && *later);
  const auto& one = earlier->front();
  const auto& other = (*later)->front();
  ASSERT_TRUE(one && other);
  EXPECT_EQ(was_null(*one) + was_null(*other), GetParam() ? 1 : 2);
  if (GetParam()) {
    EXPECT_TRUE(engine_->is_hit("users:1")) << "nothing overlapped: the second one's row is cached";
  }
}

// Whoever waited goes on when the one before it ends: not on its stack, however many end at once.
TEST_P(RowsInTurn, thousands_that_wait_and_are_refused_at_once_do_not_nest) {
  if (!GetParam()) GTEST_SKIP() << "nothing waits";
  constexpr int kWaiting = 9'000;
  held_->hold(HeldStorage::Kind::write, true);
  auto first = engine_->start_write(set("1"));
  const auto call = held_->next(HeldStorage::Kind::write);
  held_->hold(HeldStorage::Kind::write, false);
  std::vector<std::future<Result<storage::WriteReply>>> waiting;
  for (int i = 0; i < kWaiting; ++i) {
    auto wrong = set("1");
    wrong.cells.front().column = "none";
    waiting.push_back(engine_->start_write(std::move(wrong)));
  }
  call->execute();
  call->reply();
  ASSERT_TRUE(take(first));
  for (auto& one : waiting) EXPECT_FALSE(take(one));
}

// A write of two rows has its turn at both, whoever else writes one of them all the time.
TEST_P(RowsInTurn, a_write_of_several_rows_does_not_starve) {
  constexpr int kWrites = 20, kOthersMax = 100;
  std::atomic<bool> done = false;
  std::atomic<int> others = 0;
  std::vector<std::thread> writers;
  for (const int id : {1, 2}) {
    for (int i = 0; i < 4; ++i) {
      writers.emplace_back([&, id] {
        for (; !done; ++others) EXPECT_TRUE(engine_->write(set("1", id)));
      });
    }
  }
  for (int i = 0; i < kWrites; ++i) {
    auto both = freshet::testing::future_of<storage::WriteReply>([&](auto tell) {
      (*engine_)->write({set("1", 1), set("1", 2)}, false, base::kForever, std::move(tell));
    });
    const auto reply = take(both);
    EXPECT_TRUE(reply) << reply.error().what;
  }
  done = true;
  for (auto& writer : writers) writer.join();
  if (GetParam()) {
    EXPECT_LT(others, kWrites * kOthersMax) << "those that came before it, and few more";
  }
}

TEST_P(RowsInTurn, writes_that_wait_end_at_their_deadlines_and_the_rest_go_on) {
  if (!GetParam()) GTEST_SKIP() << "nothing waits";
  held_->hold(HeldStorage::Kind::write, true);
  auto first = engine_->start_write(set("1"));
  const auto call = held_->next(HeldStorage::Kind::write);
  auto late = engine_->start_write(set("2"), base::now() + 20 * base::kMillisecond);
  auto third = engine_->start_write(set("3"));
  held_->hold(HeldStorage::Kind::write, false);
  const auto refused = take(late);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::deadline_exceeded);
  call->execute();
  call->reply();
  ASSERT_TRUE(take(first));
  ASSERT_TRUE(take(third));
}

}  // namespace
}  // namespace freshet
