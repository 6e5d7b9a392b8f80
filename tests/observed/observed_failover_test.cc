// Observed collections through a failover: the primary dies, or is cut off, and its synchronous standby takes over. Nothing
// acknowledged is lost, so nothing may be stale; replication slots do not survive (PostgreSQL 15), so Freshet makes its own
// anew, drops everything and recovers by itself.
#include "observed_fixture.h"

#include "synchronous_replication.h"
#include "tcp_proxy.h"

namespace freshet::testing {
namespace {

// A standby needs room for whatever the primary has room for.
std::vector<std::string> settings_that_a_standby_can_follow() {
  return {"max_wal_senders = 20", "max_replication_slots = 20", "wal_sender_timeout = 5s", "max_connections = 200",
          "fsync = off"};
}

class ObservedFailover : public ObservedFixture {
 protected:
  ObservedFailover() : ObservedFixture(settings_that_a_standby_can_follow()) {
    load_.write_pause = 2 * base::kMillisecond;
  }

  // A standby of `primary` that has every acknowledged commit from now on, and those before.
  std::unique_ptr<TemporaryPostgres> make_synchronous_standby(TemporaryPostgres& primary) {
    auto standby = primary.make_standby();
    SynchronousReplication replication(primary.url());
    EXPECT_TRUE(replication.hold());
    replication.wait_for_standby();
    // A commit that was held is let go by the standby alone.
    const auto synchronous = "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'";
    EXPECT_TRUE(eventually([&] {
      return replication.waiting() == 0 && TemporaryPostgres::run(primary.url(), synchronous).size() == 1;
    })) << "the standby never caught up";
    return standby;
  }

  void expect_new_slot(const TemporaryPostgres& primary) {
    const auto slots = TemporaryPostgres::run(primary.url(), "SELECT FROM pg_replication_slots WHERE slot_type = 'logical'");
    ASSERT_EQ(slots.size(), engines_.size());
    for (const auto& engine : engines_) EXPECT_TRUE(engine->stream_status().streaming) << engine->stream_status().detail;
  }
};

// Everybody names both hosts.
TEST_F(ObservedFailover, ThePrimaryDiesAndItsStandbyIsPromoted) {
  prepare();
  const auto standby = make_synchronous_standby(server_);
  const auto hosts = fmt::format("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/{}", server_.port(), standby->port(),
                                 database_of(url_));
  open(hosts, "a");
  open(hosts, "b");
  url_ = hosts + "?target_session_attrs=read-write";
  run([&](int) {
    // At once, so that no commit that waits for the standby becomes visible on its way out.
    server_.halt("immediate");
    standby->promote();
  }, 1);
  expect_new_slot(*standby);
}

// Everybody goes through one address, which is moved; the old primary lives on and nobody reaches it. Twice.
TEST_F(ObservedFailover, AnAddressMovesToThePromotedStandby) {
  prepare();
  TcpProxy proxy(server_.port());
  url_ = server_.url_through(proxy.port(), database_of(url_));
  open(url_, "a");
  open(url_, "b");
  std::vector<std::unique_ptr<TemporaryPostgres>> promoted;
  run([&](int) {
    auto& primary = promoted.empty() ? server_ : *promoted.back();
    auto standby = make_synchronous_standby(primary);
    proxy.set_mode(TcpProxy::Mode::refuse);
    proxy.cut();
    standby->promote();
    proxy.set_upstream(standby->port());
    proxy.set_mode(TcpProxy::Mode::pass);
    promoted.push_back(std::move(standby));
  }, 2);
  expect_new_slot(*promoted.back());
}

}  // namespace
}  // namespace freshet::testing
