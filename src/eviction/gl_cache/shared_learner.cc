// See eviction/gl_cache/shared_learner.h.
#include "eviction/gl_cache/shared_learner.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "base/log.h"

namespace freshet::eviction::gl_cache {
namespace {

constexpr double kShareMin = 0.0001;

// Four bytes, so that waiting for a change is waiting for this very word.
enum class State : std::uint32_t { idle, taught, done };

}  // namespace

// What a learner and the thread share. The lesson is the learner's while idle and the thread's once it was pushed; the
// outcome is the learner's once done.
struct LearningThread::Desk {
  std::atomic<State> state{State::idle};
  std::atomic<bool> abandoned{false};
  Lesson lesson;
  std::optional<Result<Training>> outcome;
  Desk* below = nullptr;         // In the stack.
  std::shared_ptr<Desk> itself;  // Keeps it alive there, without its learner.
};

class LearningThread::SharedLearner final : public Learner {
 public:
  explicit SharedLearner(std::shared_ptr<LearningThread> thread)
      : thread_(std::move(thread)), desk_(std::make_shared<Desk>()) {}
  ~SharedLearner() override { desk_->abandoned.store(true, std::memory_order_relaxed); }

  bool ready() const override {
    return desk_->state.load(std::memory_order_relaxed) == State::idle &&
           thread_->lessons_.load(std::memory_order_relaxed) < kLessonsMax;
  }
  bool teach(Lesson lesson) override {
    if (desk_->state.load(std::memory_order_relaxed) != State::idle || !thread_->reserve()) return false;
    desk_->lesson = std::move(lesson);
    desk_->state.store(State::taught, std::memory_order_relaxed);
    thread_->push(desk_);
    return true;
  }
  std::optional<Result<Training>> take() override {
    if (desk_->state.load(std::memory_order_acquire) != State::done) return std::nullopt;
    auto outcome = std::exchange(desk_->outcome, std::nullopt);
    desk_->state.store(State::idle, std::memory_order_relaxed);
    return outcome;
  }
  std::optional<Result<Training>> wait() override {
    desk_->state.wait(State::taught, std::memory_order_acquire);
    return take();
  }

 private:
  const std::shared_ptr<LearningThread> thread_;
  const std::shared_ptr<Desk> desk_;
};

LearningThread::LearningThread(double share, Train train)
    : share_(std::clamp(share, kShareMin, 1.0)), train_(std::move(train)), thread_([this] { work(); }) {}

LearningThread::~LearningThread() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  resting_.notify_all();
  arrivals_.fetch_add(1);
  arrivals_.notify_all();
  thread_.join();
  gather();  // Lessons whose learners went before them.
}

std::shared_ptr<LearningThread> LearningThread::of_process() {
  static std::mutex mutex;
  static std::weak_ptr<LearningThread> known;
  const std::lock_guard lock(mutex);
  auto thread = known.lock();
  if (!thread) known = thread = std::make_shared<LearningThread>(kProcessShare);
  return thread;
}

std::unique_ptr<Learner> LearningThread::make_learner(std::shared_ptr<LearningThread> thread) {
  return std::make_unique<SharedLearner>(std::move(thread));
}

bool LearningThread::reserve() {
  if (lessons_.fetch_add(1, std::memory_order_relaxed) < kLessonsMax) return true;
  lessons_.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

void LearningThread::push(std::shared_ptr<Desk> desk) {
  Desk* const top = desk.get();
  top->itself = std::move(desk);
  top->below = arrived_.load(std::memory_order_relaxed);
  while (!arrived_.compare_exchange_weak(top->below, top, std::memory_order_release, std::memory_order_relaxed)) {
  }
  arrivals_.fetch_add(1, std::memory_order_release);
  arrivals_.notify_one();
}

// The stack holds the latest on top: what was there before goes in front of it.
void LearningThread::gather() {
  const auto place = static_cast<std::ptrdiff_t>(waiting_.size());
  for (Desk* desk = arrived_.exchange(nullptr, std::memory_order_acquire); desk != nullptr;) {
    Desk* const below = desk->below;
    waiting_.insert(waiting_.begin() + place, std::move(desk->itself));
    desk = below;
  }
}

void LearningThread::work() {
  pthread_setname_np(pthread_self(), "freshet-learn");
  while (!ends_) {
    const std::uint32_t arrivals = arrivals_.load(std::memory_order_acquire);
    gather();
    if (waiting_.empty()) {
      if (!ends_) arrivals_.wait(arrivals, std::memory_order_acquire);
      continue;
    }
    const std::shared_ptr<Desk> desk = std::move(waiting_.front());
    waiting_.pop_front();
    learn(*desk);
  }
}

void LearningThread::learn(Desk& desk) {
  const Lesson lesson = std::exchange(desk.lesson, {});
  if (desk.abandoned.load(std::memory_order_relaxed)) {
    lessons_.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  const auto begun = base::now();
  auto outcome = train_(lesson);
  const auto spent = base::now() - begun;
  if (!outcome) base::log_warning("eviction", "{}", outcome.error().what);
  desk.outcome = std::move(outcome);
  lessons_.fetch_sub(1, std::memory_order_relaxed);
  desk.state.store(State::done, std::memory_order_release);
  desk.state.notify_all();
  rest(begun + static_cast<base::Nanoseconds>(static_cast<double>(spent) / share_));
}

// Until then, or the end.
void LearningThread::rest(base::Nanoseconds until) {
  std::unique_lock lock(mutex_);
  resting_.wait_for(lock, std::chrono::nanoseconds(std::max<base::Nanoseconds>(0, until - base::now())),
                    [this] { return ends_.load(); });
}

}  // namespace freshet::eviction::gl_cache
