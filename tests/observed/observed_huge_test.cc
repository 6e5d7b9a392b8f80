// Huge transactions against the real server, with little room to hold them: they are kept as images, then as hashes of keys,
// then as "anything of this collection", while they wait to become visible and rows of theirs are read, dropped and filled
// again. FRESHET_HUGE_ROWS says how many rows one changes.
#include "observed_fixture.h"

#include "observed_state_readers.h"
#include "synchronous_replication.h"

namespace freshet::testing {
namespace {

constexpr std::uint64_t kRows = 100'000;
constexpr int kWatched = 16;  // Rows that readers read, spread over the table.

struct Room {
  const char* name;
  std::size_t bytes_max;
  std::size_t keys_part;  // Hashes for this part of the rows; 0: for none.
};

class ObservedHuge : public ObservedFixture, public ::testing::WithParamInterface<Room> {
 protected:
  ObservedHuge() : rows_(from_environment("FRESHET_HUGE_ROWS", kRows)) {}

  std::uint64_t row(int watched) const { return 1 + static_cast<std::uint64_t>(watched) * (rows_ / kWatched); }
  std::string key(int watched) const { return fmt::format("stock:{}", row(watched)); }
  ObservedStates::State labelled(const std::string& label) const {
    ObservedStates::State state;
    for (int i = 0; i < kWatched; ++i) state[key(i)] = label + std::to_string(row(i));
    return state;
  }

  void begin() {
    load_.writers = load_.readers = 2;
    load_.write_pause = 5 * base::kMillisecond;
    specs_.emplace_back().name = "stock";
    specs_.back().table = "stock";
    prepare(fmt::format("CREATE TABLE stock (id bigint PRIMARY KEY, label text NOT NULL) WITH (fillfactor = 50);"
                        "INSERT INTO stock SELECT i, 'a' || i FROM generate_series(1, {}) i", rows_));
    consistency::FollowerLimits limits;
    limits.held_bytes_max = GetParam().bytes_max;
    limits.held_keys_max = GetParam().keys_part == 0 ? 1 : rows_ / GetParam().keys_part;
    open(url_, "a", limits);
    states_ = std::make_unique<ObservedStates>(labelled("a"));
    ObservedStateReaders::Options options;
    options.seed = test_seed();
    for (int i = 0; i < kWatched; ++i) options.keys.push_back(key(i));
    options.text = [](const cache::Reading& reading) {
      return reading.present ? std::string(*storage::column_of(reading.value, 1)) : "";
    };
    options.sql = [](const std::string& asked) { return "SELECT label FROM stock WHERE id = " + asked.substr(6); };
    options.snapshots = true;
    options.read_timeout = 5 * base::kSecond;  // A quarter is waited for the stream, and it takes longer to decode one.
    readers_ = std::make_unique<ObservedStateReaders>(std::move(options), url_, engines(), *states_);
  }

  // Half of what is watched is filled anew, while the change is on its way and while it is held.
  void refill() {
    for (int i = 0; i < kWatched; i += 2) engines_[0]->evict(key(i));
  }

  // One transaction changes every row, arrives, waits to become visible, and does.
  void change_all(const std::string& label) {
    SynchronousReplication replication(server_.url());
    ASSERT_TRUE(replication.hold());
    // The load's commits would wait in front of it, and with them its rows' locks.
    SqlSession bulk(url_);
    states_->begin(labelled(label));
    const auto received = engines_[0]->stream_status().row_changes;
    bulk.start(fmt::format("UPDATE stock SET label = '{}' || id", label));
    ASSERT_TRUE(eventually([&] {
      refill();
      return engines_[0]->stream_status().row_changes >= received + rows_;
    })) << "the transaction never arrived" << state();
    const bool holds = protections_of_environment().hold_until_visible;
    ASSERT_TRUE(eventually([&] { return !holds || engines_[0]->stats().observed.held_transactions > 0; }));
    for (int i = 0; i < 20; ++i) {
      refill();
      const auto reads = readers_->counts().reads;
      ASSERT_TRUE(eventually([&] { return readers_->counts().reads > reads + 20; })) << state();
    }
    EXPECT_LE(engines_[0]->stats().observed.held_bytes, GetParam().bytes_max);
    replication.release();
    const auto outcome = bulk.finish();
    ASSERT_TRUE(outcome.ok) << outcome.message;
    states_->acknowledge();
  }

  const std::uint64_t rows_;
  std::unique_ptr<ObservedStates> states_;
  std::unique_ptr<ObservedStateReaders> readers_;
};

INSTANTIATE_TEST_SUITE_P(Kept, ObservedHuge,
                         ::testing::Values(Room{"as_images", 64 << 20, 1}, Room{"as_hashes", 1 << 10, 1},
                                           Room{"as_the_collection", 1 << 10, 10}, Room{"as_nothing_else", 0, 0}),
                         [](const auto& test) { return test.param.name; });

TEST_P(ObservedHuge, OneTransactionChangesEveryRow) {
  begin();
  run([&](int round) {
    change_all(fmt::format("b{}-", round));
    const auto hits = readers_->counts().hits;
    ASSERT_TRUE(eventually([&] { return readers_->counts().hits > hits + 200; })) << state();
  }, 2);
  readers_->stop();
  const auto counts = readers_->counts();
  fmt::print("stock of {}: {} reads ({} hits, {} failed), {} snapshots, {} by SELECT\n", rows_, counts.reads, counts.hits,
             counts.failed, counts.snapshots, counts.sql);
  const auto anomalies = readers_->anomalies();
  EXPECT_TRUE(anomalies.empty()) << anomalies.front();
  EXPECT_GT(states_->sharp(), 500u);
  EXPECT_GT(counts.snapshots, 100u);
  for (const auto& [text, times] : readers_->errors()) fmt::print("{} reads failed: {}\n", times, text);
}

}  // namespace
}  // namespace freshet::testing
