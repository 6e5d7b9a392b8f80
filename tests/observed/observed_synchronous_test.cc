// Synchronous replication that stalls: for seconds commits are in the log and in the change stream, and no snapshot shows
// them. Two engines, every kind of write; reads go on meanwhile, show what SELECTs show, and take the commits over in one
// piece when the database lets them go, cancels their wait, or dies and recovers with them.
#include "observed_fixture.h"

#include <algorithm>

#include "synchronous_replication.h"

namespace freshet::testing {
namespace {

constexpr auto kHeld = std::chrono::seconds(2);

class ObservedSynchronous : public ObservedFixture {
 protected:
  void begin() {
    load_.prepared_transactions = true;
    prepare();
    open(url_, "a");
    open(url_, "b");
  }

  // Commits stall for a while, and reads go on.
  void stall() {
    const auto before = base::now();
    ASSERT_TRUE(replication().hold());
    ASSERT_TRUE(eventually([&] { return replication().waiting() >= 2; })) << "the load's commits do not wait";
    ASSERT_TRUE(eventually([&] { return held_everywhere(); })) << "a commit that waits is held by every engine";
    std::this_thread::sleep_for(kHeld);
    ASSERT_TRUE(running_->wait_for_progress(kProgress, kRecovery)) << "reads wait for commits that nobody sees";
    ASSERT_TRUE(held_everywhere());
    fmt::print("commits stalled for {} ms\n", (base::now() - before) / base::kMillisecond);
  }
  bool held_everywhere() const {
    if (!protections_of_environment().hold_until_visible) return true;
    return std::all_of(engines_.begin(), engines_.end(),
                       [](const auto& engine) { return engine->stats().observed.held_transactions > 0; });
  }
  SynchronousReplication replication() const { return SynchronousReplication(server_.url()); }
};

TEST_F(ObservedSynchronous, CommitsStallAndAreReleased) {
  begin();
  run([&](int) {
    stall();
    replication().release();
  });
}

// Cancelled, a commit is visible and acknowledged (with a warning).
TEST_F(ObservedSynchronous, TheWaitIsCancelled) {
  begin();
  run([&](int) {
    stall();
    for (int i = 0; i < 20; ++i) {
      TemporaryPostgres::run(server_.url(),
                             "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    }
    replication().release();
  }, 2);
}

// The stream breaks while changes are held: they come again, or have become visible unseen.
TEST_F(ObservedSynchronous, TheStreamBreaksMeanwhile) {
  begin();
  run([&](int) {
    stall();
    TemporaryPostgres::run(server_.url(), "SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
    ASSERT_TRUE(running_->wait_for_progress(kProgress, kRecovery));
    replication().release();
  }, 2);
}

// Recovered from the log, the commits are visible, though nobody was told.
TEST_F(ObservedSynchronous, TheServerDiesMeanwhile) {
  begin();
  run([&](int) {
    stall();
    server_.restart("immediate");
    ASSERT_TRUE(running_->wait_for_progress(kProgress, kRecovery));
    replication().release();
  }, 2);
}

}  // namespace
}  // namespace freshet::testing
