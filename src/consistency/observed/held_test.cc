// Held changes: what is kept of them within the limits, and when they settle.
#include "consistency/observed/held.h"

#include <gtest/gtest.h>

#include "base/slot.h"

namespace freshet::consistency {
namespace {

using Kind = storage::Change::Kind;

storage::Snapshot shows_below(storage::FullXid xid) { return {xid, xid, {}}; }

class HeldChangesTest : public ::testing::Test {
 protected:
  Keep put(HeldChanges& held, std::string_view key, std::string_view value, Keep keep = Keep::image) {
    return held.add({Kind::put, 0, key, value}, base::hash_of(key), keep);
  }
  // A whole transaction with one change.
  void hold(HeldChanges& held, storage::Xid xid, storage::Lsn commit, std::string_view key, Keep keep = Keep::image) {
    held.begin(xid, commit);
    put(held, key, "value", keep);
    held.hold(held.finish(commit + 10));
  }
};

TEST_F(HeldChangesTest, SettlesWhatASnapshotShowsInTheOrderOfCommits) {
  HeldChanges held({1 << 20, 1000});
  hold(held, 12, 100, "a:1");
  hold(held, 10, 200, "a:2");
  hold(held, 15, 300, "a:3");
  EXPECT_EQ(held.first_commit(), 100u);
  EXPECT_TRUE(held.take_shown(shows_below(10)).empty());

  const auto shown = held.take_shown({11, 16, {15}});
  ASSERT_EQ(shown.size(), 2u);
  EXPECT_EQ(shown[0].xid, 12u);
  EXPECT_EQ(shown[1].xid, 10u);
  EXPECT_EQ(held.first_commit(), 300u);
}

TEST_F(HeldChangesTest, JudgesXidsAroundTheWrapByTheSnapshotsEnd) {
  HeldChanges held({1 << 20, 1000});
  hold(held, UINT32_MAX - 1, 100, "a:1");
  hold(held, 5, 200, "a:2");
  const storage::FullXid epoch = 1ull << 32;
  EXPECT_EQ(held.take_shown({epoch + 2, epoch + 2, {}}).size(), 1u);
  EXPECT_EQ(held.take_shown({epoch + 6, epoch + 6, {}}).size(), 1u);
}

TEST_F(HeldChangesTest, KeepsImagesWithinTheirBytesThenHashesThenTheCollection) {
  HeldChanges held({2 * (sizeof(KeyChange) + 3 + 4), 2});
  held.begin(7, 100);
  EXPECT_EQ(put(held, "a:1", "1111"), Keep::image);
  EXPECT_EQ(put(held, "a:2", "2222"), Keep::image);
  EXPECT_EQ(put(held, "a:3", "3333"), Keep::hash);
  EXPECT_EQ(put(held, "a:4", "4444"), Keep::hash);
  EXPECT_EQ(put(held, "a:5", "5555"), Keep::hash);
  const HeldTransaction whole = held.finish(200);
  EXPECT_EQ(whole.changes.size(), 2u);
  EXPECT_EQ(whole.hashes.size(), 2u);
  EXPECT_TRUE(whole.has_hash(base::hash_of("a:3")));
  EXPECT_TRUE(whole.has_hash(base::hash_of("a:4")));
  EXPECT_EQ(whole.collections, std::vector<storage::CollectionId>{0});

  held.release(whole);
  EXPECT_EQ(held.bytes(), 0u);
  held.begin(8, 300);
  EXPECT_EQ(put(held, "a:1", "1111"), Keep::image);
}

TEST_F(HeldChangesTest, GivesAKeyBackToAHashThatAFillAsksFor) {
  HeldChanges held({1 << 20, 1000});
  hold(held, 7, 100, "a:1", Keep::hash);
  ASSERT_TRUE(held.claim("a:1", base::hash_of("a:1"), 0, shows_below(7)));
  ASSERT_TRUE(held.claim("a:2", base::hash_of("a:2"), 0, shows_below(7)));
  const auto shown = held.take_shown(shows_below(8));
  ASSERT_EQ(shown.size(), 1u);
  ASSERT_EQ(shown[0].changes.size(), 1u);
  EXPECT_EQ(shown[0].changes[0].key, "a:1");
  EXPECT_EQ(shown[0].changes[0].kind, Kind::drop);
}

TEST_F(HeldChangesTest, LeavesAHashAloneThatTheFillsSnapshotShows) {
  HeldChanges held({1 << 20, 1000});
  hold(held, 7, 100, "a:1", Keep::hash);
  ASSERT_TRUE(held.claim("a:1", base::hash_of("a:1"), 0, shows_below(8)));
  EXPECT_TRUE(held.take_shown(shows_below(8))[0].changes.empty());
}

TEST_F(HeldChangesTest, RefusesAClaimForWhichThereIsNoRoom) {
  HeldChanges held({1, 1000});
  hold(held, 7, 100, "a:1", Keep::hash);
  EXPECT_FALSE(held.claim("a:1", base::hash_of("a:1"), 0, shows_below(7)));
}

TEST_F(HeldChangesTest, ClaimsFromATransactionThatIsStillArriving) {
  HeldChanges held({1 << 20, 1000});
  held.begin(7, 100);
  put(held, "a:1", "", Keep::hash);
  EXPECT_TRUE(held.claim("a:1", base::hash_of("a:1"), 0, shows_below(7)));
  EXPECT_EQ(held.finish(200).changes.size(), 1u);
}

TEST_F(HeldChangesTest, KnowsOnlyTheCollectionOnceThatIsDescribedAnew) {
  HeldChanges held({1 << 20, 1000});
  hold(held, 7, 100, "a:1");
  hold(held, 8, 200, "a:2", Keep::hash);
  held.begin(9, 300);
  held.add({Kind::put, 1, "b:1", "value"}, base::hash_of("b:1"), Keep::image);
  held.hold(held.finish(310));
  held.begin(10, 400);
  put(held, "a:3", "value");

  held.blur(0);
  EXPECT_EQ(put(held, "a:3", "value"), Keep::hash);
  held.hold(held.finish(410));
  const auto shown = held.take_shown(shows_below(11));
  ASSERT_EQ(shown.size(), 4u);
  for (const std::size_t i : {0u, 1u, 3u}) {
    EXPECT_TRUE(shown[i].changes.empty()) << i;
    EXPECT_EQ(shown[i].collections, std::vector<storage::CollectionId>{0}) << i;
  }
  EXPECT_EQ(shown[2].changes.size(), 1u);
  EXPECT_TRUE(shown[2].collections.empty());
  for (const HeldTransaction& transaction : shown) held.release(transaction);
  EXPECT_EQ(held.bytes(), 0u);
}

TEST_F(HeldChangesTest, FreesWhatWasAbandoned) {
  HeldChanges held({1 << 20, 1000});
  held.begin(7, 100);
  put(held, "a:1", "value");
  held.abandon();
  EXPECT_EQ(held.bytes(), 0u);
  EXPECT_FALSE(held.is_gathering());
}

}  // namespace
}  // namespace freshet::consistency
