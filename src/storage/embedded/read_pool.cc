// The pool of reading threads.
#include "storage/embedded/read_pool.h"

namespace freshet::storage::embedded {

ReadPool::ReadPool(int threads, std::size_t queued_max) : queued_max_(queued_max) {
  running_.resize(static_cast<std::size_t>(threads));
  for (std::size_t i = 0; i < running_.size(); ++i) threads_.emplace_back([this, i] { serve(i); });
}

void ReadPool::stop() {
  std::deque<std::shared_ptr<Job>> left;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    left.swap(queue_);
    work_.notify_all();
  }
  for (auto& job : left) job->fail(Error::of(ErrorCode::unavailable, "the embedded storage is being closed"));
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void ReadPool::submit(std::shared_ptr<Job> job) {
  if (auto error = enqueue(job)) job->fail(*error);
}

std::optional<Error> ReadPool::enqueue(const std::shared_ptr<Job>& job) {
  if (job->deadline <= base::now()) {
    return Error::of(ErrorCode::deadline_exceeded, "the deadline had passed when the read was asked for");
  }
  std::lock_guard lock(mutex_);
  if (stopping_) return Error::of(ErrorCode::unavailable, "the embedded storage is being closed");
  if (queue_.size() >= queued_max_) {
    return Error::of(ErrorCode::busy, "the embedded storage's queue of reads is full",
                     "Send again later, with fewer reads at a time, or raise the limit.");
  }
  queue_.push_back(job);
  work_.notify_one();
  return std::nullopt;
}

void ReadPool::serve(std::size_t worker) {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    auto job = running_[worker] = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    const bool late = job->deadline <= base::now();
    if (!late) job->perform();
    lock.lock();
    running_[worker] = nullptr;
    const bool mine = !std::exchange(job->answered, true);
    lock.unlock();
    if (mine && late) job->fail(Error::of(ErrorCode::deadline_exceeded, "the deadline passed while the read waited"));
    if (mine && !late) job->answer();
    job = nullptr;  // The callback's captures go before the lock is taken again.
    lock.lock();
  }
}

bool ReadPool::expire(base::Nanoseconds now) {
  std::vector<std::shared_ptr<Job>> late;
  bool open = false;
  {
    std::lock_guard lock(mutex_);
    std::erase_if(queue_, [&](auto& job) {
      if (job->deadline > now) return false;
      job->answered = true;
      late.push_back(std::move(job));
      return true;
    });
    for (auto& job : running_) {
      if (job != nullptr && job->deadline <= now && !std::exchange(job->answered, true)) late.push_back(job);
    }
    open = !queue_.empty();
    for (auto& job : running_) open = open || job != nullptr;
  }
  for (auto& job : late) job->fail(Error::of(ErrorCode::deadline_exceeded, "the deadline passed before the read was done"));
  return open;
}

}  // namespace freshet::storage::embedded
