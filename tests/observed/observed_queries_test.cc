// Queries as keys under fire: rows that enter and leave a customer's list, a join that is dropped by table, and rows
// beside them. Every linearizable read is one of the states that the writer has written down, and every snapshot read one
// of them as a whole.
#include "observed_fixture.h"

#include "observed_orders.h"
#include "observed_state_readers.h"
#include "synchronous_replication.h"

namespace freshet::testing {
namespace {

class ObservedQueries : public ObservedFixture {
 protected:
  void begin() {
    load_.writers = load_.readers = 2;
    load_.write_pause = 2 * base::kMillisecond;
    for (auto& spec : order_collections()) specs_.push_back(spec);
    prepare(order_schema());
    open(url_, "a");
    open(url_, "b");
  }

  void run_with_orders(const std::function<void(int round)>& fault, int rounds = kRounds) {
    ObservedOrders orders(load_.seed, url_, 2 * base::kMillisecond);
    ObservedStateReaders::Options options;
    options.seed = load_.seed;
    options.keys = order_keys();
    options.text = order_text;
    options.sql = order_sql;
    options.snapshots = true;
    ObservedStateReaders readers(std::move(options), url_, engines(), orders.states());
    run([&](int round) {
      fault(round);
      const auto before = readers.counts();
      const auto written = orders.writes();
      ASSERT_TRUE(eventually([&] {
        const auto now = readers.counts();
        return now.hits > before.hits + 100 && now.snapshots > before.snapshots + 50 && orders.writes() > written + 50;
      })) << "queries are not served from memory" << state();
    }, rounds);
    orders.stop();
    readers.stop();
    const auto counts = readers.counts();
    fmt::print("orders: {} writes, {} reads ({} hits, {} failed), {} snapshots, {} by SELECT, {} that one state explains\n",
               orders.writes(), counts.reads, counts.hits, counts.failed, counts.snapshots, counts.sql,
               orders.states().sharp());
    const auto anomalies = readers.anomalies();
    EXPECT_TRUE(anomalies.empty()) << anomalies.front();
    EXPECT_GT(orders.states().sharp(), 500u);
    EXPECT_GT(counts.sql, 200u);
    for (const auto& [text, times] : readers.errors()) fmt::print("{} reads failed: {}\n", times, text);
  }
};

TEST_F(ObservedQueries, NothingHappens) {
  begin();
  run_with_orders([](int) {});
}

TEST_F(ObservedQueries, WalsendersAreKilled) {
  begin();
  run_with_orders([&](int) { TemporaryPostgres::run(url_, "SELECT pg_terminate_backend(pid) FROM pg_stat_replication"); });
}

TEST_F(ObservedQueries, TheServerIsKilled) {
  begin();
  run_with_orders([&](int) { server_.restart("immediate"); }, 2);
}

TEST_F(ObservedQueries, CommitsStall) {
  begin();
  run_with_orders([&](int) {
    SynchronousReplication replication(server_.url());
    ASSERT_TRUE(replication.hold());
    ASSERT_TRUE(running_->wait_for_progress(kProgress, kRecovery));
    replication.release();
  });
}

// A view's, an index', a column's coming and going: nothing of it may leave an old result behind.
TEST_F(ObservedQueries, TheTablesOfAQueryAreAltered) {
  begin();
  run_with_orders([&](int round) {
    TemporaryPostgres::run(url_, fmt::format("ALTER TABLE orders ADD COLUMN extra{} int DEFAULT 7", round));
    TemporaryPostgres::run(url_, "ALTER TABLE customer ALTER COLUMN name TYPE varchar(99)");
    TemporaryPostgres::run(url_, "ALTER TABLE customer ALTER COLUMN name TYPE text");
    TemporaryPostgres::run(url_, "ALTER TABLE orders REPLICA IDENTITY DEFAULT");
    TemporaryPostgres::run(url_, "ALTER TABLE orders REPLICA IDENTITY FULL");
  }, 2);
}

}  // namespace
}  // namespace freshet::testing
