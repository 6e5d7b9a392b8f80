// Trainings that are under way for as long as a test wants. Only tests use it. May use this room's shared_learner.h.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "eviction/gl_cache/shared_learner.h"

namespace freshet::eviction::gl_cache {

class HeldTraining {
 public:
  // Longer than anything that does not wait for the training takes on a busy machine.
  static constexpr auto kPatience = std::chrono::seconds(60);

  // Must end after the thread.
  LearningThread::Train train() {
    return [this](const Lesson& lesson) { return run(lesson); };
  }
  // So many may end.
  void let(std::size_t trainings) {
    const std::lock_guard lock(mutex_);
    may_end_ += trainings;
    changed_.notify_all();
  }
  // Whether so many have begun, before patience ends.
  bool wait_until_begun(std::size_t trainings) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return seeds_.size() >= trainings; });
  }
  // The lessons' seeds, in the order in which they were begun with.
  std::vector<std::uint64_t> begun() const {
    const std::lock_guard lock(mutex_);
    return seeds_;
  }
  // A training was held for so long that somebody must have waited for it.
  bool gave_up() const {
    const std::lock_guard lock(mutex_);
    return gave_up_;
  }

 private:
  Result<Training> run(const Lesson& lesson) {
    std::unique_lock lock(mutex_);
    seeds_.push_back(lesson.seed);
    changed_.notify_all();
    if (!changed_.wait_for(lock, kPatience, [this] { return gave_up_ || may_end_ > 0; })) gave_up_ = true;
    if (gave_up_) return Error::of(ErrorCode::internal, "the test waited for a training that it holds");
    --may_end_;
    return Training{};
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint64_t> seeds_;
  std::size_t may_end_ = 0;
  bool gave_up_ = false;
};

}  // namespace freshet::eviction::gl_cache
