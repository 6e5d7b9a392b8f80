// The lease in a real PostgreSQL: who may hold it when. Leases here are short, so that the tests are.
#include "ownership/postgres_lease.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/random.h"
#include "storage/postgres/guarded/postgres_storage.h"
#include "tcp_proxy.h"
#include "temporary_postgres.h"

namespace freshet::ownership {
namespace {

using freshet::testing::TcpProxy;
using freshet::testing::TemporaryPostgres;

constexpr base::Nanoseconds kLease = 600 * base::kMillisecond;
constexpr auto kPatience = std::chrono::seconds(30);

std::string new_database() {
  auto url = TemporaryPostgres::shared().create_database();
  storage::postgres::PostgresOptions options;
  options.url = url;
  EXPECT_TRUE(storage::postgres::PostgresStorage::open(options));
  return url;
}

// A lease with a listener that remembers the handles.
class Node {
 public:
  explicit Node(const std::string& url, std::string holder, base::Nanoseconds lease = kLease) {
    auto opened = PostgresLease::open({url, "default", lease, 0, std::move(holder)});
    EXPECT_TRUE(opened);
    lease_ = std::move(*opened);
    lease_->listen([this](const AssignmentChange& change) {
      const std::lock_guard lock(mutex_);
      for (const auto& removed : change.removed) {
        EXPECT_FALSE(removed->is_still_assigned(base::now())) << "it is revoked before the listener hears of it";
        handle_ = nullptr;
        ++removals_;
      }
      for (const auto& added : change.added) handle_ = added;
      changed_.notify_all();
    });
  }
  // As a crash: nothing is released.
  ~Node() { lease_->listen({}); }

  SliceRef wait_until_held() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kPatience, [&] { return handle_ != nullptr; })) << lease_->status().detail;
    return handle_;
  }
  bool wait_for_removals(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return removals_ >= count; });
  }
  SliceRef handle() {
    const std::lock_guard lock(mutex_);
    return handle_;
  }
  PostgresLease& lease() { return *lease_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  SliceRef handle_;
  int removals_ = 0;
  std::unique_ptr<PostgresLease> lease_;
};

void wait_until(base::Nanoseconds moment) {
  while (base::now() < moment) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

TEST(PostgresLease, the_first_node_holds_all_slots_and_keeps_them_by_renewing) {
  Node node(new_database(), "a");
  const auto handle = node.wait_until_held();
  ASSERT_TRUE(handle);
  EXPECT_EQ(handle->range(), (base::SlotRange{0, base::kSlots - 1}));
  wait_until(base::now() + 3 * kLease);
  EXPECT_TRUE(handle->is_still_assigned(base::now()));
  EXPECT_EQ(node.handle(), handle);
  EXPECT_EQ(node.lease().status().period, handle->period());
}

TEST(PostgresLease, the_deadline_never_lies_a_whole_lease_ahead) {
  Node node(new_database(), "a");
  const auto handle = node.wait_until_held();
  ASSERT_TRUE(handle);
  const auto end = base::now() + 3 * kLease;
  while (base::now() < end) {
    const auto deadline = handle->deadline();
    EXPECT_LE(deadline, base::now() + kLease - drift_margin(kLease));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

TEST(PostgresLease, a_second_server_started_by_mistake_waits_and_says_who_holds_the_lease) {
  const auto url = new_database();
  Node first(url, "first");
  const auto handle = first.wait_until_held();
  ASSERT_TRUE(handle);
  Node second(url, "second");
  wait_until(base::now() + 3 * kLease);
  EXPECT_EQ(second.handle(), nullptr);
  EXPECT_EQ(second.lease().status().holder, "first");
  EXPECT_EQ(second.lease().status().period, 0u);
  EXPECT_TRUE(handle->is_still_assigned(base::now()));
}

TEST(PostgresLease, another_fleet_gets_no_lease_on_the_same_database) {
  const auto url = new_database();
  Node first(url, "first");
  ASSERT_TRUE(first.wait_until_held());
  auto other = PostgresLease::open({url, "other", kLease, 0, "second"});
  ASSERT_TRUE(other);
  std::atomic<bool> held = false;
  (*other)->listen([&](const AssignmentChange& change) {
    if (!change.added.empty()) held = true;
  });
  const auto names_the_fleet = [&] { return (*other)->status().detail.find("\"default\"") != std::string::npos; };
  const auto give_up = base::now() + 20 * base::kSecond;
  while (!names_the_fleet() && !held && base::now() < give_up) std::this_thread::yield();
  EXPECT_TRUE(names_the_fleet()) << (*other)->status().detail;
  EXPECT_FALSE(held);
  (*other)->listen({});
}

TEST(PostgresLease, after_a_crash_another_takes_over_no_sooner_than_the_lease_allows) {
  const auto url = new_database();
  auto first = std::make_unique<Node>(url, "first");
  const auto old = first->wait_until_held();
  ASSERT_TRUE(old);
  Node second(url, "second");
  wait_until(base::now() + kLease);
  const auto deadline = old->deadline();
  first.reset();
  const auto handle = second.wait_until_held();
  ASSERT_TRUE(handle);
  EXPECT_GT(base::now(), deadline) << "the crashed holder might have served until then";
  EXPECT_GT(handle->period(), old->period());
}

TEST(PostgresLease, a_released_lease_is_taken_at_once) {
  const auto url = new_database();
  Node first(url, "first", 20 * base::kSecond);
  const auto old = first.wait_until_held();
  ASSERT_TRUE(old);
  first.lease().release();
  EXPECT_FALSE(old->is_still_assigned(base::now()));
  const auto released = base::now();
  Node second(url, "second", 20 * base::kSecond);
  ASSERT_TRUE(second.wait_until_held());
  EXPECT_LT(base::now() - released, 10 * base::kSecond) << "nobody has to wait for a lease that was given up";
  EXPECT_EQ(first.handle(), nullptr);
}

TEST(PostgresLease, a_challenger_heeds_the_holders_longer_lease) {
  const auto url = new_database();
  auto first = std::make_unique<Node>(url, "first", 3 * base::kSecond);
  const auto old = first->wait_until_held();
  ASSERT_TRUE(old);
  first.reset();
  const auto crashed = base::now();
  Node second(url, "second", 300 * base::kMillisecond);
  ASSERT_TRUE(second.wait_until_held());
  EXPECT_GE(base::now() - crashed, 3 * base::kSecond);
}

TEST(PostgresLease, a_holder_that_is_cut_off_loses_its_slots_before_another_has_them) {
  const auto url = new_database();
  TcpProxy proxy(TemporaryPostgres::shared().port());
  Node first(TemporaryPostgres::shared().url_through(proxy.port(), freshet::testing::database_of(url)), "first");
  const auto old = first.wait_until_held();
  ASSERT_TRUE(old);
  Node second(url, "second");
  proxy.set_mode(TcpProxy::Mode::swallow_replies);
  const auto handle = second.wait_until_held();
  ASSERT_TRUE(handle);
  EXPECT_FALSE(old->is_still_assigned(base::now()));
  EXPECT_TRUE(first.wait_for_removals(1));
  // Back again it finds the new holder, and waits.
  proxy.set_mode(TcpProxy::Mode::pass);
  proxy.cut();
  wait_until(base::now() + 3 * kLease);
  EXPECT_EQ(first.handle(), nullptr);
  EXPECT_TRUE(handle->is_still_assigned(base::now()));
  EXPECT_EQ(first.lease().status().holder, "second");
}

TEST(PostgresLease, a_cut_connection_alone_does_not_end_a_period) {
  const auto url = new_database();
  TcpProxy proxy(TemporaryPostgres::shared().port());
  constexpr base::Nanoseconds kLongLease = 4 * base::kSecond;
  Node node(TemporaryPostgres::shared().url_through(proxy.port(), freshet::testing::database_of(url)), "a", kLongLease);
  const auto handle = node.wait_until_held();
  ASSERT_TRUE(handle);
  const auto first_deadline = handle->deadline();
  for (int i = 0; i < 5; ++i) {
    proxy.cut();
    wait_until(base::now() + kLongLease / 4);
  }
  wait_until(first_deadline);
  EXPECT_TRUE(handle->is_still_assigned(base::now()));
  EXPECT_EQ(node.handle(), handle);
}

// Three nodes over connections that fail at random, one of which is killed and replaced now and then.
TEST(PostgresLease, nodes_that_fight_never_hold_it_at_one_time) {
  const auto seed = base::entropy();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  base::Random random(seed);
  const auto url = new_database();
  constexpr int kNodes = 3;
  constexpr base::Nanoseconds kShort = 300 * base::kMillisecond;
  TcpProxy proxies[kNodes] = {TcpProxy(TemporaryPostgres::shared().port()), TcpProxy(TemporaryPostgres::shared().port()),
                              TcpProxy(TemporaryPostgres::shared().port())};
  std::vector<std::unique_ptr<Node>> nodes(kNodes);
  int born = 0;
  const auto start = [&](std::size_t i) {
    nodes[i].reset();
    const auto through =
        TemporaryPostgres::shared().url_through(proxies[i].port(), freshet::testing::database_of(url));
    nodes[i] = std::make_unique<Node>(through, "node" + std::to_string(++born), kShort);
  };
  for (std::size_t i = 0; i < kNodes; ++i) start(i);
  std::uint64_t last_period = 0;
  int periods = 0;
  constexpr int kPeriodsMin = 3;
  const auto begun = base::now();
  const auto is_enough = [&] {
    const auto passed = base::now() - begun;
    return passed > 60 * base::kSecond || (periods >= kPeriodsMin && passed > 12 * base::kSecond);
  };
  while (!is_enough()) {
    int holders = 0;
    std::uint64_t period = 0;
    std::vector<SliceRef> handles;
    for (auto& node : nodes) handles.push_back(node->handle());
    // One reading of the clock for all: at this moment at most one may be valid.
    const auto now = base::now();
    for (const auto& handle : handles) {
      if (!handle || !handle->is_still_assigned(now)) continue;
      ++holders;
      period = handle->period();
    }
    ASSERT_LE(holders, 1);
    if (holders == 1 && period != last_period) {
      ASSERT_GT(period, last_period);
      last_period = period;
      ++periods;
    }
    const auto which = static_cast<std::size_t>(random.below(kNodes));
    if (random.chance(0.004)) start(which);
    if (random.chance(0.01)) proxies[which].cut();
    if (random.chance(0.004)) proxies[which].set_mode(TcpProxy::Mode::swallow_replies);
    if (random.chance(0.004)) proxies[which].set_mode(TcpProxy::Mode::stall);
    if (random.chance(0.02)) proxies[which].set_mode(TcpProxy::Mode::pass);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  for (auto& proxy : proxies) proxy.set_mode(TcpProxy::Mode::pass);
  EXPECT_GE(periods, kPeriodsMin) << "too few changes of the holder to prove anything";
  nodes.clear();
}

// A server of its own: others must not lose their connections.
TEST(PostgresLease, a_restart_of_the_server_begins_a_new_period) {
  TemporaryPostgres server({"fsync = off"});
  const auto url = server.create_database();
  storage::postgres::PostgresOptions options;
  options.url = url;
  ASSERT_TRUE(storage::postgres::PostgresStorage::open(options));
  constexpr base::Nanoseconds kLongLease = 20 * base::kSecond;
  Node node(url, "a", kLongLease);
  const auto old = node.wait_until_held();
  ASSERT_TRUE(old);
  server.restart("immediate");
  ASSERT_TRUE(node.wait_for_removals(1));
  EXPECT_FALSE(old->is_still_assigned(base::now()));
  const auto handle = node.wait_until_held();
  ASSERT_TRUE(handle);
  EXPECT_GT(handle->period(), old->period());
  EXPECT_TRUE(handle->is_still_assigned(base::now()));
}

}  // namespace
}  // namespace freshet::ownership
