// One snapshot over both kinds of collections: a key of the key-value table, written through Freshet, and a row of an
// observed table, written by SQL. One writer raises them in turn, so that at every moment the key is the row's number or one
// more. Reads that are not of one moment show other pairs: the test counts those of plain linearizable reads beside.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "cache/engine.h"
#include "recorded_client.h"
#include "recorded_load.h"
#include "storage/row.h"
#include "temporary_postgres.h"

namespace freshet::testing {
namespace {

constexpr int kReaders = 8;
constexpr int kSnapshots = 300;  // Of each reader.
constexpr int kRaisesInARow = 10;
constexpr auto kPatience = 30 * base::kSecond;

class MixedSnapshot : public ::testing::Test {
 protected:
  MixedSnapshot() : server_({"wal_level = logical", "fsync = off"}), url_(server_.create_database()) {
    TemporaryPostgres::run(url_, "CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL)");
    TemporaryPostgres::run(url_, "INSERT INTO counters VALUES (1, 0)");
    cache::EngineOptions options;
    options.storage_url = url_;
    options.memory_bytes = 16 << 20;
    options.read_deadline = kPatience;
    storage::CollectionSpec spec;
    spec.name = spec.table = "counters";
    options.collections = {spec};
    auto opened = cache::Engine::open(options);
    if (!opened) throw std::runtime_error(opened.error().what);
    engine_ = std::move(*opened);
  }

  bool put(int number) {
    return RecordedClient(0).set_until_acknowledged(*engine_, "number", std::to_string(number), kPatience);
  }

  // How far the key is ahead of the row; nullopt: refused because both changed all the time.
  std::optional<int> lead(cache::Level level) {
    cache::ReadOptions options;
    options.level = level;
    std::promise<Result<std::vector<cache::Reading>>> answer;
    engine_->get_many({"counters:1", "number", "nowhere"}, options,
                      [&](Result<std::vector<cache::Reading>> readings) { answer.set_value(std::move(readings)); });
    const auto readings = answer.get_future().get();
    if (!readings) {
      EXPECT_EQ(readings.error().code, ErrorCode::busy) << readings.error().what;
      return std::nullopt;
    }
    EXPECT_FALSE((*readings)[2].present);
    const auto row = storage::to_json(*(*readings)[0].shape, (*readings)[0].value);
    const auto number = row ? row->find("\"n\":") : std::string::npos;
    if (number == std::string::npos) {
      ADD_FAILURE() << "no row: " << (row ? *row : row.error().what);
      return std::nullopt;
    }
    return std::stoi((*readings)[1].value) - std::stoi(row->substr(number + 4));
  }

  TemporaryPostgres server_;
  const std::string url_;
  std::unique_ptr<cache::Engine> engine_;
};

TEST_F(MixedSnapshot, IsOfOneMoment) {
  ASSERT_TRUE(put(0));
  std::atomic<bool> stopping{false};
  std::atomic<int> written{0}, answered{0}, torn{0};
  std::thread writer([&] {
    SqlSession session(url_);
    for (int number = 1; !stopping; ++number) {
      EXPECT_TRUE(put(number));
      EXPECT_TRUE(session.run(fmt::format("UPDATE counters SET n = {} WHERE id = 1", number)).ok);
      written = number;
      // Readers need a moment in which nothing changes.
      if (number % kRaisesInARow == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  // More than there are cores: each read is interrupted somewhere.
  std::vector<std::thread> readers;
  for (int reader = 0; reader < kReaders; ++reader) {
    readers.emplace_back([&] {
      for (int i = 0; i < kSnapshots; ++i) {
        if (const auto ahead = lead(cache::Level::snapshot)) {
          ++answered;
          EXPECT_GE(*ahead, 0);
          EXPECT_LE(*ahead, 1);
        }
        const auto ahead = lead(cache::Level::linearizable);
        if (ahead && (*ahead < 0 || *ahead > 1)) ++torn;
      }
    });
  }
  for (auto& reader : readers) reader.join();
  stopping = true;
  writer.join();
  fmt::print("{} writes of each, {} snapshots of {} answered; {} plain reads were of several moments\n", written.load(),
             answered.load(), kReaders * kSnapshots, torn.load());
  EXPECT_GT(answered, kReaders * kSnapshots / 10);
}

}  // namespace
}  // namespace freshet::testing
