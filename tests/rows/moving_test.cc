// Tables that move from observed to guarded and back while they are read and written, over a real PostgreSQL: nobody sees an
// older row than was there when he asked, no acknowledged write is lost, and what cannot be moved stays what it was.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <functional>
#include <thread>

#include "cache/composed_engine.h"
#include "cache/transaction.h"
#include "forwarding_storage.h"
#include "random_seed.h"
#include "temporary_postgres.h"
#include "test_engine.h"

namespace freshet {
namespace {

using cache::CollectionKind;
using cache::Reading;
using storage::Cell;
using storage::CollectionSpec;
using storage::Mutation;
using testing::future_of;
using testing::SqlSession;
using testing::take;
using testing::TemporaryPostgres;

constexpr auto kPatience = 30 * base::kSecond;
constexpr int kRows = 4;
constexpr int kMoves = 8;
constexpr auto kLease = 2 * base::kSecond;

CollectionSpec spec_of(bool guarded) {
  CollectionSpec spec;
  spec.name = spec.table = "counters";
  spec.guarded = guarded;
  return spec;
}

template <typename Condition>
void eventually(Condition holds) {
  const auto end = base::now() + kPatience;
  while (!holds()) {
    ASSERT_LT(base::now(), end) << "it did not come";
    std::this_thread::yield();
  }
}

using Wrap = std::function<std::unique_ptr<storage::Storage>(std::shared_ptr<storage::Storage>)>;

// One node over a database.
struct Node {
  explicit Node(const std::string& url, bool guarded, consistency::Protections protections = {}, bool key_value = true,
                std::vector<CollectionSpec> more = {}, const Wrap& wrap = {}) {
    cache::EngineOptions options;
    options.storage_url = url;
    options.fleet = testing::database_of(url);  // Slots belong to the whole server.
    options.memory_bytes = 16 << 20;
    options.key_value = key_value;
    options.lease = kLease;
    options.collections = std::move(more);
    options.collections.push_back(spec_of(guarded));
    auto parts = cache::open_parts(options);
    if (!parts) throw std::runtime_error(parts.error().what);
    parts->protections = protections;
    if (wrap) parts->storage = wrap(std::move(parts->storage));
    engine = std::make_unique<cache::ComposedEngine>(options, std::move(*parts));
  }
  void wait_until_ready() const {
    eventually([&] {
      return engine->kind_of("counters:1") == CollectionKind::guarded_row ? engine->stats().slots_guarded == base::kSlots
                                                                          : engine->stats().observed.streaming;
    });
  }
  std::future<Result<std::vector<std::string>>> begin_move(std::vector<CollectionSpec> specs) const {
    return future_of<std::vector<std::string>>(
        [&](auto done) { engine->change_collections(std::move(specs), std::move(done)); });
  }
  // What was said, or the error.
  std::string move(CollectionSpec spec) const { return move(std::vector<CollectionSpec>{std::move(spec)}); }
  std::string move(std::vector<CollectionSpec> specs) const {
    auto moving = begin_move(std::move(specs));
    if (moving.wait_for(std::chrono::nanoseconds(kPatience)) != std::future_status::ready) return "no answer";
    const auto said = moving.get();
    return said ? (said->empty() ? "nothing" : said->front()) : said.error().what;
  }
  Result<std::pair<std::int64_t, cache::Source>> read(int row, const std::string& column = "n") const {
    auto future = future_of<Reading>(
        [&](auto done) { engine->get(fmt::format("counters:{}", row), {storage::Level::linearizable}, std::move(done)); });
    auto reading = take(future);
    if (!reading) return std::move(reading).error();
    const auto place = reading->shape ? reading->shape->find(column) : std::nullopt;
    const auto text = place ? storage::column_of(reading->value, *place) : std::nullopt;
    std::int64_t value = -1;
    if (text) std::from_chars(text->data(), text->data() + text->size(), value);
    return std::pair(value, reading->source);
  }
  std::int64_t value(int row, const std::string& column = "n") const {
    const auto reading = read(row, column);
    EXPECT_TRUE(reading) << reading.error().what;
    return reading ? reading->first : -2;
  }
  // The counter after it, or what stands in the way.
  Result<std::int64_t> add(int row, const std::string& column = "n") const {
    Mutation mutation;
    mutation.kind = storage::MutationKind::change;
    mutation.key = fmt::format("counters:{}", row);
    mutation.condition = storage::Condition::if_present;
    mutation.cells.push_back({column, Cell::Kind::add, "1"});
    mutation.expiry.mode = storage::Expiry::Mode::keep;
    std::vector<Mutation> mutations;
    mutations.push_back(std::move(mutation));
    auto future = future_of<storage::WriteReply>(
        [&](auto done) { engine->write(std::move(mutations), false, base::kForever, std::move(done)); });
    auto reply = take(future);
    if (!reply) return std::move(reply).error();
    if (!reply->front()) return reply->front().error();
    const auto& after = reply->front()->after;
    const auto* const rows = engine->rows_of_value("counters:1", after.value);
    const auto text = storage::column_of(rows->row_in(after.value), *rows->shape->find(column));
    std::int64_t value = -1;
    std::from_chars(text->data(), text->data() + text->size(), value);
    return value;
  }
  // A guard of the first row, lent to SQL.
  std::shared_ptr<cache::SqlGuard> lend() const {
    auto lending = future_of<std::shared_ptr<cache::SqlGuard>>([&](auto done) {
      engine->guard_sql({"counters:1"}, base::kForever, 30 * base::kSecond, std::move(done));
    });
    return *take(lending);
  }
  // Reads until it is a hit, so that what comes has something to make stale.
  void warm(int row) const {
    eventually([&] {
      const auto reading = read(row);
      return reading && reading->second == cache::Source::memory;
    });
  }

  std::unique_ptr<cache::ComposedEngine> engine;
};

class Moving : public ::testing::Test {
 protected:
  void SetUp() override {
    url_ = TemporaryPostgres::shared().create_database();
    TemporaryPostgres::run(url_, fmt::format("CREATE TABLE counters (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0);"
                                             "INSERT INTO counters SELECT i FROM generate_series(1, {}) i", kRows));
  }
  // Empty: it went through.
  std::string sql(const std::string& statement) const {
    const auto outcome = SqlSession(url_).run(statement);
    return outcome.ok ? "" : outcome.state + " " + outcome.message;
  }

  std::string url_;
};

constexpr auto kAddOne = "UPDATE counters SET n = n + 1 WHERE id = 1";

// Whose writers are to use the recipe can use it before.
TEST_F(Moving, writers_may_ask_before_the_table_is_guarded) {
  Node node(url_, false);
  node.wait_until_ready();
  SqlSession session(url_);
  for (const bool guarded : {false, true}) {
    EXPECT_EQ(node.move(spec_of(guarded)), guarded ? "counters is guarded now" : "nothing");
    session.run("BEGIN");
    const auto passed = session.run("SELECT freshet.pass('counters:1')");
    EXPECT_TRUE(passed.ok) << passed.message;
    EXPECT_TRUE(session.run(kAddOne).ok);
    EXPECT_TRUE(session.run("COMMIT").ok);
    EXPECT_EQ(node.value(1), guarded ? 2 : 1);
  }
}

TEST_F(Moving, from_observed_to_guarded_and_back) {
  Node node(url_, false);
  node.wait_until_ready();
  node.warm(1);
  EXPECT_EQ(sql(kAddOne), "");
  EXPECT_EQ(node.value(1), 1);
  EXPECT_FALSE(node.add(1)) << "an observed collection took a write";

  EXPECT_EQ(node.move(spec_of(true)), "counters is guarded now");
  EXPECT_EQ(node.engine->kind_of("counters:1"), CollectionKind::guarded_row);
  node.wait_until_ready();
  EXPECT_NE(sql(kAddOne), "") << "a sealed table took plain SQL";
  EXPECT_EQ(*node.add(1), 2);
  node.warm(1);
  EXPECT_EQ(node.value(1), 2);

  EXPECT_EQ(node.move(spec_of(false)), "counters is observed now");
  EXPECT_EQ(node.engine->kind_of("counters:1"), CollectionKind::row);
  EXPECT_EQ(node.value(1), 2);
  EXPECT_EQ(sql(kAddOne), "");
  EXPECT_EQ(node.value(1), 3);
  EXPECT_FALSE(node.add(1));
  node.warm(1);
  EXPECT_EQ(sql(kAddOne), "");
  EXPECT_EQ(node.value(1), 4);
  EXPECT_EQ(node.move(spec_of(false)), "nothing");
}

// What the other kind needs is made when it is first wanted: a lease and schema freshet, a slot and a publication.
TEST_F(Moving, without_a_key_value_table) {
  Node node(url_, false, {}, false);
  node.wait_until_ready();
  EXPECT_EQ(node.move(spec_of(true)), "counters is guarded now");
  eventually([&] { return node.add(1).has_value(); });
  EXPECT_EQ(node.value(1), 1);
  eventually([&] { return !sql("UPDATE counters SET n = n WHERE id = 1").empty(); });
  EXPECT_EQ(node.move(spec_of(false)), "counters is observed now");
  EXPECT_EQ(sql(kAddOne), "");
  EXPECT_EQ(node.value(1), 2);
}

// Entries of one time say nothing in the next: rows were written by others in between.
TEST_F(Moving, what_was_cached_before_is_not_served_after) {
  Node node(url_, true);
  node.wait_until_ready();
  for (int round = 1; round <= 3; ++round) {
    node.warm(1);
    EXPECT_EQ(node.move(spec_of(false)), "counters is observed now");
    node.warm(1);
    EXPECT_EQ(sql(kAddOne), "");
    EXPECT_EQ(node.move(spec_of(true)), "counters is guarded now");
    EXPECT_EQ(node.value(1), round);
  }
}

#if FRESHET_PROTECTION_SWITCHES
// Nothing was sealed: the table is what it was, and so are the shapes of its rows.
TEST_F(Moving, without_the_retirement_a_stale_hit_is_found) {
  consistency::Protections protections;
  protections.retire_first = false;
  auto exclusive = spec_of(true);
  exclusive.exclusive_writer = true;
  Node node(url_, false, protections);
  node.wait_until_ready();
  EXPECT_EQ(node.move(exclusive), "counters is guarded now");
  node.wait_until_ready();
  node.warm(1);
  EXPECT_EQ(node.move(spec_of(false)), "counters is observed now");
  EXPECT_EQ(sql(kAddOne), "");
  EXPECT_EQ(node.move(exclusive), "counters is guarded now");
  EXPECT_EQ(node.value(1), 0) << "it was to be stale";
}
#endif

TEST_F(Moving, an_exclusive_table_begins_with_nothing_cached) {
  auto exclusive = spec_of(true);
  exclusive.exclusive_writer = true;
  Node node(url_, false);
  node.wait_until_ready();
  for (int round = 1; round <= 2; ++round) {
    EXPECT_EQ(node.move(exclusive), "counters is guarded now");
    node.wait_until_ready();
    node.warm(1);
    EXPECT_EQ(node.move(spec_of(false)), "counters is observed now");
    EXPECT_EQ(sql(kAddOne), "");
    EXPECT_EQ(node.move(exclusive), "counters is guarded now");
    EXPECT_EQ(node.value(1), round);
    EXPECT_EQ(node.move(spec_of(false)), "counters is observed now");
  }
}

// SQL that holds a guard writes as somebody for whom the rows are locked: it must have ended before others may come.
TEST_F(Moving, waits_for_the_end_of_what_has_begun) {
  Node node(url_, false);
  node.wait_until_ready();  // The stream is there: a slot that is made anew would wait as well, for all that runs.
  EXPECT_EQ(node.move(spec_of(true)), "counters is guarded now");
  node.wait_until_ready();
  auto guard = node.lend();
  SqlSession session(url_);
  session.run("BEGIN");
  ASSERT_TRUE(session.run(guard->statement()).ok);

  auto moving = node.begin_move({spec_of(false)});
  eventually([&] { return node.engine->kind_of("counters:1") == CollectionKind::row; });
  const auto refused = node.add(2);
  EXPECT_FALSE(refused);
  EXPECT_NE(sql("UPDATE counters SET n = n + 1 WHERE id = 2"), "") << "others were let in too early";
  EXPECT_NE(moving.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  ASSERT_TRUE(session.run(kAddOne).ok);
  ASSERT_TRUE(session.run("COMMIT").ok);
  EXPECT_TRUE(guard->end(cache::SqlGuard::Outcome::committed));
  const auto said = take(moving);
  ASSERT_TRUE(said) << said.error().what;
  EXPECT_EQ(sql(kAddOne), "");
  EXPECT_EQ(node.value(1), 2);
}

// A reader that has not ended keeps the seal where it is: then the table stays guarded, and all goes on.
TEST_F(Moving, a_seal_that_cannot_be_taken_away_leaves_all_as_it_was) {
  Node node(url_, true);
  node.wait_until_ready();
  SqlSession reader(url_);
  reader.run("BEGIN");
  ASSERT_TRUE(reader.run("SELECT * FROM counters").ok);
  const auto said = node.move(spec_of(false));
  EXPECT_NE(said.find("lock"), std::string::npos) << said;
  EXPECT_EQ(node.engine->kind_of("counters:1"), CollectionKind::guarded_row);
  EXPECT_NE(sql(kAddOne), "");
  EXPECT_EQ(*node.add(1), 1);
  reader.run("COMMIT");
  EXPECT_EQ(node.move(spec_of(false)), "counters is observed now");
  EXPECT_EQ(sql(kAddOne), "");
}

TEST_F(Moving, what_cannot_be_guarded_stays_observed) {
  TemporaryPostgres::run(url_, "CREATE RULE none AS ON DELETE TO counters DO INSTEAD NOTHING");
  Node node(url_, false);
  node.wait_until_ready();
  const auto said = node.move(spec_of(true));
  EXPECT_NE(said.find("rule"), std::string::npos) << said;
  EXPECT_EQ(sql(kAddOne), "");
  EXPECT_EQ(node.value(1), 1);
  auto other = spec_of(true);
  other.name = "others";
  EXPECT_EQ(node.move(other), "collection \"counters\" is missing");
  auto missing = spec_of(false);
  missing.columns = {{"nope", "nope"}};
  EXPECT_NE(node.move(missing).find("no column nope"), std::string::npos);
  EXPECT_EQ(node.value(1), 1);
}

TEST_F(Moving, an_engine_that_ends_meanwhile_does_not_wait) {
  auto node = std::make_unique<Node>(url_, true);
  node->wait_until_ready();
  auto guard = node->lend();
  auto moving = node->begin_move({spec_of(false)});
  eventually([&] { return node->engine->kind_of("counters:1") == CollectionKind::row; });
  guard.reset();  // Its outcome is unknown: the database is asked.
  const auto begin = base::now();
  node.reset();
  EXPECT_LT(base::now() - begin, kPatience / 2);
  (void)take(moving);
}

// Columns that come while rows are guarded are shown, and can be written, without a restart.
TEST_F(Moving, a_column_that_is_added_is_there_by_itself) {
  Node node(url_, true);
  node.wait_until_ready();
  EXPECT_EQ(*node.add(1), 1);
  node.warm(1);
  TemporaryPostgres::run(url_, "ALTER TABLE counters ADD COLUMN m bigint NOT NULL DEFAULT 7");
  eventually([&] { return node.value(1, "m") == 7; });
  EXPECT_EQ(*node.add(1, "m"), 8);
  EXPECT_EQ(node.value(1), 1);
  TemporaryPostgres::run(url_, "ALTER TABLE counters DROP COLUMN m");
  eventually([&] { return !node.engine->guarded_rows("counters:1")->shape->find("m"); });
  EXPECT_EQ(*node.add(1), 2);
}

TEST_F(Moving, a_seal_that_is_taken_away_comes_back) {
  Node node(url_, true);
  node.wait_until_ready();
  node.warm(1);
  TemporaryPostgres::run(url_, "DROP TRIGGER freshet_seal ON counters; UPDATE counters SET n = 5 WHERE id = 1");
  eventually([&] { return !sql("UPDATE counters SET n = n WHERE id = 1").empty(); });
  eventually([&] { return node.value(1) == 5; });
  EXPECT_EQ(*node.add(1), 6);
}

// A node that takes the lease between planning a table, which it did not seal for want of it, and guarding it.
class Unsealing final : public testing::ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;
  Result<std::function<void()>> guard_rows(const RowChange& change) override {
    auto other = change;
    if (times_++ == 0) other.period = 0;
    return ForwardingStorage::guard_rows(other);
  }

 private:
  int times_ = 0;
};

TEST_F(Moving, a_table_that_was_not_sealed_is_not_cached) {
  Node node(url_, false, {}, true, {}, [](std::shared_ptr<storage::Storage> inner) {
    return std::make_unique<Unsealing>(std::move(inner));
  });
  node.wait_until_ready();
  EXPECT_EQ(node.move(spec_of(true)), "counters is guarded now");
  std::int64_t written = 0;
  while (sql(kAddOne).empty()) EXPECT_EQ(node.value(1), ++written);
  eventually([&] { return node.add(1).has_value(); });
  EXPECT_EQ(node.value(1), written + 1);
  node.warm(1);
}

// Of two that are to change places one cannot: the other is what it was, too.
TEST_F(Moving, what_was_guarded_in_vain_is_observed_again) {
  TemporaryPostgres::run(url_, "CREATE TABLE others (id int PRIMARY KEY, n bigint); INSERT INTO others VALUES (1, 1)");
  auto others = [](bool guarded) {
    auto spec = spec_of(guarded);
    spec.name = spec.table = "others";
    return spec;
  };
  Node node(url_, false, {}, true, {others(true)});
  node.wait_until_ready();
  SqlSession reader(url_);
  reader.run("BEGIN");
  ASSERT_TRUE(reader.run("SELECT * FROM others").ok);
  const auto said = node.move({others(false), spec_of(true)});
  EXPECT_NE(said.find("lock"), std::string::npos) << said;
  EXPECT_EQ(node.engine->kind_of("counters:1"), CollectionKind::row);
  EXPECT_EQ(node.engine->kind_of("others:1"), CollectionKind::guarded_row);
  EXPECT_EQ(sql(kAddOne), "");
  EXPECT_EQ(node.value(1), 1);
  reader.run("COMMIT");
  EXPECT_EQ(node.move({others(false), spec_of(true)}), "others is observed now");
  EXPECT_EQ(node.value(1), 1);
  EXPECT_NE(sql(kAddOne), "");
}

// Values that DDL rewrites pass the seal by; what was cached of them is not served any more once that is seen.
TEST_F(Moving, rows_that_are_rewritten_are_read_anew) {
  Node node(url_, true);
  node.wait_until_ready();
  EXPECT_EQ(*node.add(1), 1);
  node.warm(1);
  TemporaryPostgres::run(url_, "ALTER TABLE counters ALTER COLUMN n TYPE bigint USING n + 40");
  eventually([&] { return node.value(1) == 41; });
  EXPECT_EQ(*node.add(1), 42);
}

// The next holder of the lease was told, at its own start, that the table is guarded: it trusts the seal only if it sees it.
TEST_F(Moving, the_next_owner_looks_at_the_seal) {
  auto first = std::make_unique<Node>(url_, true);
  first->wait_until_ready();
  Node second(url_, true);
  EXPECT_EQ(first->move(spec_of(false)), "counters is observed now");
  EXPECT_EQ(sql(kAddOne), "") << "a node that does not serve has sealed the table again";
  first.reset();
  second.wait_until_ready();
  second.warm(1);
  EXPECT_EQ(second.value(1), 1);
  EXPECT_NE(sql(kAddOne), "") << "rows are served from memory, and everybody may write them";
}

// The configuration was changed while nobody ran; or while another node held the lease.
TEST_F(Moving, a_seal_that_was_left_is_taken_away) {
  auto first = std::make_unique<Node>(url_, true);
  first->wait_until_ready();
  Node second(url_, true);
  EXPECT_EQ(second.move(spec_of(false)),
            "counters is observed now; its table stays sealed until the lease's holder has moved it");
  EXPECT_NE(sql(kAddOne), "");
  EXPECT_EQ(*first->add(1), 1);
  EXPECT_EQ(second.value(1), 1);
  first.reset();
  eventually([&] { return second.engine->ownership_status().period != 0; });
  EXPECT_EQ(second.move(spec_of(false)), "nothing");
  EXPECT_EQ(sql(kAddOne), "");
  EXPECT_EQ(second.move(spec_of(true)), "counters is guarded now");
  EXPECT_NE(sql(kAddOne), "");
  second.engine.reset();
  Node third(url_, false);
  EXPECT_EQ(sql(kAddOne), "");
}

// Readers and writers of both kinds, and somebody who moves the table under them.
TEST_F(Moving, under_fire) {
  testing::random_seed();
  Node node(url_, false);
  node.wait_until_ready();
  std::array<std::atomic<std::int64_t>, kRows + 1> acknowledged{};
  std::array<std::atomic<int>, 2> taken{};  // By commands, by SQL.
  std::atomic<int> hits{0}, stale{0};
  std::atomic<bool> over{false};
  const auto note = [&](int row, std::int64_t value) {
    auto known = acknowledged[static_cast<std::size_t>(row)].load();
    while (known < value && !acknowledged[static_cast<std::size_t>(row)].compare_exchange_weak(known, value)) {}
  };
  std::vector<std::thread> threads;
  for (int row = 1; row <= kRows; ++row) {
    threads.emplace_back([&, row] {
      while (!over) {
        const auto value = node.add(row);
        if (value) {
          note(row, *value);
          ++taken[0];
        }
      }
    });
    threads.emplace_back([&, row] {
      SqlSession session(url_);
      while (!over) {
        const auto outcome = session.run(fmt::format("UPDATE counters SET n = n + 1 WHERE id = {} RETURNING n", row));
        if (outcome.ok) {
          note(row, std::stoll(outcome.rows.front().front()));
          ++taken[1];
        }
      }
    });
  }
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&] {
      for (int row = 1; !over; row = row % kRows + 1) {
        const auto floor = acknowledged[static_cast<std::size_t>(row)].load();
        const auto reading = node.read(row);
        if (!reading) continue;
        if (reading->first < floor) ++stale;
        if (reading->second == cache::Source::memory) ++hits;
      }
    });
  }
  for (int move = 0; move < kMoves; ++move) {
    const bool guarded = move % 2 == 0;
    const auto said = node.move(spec_of(guarded));
    EXPECT_EQ(said, guarded ? "counters is guarded now" : "counters is observed now");
    const int before = taken[guarded ? 0 : 1];
    eventually([&] { return taken[guarded ? 0 : 1] > before + 20; });
  }
  over = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(stale, 0);
  EXPECT_GT(hits, 0);
  for (int row = 1; row <= kRows; ++row) {
    EXPECT_EQ(node.value(row), acknowledged[static_cast<std::size_t>(row)]) << "a write was lost, or came twice";
  }
}

}  // namespace
}  // namespace freshet
