// See eviction/gl_cache/learner.h.
#include "eviction/gl_cache/learner.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace freshet::eviction::gl_cache {
namespace {

class SynchronousLearner final : public Learner {
 public:
  bool teach(Lesson lesson) override {
    outcome_ = train(lesson);
    return true;
  }
  std::optional<Result<Training>> take() override { return std::exchange(outcome_, std::nullopt); }
  std::optional<Result<Training>> wait() override { return take(); }

 private:
  std::optional<Result<Training>> outcome_;
};

class BackgroundLearner final : public Learner {
 public:
  explicit BackgroundLearner(double share) : share_(std::clamp(share, kShareMin, 1.0)) {}
  BackgroundLearner(const BackgroundLearner&) = delete;
  BackgroundLearner& operator=(const BackgroundLearner&) = delete;
  ~BackgroundLearner() override {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  bool teach(Lesson lesson) override {
    const std::lock_guard lock(mutex_);
    if (lesson_ || outcome_ || at_work_ || base::now() < rests_until_) return false;
    lesson_ = std::move(lesson);
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
    changed_.notify_all();
    return true;
  }
  std::optional<Result<Training>> take() override {
    const std::lock_guard lock(mutex_);
    return std::exchange(outcome_, std::nullopt);
  }
  std::optional<Result<Training>> wait() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !lesson_ && !at_work_; });
    return std::exchange(outcome_, std::nullopt);
  }

 private:
  static constexpr double kShareMin = 0.0001;

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return lesson_ || ends_; });
      if (ends_) return;
      const Lesson lesson = *std::exchange(lesson_, std::nullopt);
      at_work_ = true;
      lock.unlock();
      const auto begin = base::now();
      auto outcome = train(lesson);
      const auto spent = static_cast<double>(base::now() - begin);
      lock.lock();
      at_work_ = false;
      rests_until_ = begin + static_cast<base::Nanoseconds>(spent / share_);
      outcome_ = std::move(outcome);
      changed_.notify_all();
    }
  }

  const double share_;
  std::mutex mutex_;  // Guards all that follows, but for the thread.
  std::condition_variable changed_;
  std::optional<Lesson> lesson_;
  std::optional<Result<Training>> outcome_;
  base::Nanoseconds rests_until_ = 0;
  bool at_work_ = false;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Learner> make_synchronous_learner() { return std::make_unique<SynchronousLearner>(); }
std::unique_ptr<Learner> make_background_learner(double share) { return std::make_unique<BackgroundLearner>(share); }

}  // namespace freshet::eviction::gl_cache
