// Writers and set_guard exclude each other also when the way they lock was changed between them; and a set_guard that waits
// for one cell holds no others.
#include <atomic>
#include <future>

#include "storage/postgres/guarded/test_database.h"

namespace freshet::storage::postgres {
namespace {

struct Locking {
  GuardDialect dialect;
  std::int32_t lock_class;
};

constexpr Locking kLockings[] = {
    {GuardDialect::advisory, 0x46524553}, {GuardDialect::advisory, 99}, {GuardDialect::for_share, 0x46524553}};

class LockClasses : public ::testing::TestWithParam<std::pair<int, int>> {
 protected:
  std::unique_ptr<PostgresStorage> open(const Locking& locking) {
    auto options = options_for(url_, locking.dialect);
    options.advisory_lock_class = locking.lock_class;
    return open_storage(options);
  }
  static std::string put_of(const Locking& locking, Token token, const std::string& value) {
    const auto lock_class =
        locking.dialect == GuardDialect::advisory ? std::to_string(locking.lock_class) : std::string("NULL");
    return "SELECT freshet.put(" + lock_class + ", 'default', " + std::to_string(base::slot_of("k")) + ", '" +
           token.to_text() + "', 'k', " + std::to_string(position_of("k")) + ", '" + value + "', '" +
           OperationId::make().to_text() + "', NULL)";
  }

  std::string url_ = TemporaryPostgres::shared().create_database();
};

TEST_P(LockClasses, set_guard_waits_for_writers_that_lock_in_the_old_way) {
  const auto& old_way = kLockings[GetParam().first];
  const auto& new_way = kLockings[GetParam().second];
  const auto token = Token::make();
  {
    const auto storage = open(old_way);
    ASSERT_TRUE(storage);
    ASSERT_TRUE(BlockingStorage(*storage).set_guard(kAllSlots, token));
  }
  const auto storage = open(new_way);
  ASSERT_TRUE(storage);
  SqlSession writer(url_);
  ASSERT_TRUE(writer.run("BEGIN").ok);
  ASSERT_TRUE(writer.run(put_of(old_way, token, "in time")).ok);
  // Only a part of the cell, so that rows are split, too.
  const auto slot = base::slot_of("k");
  std::promise<Result<void>> guarded;
  std::atomic<bool> answered = false;
  storage->set_guard({slot, slot}, Token::make(), base::now() + 30 * base::kSecond, [&](Result<void> result) {
    answered = true;
    guarded.set_value(std::move(result));
  });
  ASSERT_TRUE(wait_for_lock_waiter(url_, 0));
  EXPECT_FALSE(answered) << "the old writer may still commit";
  ASSERT_TRUE(writer.run("COMMIT").ok);
  const auto result = guarded.get_future().get();
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(writer.run(put_of(old_way, token, "too late")).state, "FR001");
}

INSTANTIATE_TEST_SUITE_P(Postgres, LockClasses,
                         ::testing::Values(std::pair(0, 1), std::pair(0, 2), std::pair(2, 0)),
                         [](const auto& tested) {
                           return std::to_string(tested.param.first) + "_to_" + std::to_string(tested.param.second);
                         });

class CellBatches : public ::testing::TestWithParam<GuardDialect> {};

TEST_P(CellBatches, a_set_guard_that_waits_for_a_cell_holds_no_other) {
  const auto url = TemporaryPostgres::shared().create_database();
  const auto storage = open_storage(options_for(url, GetParam()));
  ASSERT_TRUE(storage);
  const auto token = Token::make();
  ASSERT_TRUE(BlockingStorage(*storage).set_guard(kAllSlots, token));
  SqlSession writer(url);
  ASSERT_TRUE(writer.run("BEGIN").ok);
  ASSERT_TRUE(writer.run(put_sql("k", "v", token, GetParam())).ok);
  // A batch of cells around the writer's, by hand: it fails at once instead of waiting.
  SqlSession setter(url);
  ASSERT_TRUE(setter.run("SET lock_timeout = '20s'").ok);
  const auto lock_class = GetParam() == GuardDialect::advisory ? std::to_string(0x46524553) : std::string("NULL");
  const int cell = base::cell_of(base::slot_of("k"));
  const auto begun = base::now();
  const auto outcome =
      setter.run("SELECT freshet.set_guard(" + lock_class + ", 'default', " + std::to_string((cell - 1) * 64) + ", " +
                 std::to_string(cell * 64 + 63) + ", '" + Token::make().to_text() + "')");
  EXPECT_EQ(outcome.state, "55P03") << outcome.message;
  EXPECT_LT(base::now() - begun, 10 * base::kSecond);
  ASSERT_TRUE(writer.run("COMMIT").ok);
}

INSTANTIATE_TEST_SUITE_P(Postgres, CellBatches, ::testing::Values(GuardDialect::advisory, GuardDialect::for_share),
                         [](const auto& tested) {
                           return tested.param == GuardDialect::advisory ? "advisory" : "for_share";
                         });

}  // namespace
}  // namespace freshet::storage::postgres
