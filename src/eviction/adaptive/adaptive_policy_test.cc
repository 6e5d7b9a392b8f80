// The thread around the advisor: it begins with a candidate, changes to a better one, and is silent once stopped.
#include "eviction/adaptive/adaptive_policy.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <vector>

#include "base/random.h"
#include "eviction/adaptive/read_through.h"
#include "eviction/shadow/habits.h"

namespace freshet::eviction::adaptive {
namespace {

constexpr std::size_t kBetweenLooks = 2'000;  // Requests: the queue takes them all.

class AdaptivePolicyTest : public ::testing::Test {
 protected:
  AdaptivePolicyTest() {
    base::Random random(3);
    trace_ = shadow::shifting_working_set(random);
    AdaptiveOptions options;
    options.advisor = {.rate = 0.5, .half_life_requests = 2048};
    options.interval = base::kMillisecond;
    adaptive_ = std::make_unique<AdaptivePolicy>(
        cache_.table(), [this] { return look(); }, [this](const TablePolicy& policy) { change(policy); }, options);
  }

  std::uint64_t look() {
    ++looks_;
    looks_.notify_all();
    return requests_;
  }
  void change(const TablePolicy& policy) {
    in_office_ = &policy;
    ++changes_;
    cache_.table().set_policy(policy.make);
  }
  // The trace's requests until it holds, or the trace ends.
  template <typename Holds>
  bool under_traffic(Holds&& holds) {
    for (std::size_t i = 0; i < trace_.size(); ++i) {
      cache_.read(trace_[i]);
      ++requests_;
      if (i % kBetweenLooks != 0) continue;
      if (adaptive_->is_running()) looks_.wait(looks_);
      if (holds()) return true;
    }
    return false;
  }

  std::vector<std::uint64_t> trace_;
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> looks_{0};  // Of the thread's.
  std::atomic<const TablePolicy*> in_office_{nullptr};
  std::atomic<int> changes_{0};
  ReadThrough cache_{*table_policy("fifo")};
  std::unique_ptr<AdaptivePolicy> adaptive_;
};

TEST_F(AdaptivePolicyTest, ChangesToWhatTheTrafficNeeds) {
  adaptive_->start(*table_policy("fifo"));
  EXPECT_TRUE(under_traffic([&] { return in_office_ == table_policy("lru"); }));
  EXPECT_GE(changes_, 2) << "fifo is no candidate: the default policy came first";
  const auto report = adaptive_->report();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->policies.size(), candidates().size());
  EXPECT_EQ(report->dropped, 0u);
  EXPECT_EQ(report->in_office, "lru");
  EXPECT_LT(report->policy("lru").miss_ratio, 0.97 * report->policy(kDefaultPolicy).miss_ratio);
}

TEST_F(AdaptivePolicyTest, IsSilentOnceStoppedAndStartsAgain) {
  for (int round = 0; round < 2; ++round) {
    SCOPED_TRACE(round);
    adaptive_->start(*table_policy("lru"));
    EXPECT_TRUE(under_traffic([&] {
      const auto report = adaptive_->report();
      return report && report->windows > 2;
    }));
    adaptive_->stop();
    EXPECT_FALSE(adaptive_->is_running());
    EXPECT_FALSE(adaptive_->report());
    const int changes = changes_;
    EXPECT_FALSE(under_traffic([] { return false; }));
    EXPECT_EQ(changes_, changes);
  }
}

}  // namespace
}  // namespace freshet::eviction::adaptive
