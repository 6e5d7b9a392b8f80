// DDL under load. The change stream says nothing of it: tables are rewritten, renamed, replaced, emptied, cut into other
// partitions, and dropped, while readers read. What is read afterwards is what the database holds, at once; while there is
// nothing to read, the error says why.
#include "observed_fixture.h"

#include <algorithm>

#include "observed_state_readers.h"

namespace freshet::testing {
namespace {

using State = ObservedStates::State;

constexpr int kRows = 4;

// A small table beside the load's, whose contents one writer changes by DDL and writes down.
class ObservedDdl : public ObservedFixture {
 protected:
  static std::string key(int row) { return fmt::format("shelf:{}", row); }
  // Rows 1 to kRows, each with `label` and its number.
  static State labelled(const std::string& label, int rows = kRows) {
    State state;
    for (int row = 1; row <= rows; ++row) state[key(row)] = fmt::format("{}{}", label, row);
    return state;
  }
  static std::string filled(const std::string& table, const std::string& label) {
    return fmt::format("INSERT INTO {} SELECT i, '{}' || i FROM generate_series(1, {}) i;", table, label, kRows);
  }

  void begin(const std::string& shelf) {
    specs_.emplace_back().name = "shelf";
    specs_.back().table = "shelf";
    prepare(shelf + filled("shelf", "a"));
    open(url_, "a");
    states_ = std::make_unique<ObservedStates>(labelled("a"));
    ObservedStateReaders::Options options;
    options.seed = test_seed();
    for (int row = 1; row <= kRows; ++row) options.keys.push_back(key(row));
    options.text = [](const cache::Reading& reading) {
      return reading.present ? std::string(*storage::column_of(reading.value, 1)) : "";
    };
    options.sql = [](const std::string& asked) { return "SELECT label FROM shelf WHERE id = " + asked.substr(6); };
    ASSERT_TRUE(eventually([&] { return is_cached(); })) << state();
    readers_ = std::make_unique<ObservedStateReaders>(std::move(options), url_, engines(), *states_);
  }

  // Runs `sql` as one transaction, after which the shelf is `next`; then the collection must come back to memory.
  void change(const std::string& sql, State next) {
    SCOPED_TRACE(sql);
    alter(sql, std::move(next));
    ASSERT_TRUE(eventually([&] { return is_cached(); })) << "not in memory again" << state();
  }
  void alter(const std::string& sql, State next) {
    SqlSession session(url_);
    states_->begin(std::move(next));
    const auto outcome = session.run(sql);
    ASSERT_TRUE(outcome.ok) << outcome.message;
    states_->acknowledge();
  }
  // The stream must bring changes of what stands there now.
  void relabel(const std::string& label) {
    change(fmt::format("UPDATE shelf SET label = '{}' || id", label), labelled(label));
  }

  bool is_cached() {
    const auto readings = read_now(*engines_[0], {key(1)}, cache::Level::linearizable);
    return readings && readings->front().source == cache::Source::memory;
  }
  // The text of the error that reads end with; empty once one was answered.
  std::string error_of_read() {
    const auto readings = read_now(*engines_[0], {key(1)}, cache::Level::linearizable);
    return readings ? "" : readings.error().what;
  }

  // Reads failed with nothing but these, and were right. Those that waited for the new description may have waited beyond
  // their deadline on a busy machine.
  void expect_shelf_clean(std::vector<std::string> errors = {}) {
    errors.emplace_back("the read's deadline has passed");
    readers_->stop();
    const auto anomalies = readers_->anomalies();
    EXPECT_TRUE(anomalies.empty()) << anomalies.front();
    for (const auto& [text, times] : readers_->errors()) {
      const bool known =
          std::any_of(errors.begin(), errors.end(), [&](const auto& part) { return text.find(part) != text.npos; });
      EXPECT_TRUE(known) << times << " reads failed: " << text;
    }
    const auto counts = readers_->counts();
    fmt::print("shelf: {} reads ({} hits, {} failed), {} by SELECT, {} that one state explains\n", counts.reads, counts.hits,
               counts.failed, counts.sql, states_->sharp());
    EXPECT_GT(counts.hits, 500u);
    EXPECT_GT(counts.sql, 100u);
    EXPECT_GT(states_->sharp(), 500u);
  }

  std::unique_ptr<ObservedStates> states_;
  std::unique_ptr<ObservedStateReaders> readers_;
};

constexpr const char* kShelf = "CREATE TABLE shelf (id int PRIMARY KEY, label text NOT NULL);";

// The registers keep their contents through all of it, so that the checker's histories go on.
TEST_F(ObservedDdl, TheRegistersTableIsAlteredInPlace) {
  load_.partitioned = true;
  prepare();
  open(url_, "a");
  open(url_, "b");
  const std::vector<std::vector<std::string>> alterations = {
      {"ALTER TABLE register RENAME COLUMN value TO worth", "ALTER TABLE register RENAME COLUMN worth TO value"},
      {"ALTER TABLE register ALTER COLUMN value TYPE varchar(80)", "ALTER TABLE register ALTER COLUMN value TYPE text"},
      {"BEGIN; ALTER TABLE register DETACH PARTITION register_1; ALTER TABLE register ATTACH PARTITION register_1 "
       "FOR VALUES WITH (MODULUS 3, REMAINDER 1); COMMIT"},
      {"BEGIN; LOCK TABLE register; CREATE TABLE copied (LIKE register INCLUDING ALL); "
       "INSERT INTO copied SELECT * FROM register;"
       "ALTER TABLE register RENAME TO replaced; ALTER TABLE copied RENAME TO register; COMMIT",
       "UPDATE replaced SET value = 'a ghost'", "DROP TABLE replaced"},
  };
  run([&](int round) {
    for (const auto& statement : alterations[static_cast<std::size_t>(round)]) {
      TemporaryPostgres::run(url_, statement);
      ASSERT_TRUE(running_->wait_for_progress(kProgress / 3, kRecovery)) << statement << state();
    }
  }, static_cast<int>(alterations.size()));
}

TEST_F(ObservedDdl, ATypeIsRewrittenAndTheTableEmptied) {
  begin(kShelf);
  run([&](int round) {
    const auto label = fmt::format("b{}-", round);
    change(fmt::format("ALTER TABLE shelf ALTER COLUMN label TYPE varchar(90) USING '{}' || id", label), labelled(label));
    relabel(fmt::format("c{}-", round));
    change("TRUNCATE shelf", {});
    alter(filled("shelf", "d"), labelled("d"));
    change("TRUNCATE shelf; " + filled("shelf", "e"), labelled("e"));
    change("ALTER TABLE shelf ALTER COLUMN label TYPE text USING 'f' || id", labelled("f"));
  }, 2);
  expect_shelf_clean();
}

// The database refuses statements that name what is gone: their reads wait for the new description.
TEST_F(ObservedDdl, ColumnsComeAndGo) {
  begin(kShelf);
  run([&](int round) {
    const auto label = fmt::format("b{}-", round);
    relabel(label);
    for (int i = 0; i < 3; ++i) {
      alter("ALTER TABLE shelf ADD COLUMN extra int", labelled(label));
      change("ALTER TABLE shelf RENAME COLUMN extra TO more", labelled(label));
      change("ALTER TABLE shelf DROP COLUMN more", labelled(label));
    }
  }, 2);
  expect_shelf_clean();
}

TEST_F(ObservedDdl, TheTableIsReplaced) {
  begin(kShelf);
  run([&](int round) {
    const auto label = fmt::format("b{}-", round);
    change(std::string("DROP TABLE shelf; ") + kShelf + filled("shelf", label), labelled(label));
    relabel("c");
    alter("CREATE TABLE other (id int PRIMARY KEY, label text NOT NULL);" + filled("other", "d"), labelled("c"));
    change("ALTER TABLE shelf RENAME TO away; ALTER TABLE other RENAME TO shelf", labelled("d"));
    alter("UPDATE away SET label = 'a ghost'", labelled("d"));
    relabel("e");
    change("ALTER TABLE shelf RENAME TO other; ALTER TABLE away RENAME TO shelf; UPDATE shelf SET label = 'f' || id",
           labelled("f"));
    alter("DROP TABLE other", labelled("f"));
  }, 2);
  expect_shelf_clean();
}

// Meanwhile there is nothing to read, and the error says so.
TEST_F(ObservedDdl, TheTableIsGoneForAWhile) {
  begin(kShelf);
  run([&](int round) {
    alter("DROP TABLE shelf", {});
    ASSERT_TRUE(eventually([&] { return error_of_read() == "there is no table shelf"; })) << error_of_read();
    const auto label = fmt::format("b{}-", round);
    change(kShelf + filled("shelf", label), labelled(label));
    relabel("c");
  }, 2);
  expect_shelf_clean({"shelf"});
}

TEST_F(ObservedDdl, PartitionsComeAndGo) {
  begin("CREATE TABLE shelf (id int PRIMARY KEY, label text NOT NULL) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF shelf FOR VALUES FROM (0) TO (3);"
        "CREATE TABLE high PARTITION OF shelf FOR VALUES FROM (3) TO (100);");
  run([&](int round) {
    const auto label = fmt::format("b{}-", round);
    change("ALTER TABLE shelf DETACH PARTITION high", [&] {
      auto left = labelled(round == 0 ? "a" : "d");
      left.erase(key(3));
      left.erase(key(4));
      return left;
    }());
    alter("UPDATE high SET label = 'away' || id; UPDATE low SET label = 'away' || id", labelled("away", 2));
    change("ALTER TABLE shelf ATTACH PARTITION high FOR VALUES FROM (3) TO (100)", labelled("away"));
    relabel(label);
    change("ALTER TABLE shelf DETACH PARTITION low; CREATE TABLE lower PARTITION OF shelf FOR VALUES FROM (0) TO (3);"
           "INSERT INTO lower SELECT id, label FROM low; DROP TABLE low; ALTER TABLE lower RENAME TO low;"
           "UPDATE shelf SET label = 'c' || id", labelled("c"));
    relabel("d");
  }, 2);
  expect_shelf_clean();
}

}  // namespace
}  // namespace freshet::testing
