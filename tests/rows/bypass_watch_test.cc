// Guarded tables that are also followed, over a real PostgreSQL: whoever gets past Freshet is told and counted, and what he
// touched is read anew; whoever passed the guard is not, in whatever way he wrote.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <thread>

#include "cache/engine.h"
#include "cache/transaction.h"
#include "temporary_postgres.h"
#include "test_engine.h"

namespace freshet {
namespace {

using cache::Engine;
using storage::Cell;
using storage::Mutation;
using testing::future_of;
using testing::SqlSession;
using testing::take;
using testing::TemporaryPostgres;

constexpr auto kPatience = 20 * base::kSecond;

class BypassWatch : public ::testing::Test {
 protected:
  void open(bool sealed, bool followed = true) {
    url_ = TemporaryPostgres::shared().create_database();
    TemporaryPostgres::run(url_, "CREATE TABLE users (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);"
                                 "INSERT INTO users SELECT i FROM generate_series(1, 9) i");
    cache::EngineOptions options;
    options.storage_url = url_;
    options.fleet = testing::database_of(url_);  // Slots belong to the whole server.
    options.memory_bytes = 16 << 20;
    storage::CollectionSpec spec;
    spec.name = spec.table = "users";
    spec.guarded = true;
    spec.exclusive_writer = !sealed;
    spec.followed = followed;
    options.collections.push_back(spec);
    auto opened = Engine::open(options);
    ASSERT_TRUE(opened) << opened.error().what;
    engine_ = std::move(*opened);
    eventually([&] { return engine_->stats().slots_guarded == base::kSlots; });
    if (followed) eventually([&] { return engine_->stats().bypass.watching; });
  }
  template <typename Condition>
  static void eventually(Condition holds) {
    const auto end = base::now() + kPatience;
    while (!holds()) {
      ASSERT_LT(base::now(), end) << "it did not come";
      std::this_thread::yield();
    }
  }

  static Mutation set(int id, const std::string& n) {
    Mutation mutation;
    mutation.kind = storage::MutationKind::change;
    mutation.key = fmt::format("users:{}", id);
    mutation.cells.push_back({"n", Cell::Kind::set, n});
    mutation.expiry.mode = storage::Expiry::Mode::keep;
    return mutation;
  }
  Result<storage::WriteReply> write(std::vector<Mutation> mutations) {
    auto future = future_of<storage::WriteReply>(
        [&](auto done) { engine_->write(std::move(mutations), false, base::kForever, std::move(done)); });
    return take(future);
  }
  // The column, and whether it came from memory.
  std::pair<std::string, bool> read(int id) {
    auto future = future_of<cache::Reading>(
        [&](auto done) { engine_->get(fmt::format("users:{}", id), {}, std::move(done)); });
    const auto reading = take(future);
    if (!reading || !reading->present) return {"absent", false};
    const auto n = storage::column_of(reading->value, *reading->shape->find("n"));
    return {std::string(n.value_or("NULL")), reading->source == cache::Source::memory};
  }
  std::string sql(const std::string& statement) {
    const auto outcome = SqlSession(url_).run(statement);
    return outcome.ok ? "" : outcome.state + " " + outcome.message;
  }
  // A write past Freshet has been told, once the stream has brought it here.
  void await_bypasses(std::uint64_t transactions) {
    eventually([&] { return engine_->stats().bypass.transactions >= transactions; });
    EXPECT_EQ(engine_->stats().bypass.transactions, transactions);
  }

  std::string url_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(BypassWatch, an_unsealed_tables_other_writer_is_told_and_what_he_touched_is_read_anew) {
  open(false);
  read(1);
  read(2);
  ASSERT_EQ(read(1), std::pair(std::string("0"), true));
  EXPECT_EQ(sql("UPDATE users SET n = 7 WHERE id = 1"), "");
  eventually([&] { return read(1).first == "7"; });
  await_bypasses(1);
  EXPECT_EQ(engine_->stats().bypass.rows, 1u);
  EXPECT_TRUE(read(2).second) << "it was not touched";
  EXPECT_EQ(sql("DELETE FROM users WHERE id IN (1, 2)"), "");
  eventually([&] { return read(1).first == "absent" && read(2).first == "absent"; });
  read(3);
  EXPECT_EQ(sql("TRUNCATE users"), "");
  eventually([&] { return read(3).first == "absent"; });
  await_bypasses(3);
  EXPECT_EQ(engine_->stats().bypass.rows, 4u);
  EXPECT_EQ(sql("INSERT INTO users SELECT i FROM generate_series(1, 30000) i"), "");
  eventually([&] { return read(3).first == "0"; });
  await_bypasses(4);
  EXPECT_EQ(engine_->stats().bypass.rows, 30004u) << "more than are remembered one by one";
}

// The stream says nothing of it: the tables' descriptions do, which are looked at again every second.
TEST_F(BypassWatch, a_table_that_is_published_no_longer_is_published_again_and_its_rows_are_read_anew) {
  open(false);
  read(1);
  EXPECT_EQ(sql("DO $$ BEGIN EXECUTE format('ALTER PUBLICATION %I DROP TABLE users', (SELECT pubname FROM pg_publication));"
                "END $$; UPDATE users SET n = 7 WHERE id = 1"), "");
  eventually([&] { return read(1).first == "7"; });
  eventually([&] { return engine_->stats().bypass.watching; });
  EXPECT_EQ(sql("UPDATE users SET n = 8 WHERE id = 1"), "");
  eventually([&] { return read(1).first == "8"; });
}

// The protection off: the hit stays as it is for ever.
TEST_F(BypassWatch, without_it_nobody_hears_of_him) {
  open(false, false);
  read(1);
  EXPECT_EQ(sql("UPDATE users SET n = 7 WHERE id = 1"), "");
  EXPECT_EQ(read(1), std::pair(std::string("0"), true));
  EXPECT_EQ(engine_->stats().bypass.transactions, 0u);
}

TEST_F(BypassWatch, whoever_disables_the_seal_is_told) {
  open(true);
  read(1);
  EXPECT_EQ(sql("UPDATE users SET n = 7").substr(0, 5), "FR005");
  EXPECT_EQ(sql("ALTER TABLE users DISABLE TRIGGER freshet_seal; UPDATE users SET n = 7 WHERE id < 4;"
                "ALTER TABLE users ENABLE ALWAYS TRIGGER freshet_seal"), "");
  eventually([&] { return read(1).first == "7"; });
  await_bypasses(1);
  EXPECT_EQ(engine_->stats().bypass.rows, 3u);
}

TEST_F(BypassWatch, whoever_passed_the_guard_is_not) {
  open(true);
  for (int k = 0; k < 20; ++k) ASSERT_TRUE(write({set(1 + k % 9, std::to_string(k))}));
  ASSERT_TRUE(write({set(1, "50"), set(2, "51"), set(77, "52")}));
  Mutation erase;
  erase.kind = storage::MutationKind::erase;
  erase.key = "users:3";
  ASSERT_TRUE(write({erase}));
  auto lent = future_of<std::shared_ptr<cache::SqlGuard>>(
      [&](auto done) { engine_->guard_sql({"users:4", "users:5"}, base::kForever, kPatience, std::move(done)); });
  const auto guard = take(lent);
  ASSERT_TRUE(guard) << guard.error().what;
  SqlSession session(url_);
  session.run("BEGIN");
  ASSERT_TRUE(session.run((*guard)->statement()).ok);
  ASSERT_TRUE(session.run("UPDATE users SET n = 60 WHERE id IN (4, 5)").ok);
  session.run("COMMIT");
  (*guard)->end(cache::SqlGuard::Outcome::committed);
  EXPECT_EQ(read(4).first, "60");
  // The next one that got past comes behind all of them.
  EXPECT_EQ(sql("ALTER TABLE users DISABLE TRIGGER freshet_seal; UPDATE users SET n = 7 WHERE id = 9"), "");
  await_bypasses(1);
  EXPECT_EQ(engine_->stats().bypass.rows, 1u);
}

}  // namespace
}  // namespace freshet
