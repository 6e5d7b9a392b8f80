// The few keys that a load uses at a time, and the background judge that takes over those that are worn out.
// Thread-safe. May use the checker and client rooms.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "checker/history/judge.h"
#include "checker/history/tracked_key.h"

namespace freshet::checker {

// Worn-out keys that may wait to be judged; beyond it the load waits for the judge.
inline constexpr std::size_t kRetiredKeysMax = 64;

// Judges retired keys on a thread of its own. `forget` is called with each key judged, on that thread.
class BackgroundJudge {
 public:
  BackgroundJudge(CheckLimits limits, std::function<void()> on_violation, std::function<void(const TrackedKey&)> forget);
  ~BackgroundJudge();

  // Hands a key over; waits while kRetiredKeysMax are waiting.
  void submit(std::unique_ptr<TrackedKey> key);
  // Judges what is left and gives the findings. No submit() afterwards.
  Judgement finish();

 private:
  void main();

  const CheckLimits limits_;
  const std::function<void()> on_violation_;
  const std::function<void(const TrackedKey&)> forget_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<TrackedKey>> waiting_;
  bool closing_ = false;
  Judgement judgement_;  // The thread's own until it has ended.
  std::thread thread_;
};

class KeySpace {
 public:
  // `prefix` must make the keys' names fresh: histories begin with absent keys. `families`: the keys', in turn, the hottest
  // one's first. `clients`: how many numbers clients have.
  KeySpace(std::string prefix, std::span<const Family> families, int keys, std::size_t clients, BackgroundJudge& judge);

  int size() const { return static_cast<int>(slots_.size()); }
  // The slot's key, for one operation: let it go soon. Once nobody holds a worn-out key it goes to the judge.
  std::shared_ptr<TrackedKey> take(int slot);
  // Sends every key to the judge. No take() afterwards.
  void close();

 private:
  struct Slot {
    std::mutex mutex;
    std::shared_ptr<TrackedKey> key;
    std::uint64_t generation = 0;
  };
  Family family_of(int slot) const { return families_[static_cast<std::size_t>(slot) % families_.size()]; }
  std::shared_ptr<TrackedKey> make(int slot, std::uint64_t generation);

  const std::string prefix_;
  const std::span<const Family> families_;
  const std::size_t clients_;
  BackgroundJudge& judge_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace freshet::checker
