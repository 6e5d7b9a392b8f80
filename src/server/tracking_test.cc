// The tracking table by itself: who is told of what, and its bounds.
#include "server/tracking.h"

#include <gmock/gmock.h>

#include <map>

namespace freshet::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

class TrackingTest : public testing::Test {
 protected:
  // Everything that has come, "*" for everything. Client 1 is of worker 0, client 2 of worker 1.
  std::map<std::uint64_t, std::vector<std::string>> told() {
    std::map<std::uint64_t, std::vector<std::string>> all;
    for (std::size_t worker = 0; worker < 2; ++worker) {
      for (auto& [client, each] : tracking_.take(worker)) {
        EXPECT_EQ(worker_of(client, 2), worker);
        if (each.everything) each.keys.emplace_back("*");
        std::sort(each.keys.begin(), each.keys.end());
        if (!each.keys.empty()) all[client] = std::move(each.keys);
      }
    }
    return all;
  }

  std::vector<std::size_t> woken_;
  Tracking tracking_{2, [this](std::size_t worker) { woken_.push_back(worker); }};
};

TEST_F(TrackingTest, ReadersAreToldOnce) {
  tracking_.join(1, {});
  tracking_.join(2, {});
  tracking_.remember("k", 1);
  tracking_.remember("k", 1);
  tracking_.remember("k", 2);
  tracking_.remember("users:1", 2);
  EXPECT_EQ(tracking_.stats().keys, 2u);
  tracking_.on_changed("k");
  tracking_.on_changed("other");
  EXPECT_THAT(woken_, UnorderedElementsAre(0, 1));
  EXPECT_THAT(told(), ElementsAre(Pair(1, ElementsAre("k")), Pair(2, ElementsAre("k"))));
  tracking_.on_changed("k");
  EXPECT_THAT(told(), IsEmpty());
  tracking_.on_changed("users:1");
  EXPECT_THAT(told(), ElementsAre(Pair(2, ElementsAre("users:1"))));
  EXPECT_EQ(tracking_.stats().keys, 0u);
  EXPECT_EQ(tracking_.stats().bytes, 0u);
  EXPECT_EQ(tracking_.stats().invalidations, 3u);
}

TEST_F(TrackingTest, AWorkerIsWokenOnceUntilItHasTaken) {
  tracking_.join(1, {});
  for (const auto* key : {"a", "b", "c"}) tracking_.remember(key, 1);
  for (const auto* key : {"a", "b"}) tracking_.on_changed(key);
  EXPECT_THAT(woken_, ElementsAre(0));
  EXPECT_THAT(told(), ElementsAre(Pair(1, ElementsAre("a", "b"))));
  tracking_.on_changed("c");
  EXPECT_THAT(woken_, ElementsAre(0, 0));
}

TEST_F(TrackingTest, ACollectionsChangeTellsItsReaders) {
  tracking_.join(1, {});
  tracking_.join(2, {});
  std::vector<std::string> keys;
  for (int i = 0; i < 200; ++i) keys.push_back("users:" + std::to_string(i));
  for (const auto& key : keys) tracking_.remember(key, 1);
  tracking_.remember("users:7", 2);
  tracking_.remember("usersX:7", 2);
  tracking_.on_collection_changed("users");
  std::sort(keys.begin(), keys.end());
  EXPECT_THAT(told(), ElementsAre(Pair(1, keys), Pair(2, ElementsAre("users:7"))));
  EXPECT_EQ(tracking_.stats().keys, 1u);
  tracking_.on_collection_changed("users");
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(TrackingTest, BroadcastersAreToldByPrefix) {
  tracking_.join(1, {"users:", "o"});
  tracking_.join(2, {""});
  for (const auto* key : {"users:1", "orders:1", "x"}) tracking_.on_changed(key);
  EXPECT_THAT(told(), ElementsAre(Pair(1, ElementsAre("orders:1", "users:1")),
                                  Pair(2, ElementsAre("orders:1", "users:1", "x"))));
  tracking_.join(2, {"users:42"});
  tracking_.on_collection_changed("users");
  EXPECT_THAT(told(), ElementsAre(Pair(1, ElementsAre("*")), Pair(2, ElementsAre("*")))) << "which keys is not known";
  tracking_.on_collection_changed("x");
  EXPECT_THAT(told(), IsEmpty());
  tracking_.leave(1);
  tracking_.on_changed("orders:2");
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(TrackingTest, AnInterruptionTellsEverybodyEverything) {
  tracking_.join(1, {});
  tracking_.join(2, {"users:"});
  tracking_.remember("k", 1);
  tracking_.on_changed("k");
  tracking_.on_everything_changed();
  EXPECT_THAT(told(), ElementsAre(Pair(1, ElementsAre("*")), Pair(2, ElementsAre("*"))));
  EXPECT_EQ(tracking_.stats().bytes, 0u);
  EXPECT_EQ(tracking_.stats().flushes, 2u);
}

TEST_F(TrackingTest, TooMuchForOneClientBecomesEverything) {
  tracking_.join(1, {""});
  const std::string key(1000, 'k');
  for (int i = 0; i < 500; ++i) tracking_.on_changed(key + std::to_string(i));
  auto all = told();
  ASSERT_EQ(all[1].size(), 500u);
  for (int i = 0; i < 2000; ++i) tracking_.on_changed(key + std::to_string(i));
  EXPECT_THAT(told(), ElementsAre(Pair(1, ElementsAre("*"))));
}

TEST_F(TrackingTest, AFullTableTellsOfWhatHasToGo) {
  constexpr std::size_t kMax = 1 << 20;
  Tracking small(1, [](std::size_t) {}, kMax);
  small.join(1, {});
  std::map<std::string, bool> known;
  std::size_t evicted = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = "key" + std::to_string(i);
    small.remember(key, 1);
    known[key] = true;
    for (const auto& [client, each] : small.take(0)) {
      ASSERT_FALSE(each.everything);
      for (const auto& gone : each.keys) {
        EXPECT_TRUE(known.erase(gone)) << gone;
        ++evicted;
      }
    }
  }
  const auto stats = small.stats();
  EXPECT_LE(stats.bytes, kMax);
  EXPECT_EQ(stats.evicted, evicted);
  EXPECT_GT(evicted, 10'000u);
  EXPECT_EQ(stats.keys, known.size()) << "every key is remembered, or its reader has been told";
  for (const auto& [key, value] : known) small.on_changed(key);
  std::size_t last = 0;
  for (const auto& [client, each] : small.take(0)) last += each.everything ? known.size() : each.keys.size();
  EXPECT_EQ(last, known.size());
}

}  // namespace
}  // namespace freshet::server
