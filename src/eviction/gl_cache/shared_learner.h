// One thread that learns for many caches: a server's table has hundreds of shards with a policy each, and a learner's thread
// for each would be heavy. May use base, and this room's learner.h.
//
// Each cache has a learner of its own, made by make_learner, and gives it a lesson at a time. Lessons wait in one queue,
// first come, first served: who has had a turn stands at the end again, so that no cache takes another's place however busy
// it is. The thread is at work for at most a share of the time, whoever the lessons are from.
//
// Caches call under their shard's spin lock. So ready(), teach() and take() take no lock and wait for nothing: they are a
// few atomic operations, and teach() at most the system call that wakes the thread. A learner may be destroyed while its
// lesson waits or is at work: nobody waits for that either, the lesson is dropped, or its outcome is.
//
// The thread ends with the last learner and the last shared_ptr to it, whichever goes later; that one waits for the lesson
// in hand. A cache that is not to wait then, under a lock, leaves a shared_ptr with somebody who goes later.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "eviction/gl_cache/learner.h"

namespace freshet::eviction::gl_cache {

class LearningThread {
 public:
  using Train = std::function<Result<Training>(const Lesson&)>;

  // Lessons that wait or are at work: one for every shard of a table of usual size. Whoever is turned away asks again.
  static constexpr std::size_t kLessonsMax = 256;
  // What the process spends on learning, as a part of one processor's time.
  static constexpr double kProcessShare = 0.1;

  // `train` is called on the thread; tests bring another one.
  explicit LearningThread(double share, Train train = gl_cache::train);
  LearningThread(const LearningThread&) = delete;
  LearningThread& operator=(const LearningThread&) = delete;
  ~LearningThread();

  // The one of all tables of this process, as long as somebody holds it. One and not one for each table, or each policy:
  // the budget is the process's, and a change from one learning policy to the other keeps the thread.
  static std::shared_ptr<LearningThread> of_process();
  static std::unique_ptr<Learner> make_learner(std::shared_ptr<LearningThread> thread);

 private:
  class SharedLearner;
  struct Desk;

  bool reserve();
  void push(std::shared_ptr<Desk> desk);
  void gather();
  void work();
  void learn(Desk& desk);
  void rest(base::Nanoseconds until);

  const double share_;
  const Train train_;
  std::atomic<std::size_t> lessons_{0};
  std::atomic<Desk*> arrived_{nullptr};     // A stack, the latest on top. Anybody pushes; the thread takes all of it.
  std::atomic<std::uint32_t> arrivals_{0};  // Changes with each push, and at the end: an idle thread waits for that.
  std::deque<std::shared_ptr<Desk>> waiting_;  // The thread's own; in the order in which they came.
  std::mutex mutex_;                        // For resting_ only.
  std::condition_variable resting_;
  std::atomic<bool> ends_{false};
  std::thread thread_;                      // Last: it uses what stands above.
};

}  // namespace freshet::eviction::gl_cache
