// The locks of a transaction's keys at their owner: who holds them is the only one whose writes to these keys are sent;
// reads go on. Taken in ascending order of the keys, so that two transactions never wait for each other.
//
// May use consistency. Thread-safe.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "consistency/guarded_collection.h"

namespace freshet::consistency {

// Held from the moment when it is handed out until it is destroyed. The collection must outlive it.
class KeyLocks : public std::enable_shared_from_this<KeyLocks> {
 public:
  // `keys` in ascending order, distinct.
  KeyLocks(GuardedCollection& collection, std::vector<std::string> keys, base::Nanoseconds deadline,
           storage::Callback<std::shared_ptr<KeyLocks>> done)
      : collection_(collection), keys_(std::move(keys)), deadline_(deadline), done_(std::move(done)) {}
  ~KeyLocks();
  KeyLocks(const KeyLocks&) = delete;
  KeyLocks& operator=(const KeyLocks&) = delete;

  const std::vector<std::string>& keys() const { return keys_; }
  // Under what each key was read: its ownership, and its cell's mark (consistency/outside_writers.h). What is written must
  // fall under the same. Before the locks are used for writing, once.
  struct Standing {
    ownership::SliceRef slice;
    std::uint64_t outside = 0;
    friend bool operator==(const Standing&, const Standing&) = default;
  };
  void bind(std::vector<Standing> standings) { standings_ = std::move(standings); }
  bool allows(const std::string& key, const Standing& standing) const {
    if (standings_.empty()) return true;
    const auto place = std::lower_bound(keys_.begin(), keys_.end(), key);
    if (place == keys_.end() || *place != key) return false;
    return standings_[static_cast<std::size_t>(place - keys_.begin())] == standing;
  }

 private:
  friend class GuardedCollection;

  // Answers, if nobody has. The callback goes: what it holds may hold these locks.
  void answer(Result<std::shared_ptr<KeyLocks>> result) {
    if (settled_.exchange(true)) return;
    const auto done = std::move(done_);
    done(std::move(result));
  }

  GuardedCollection& collection_;
  const std::vector<std::string> keys_;
  const base::Nanoseconds deadline_;
  std::size_t held_ = 0;                // The first so many are locked.
  std::vector<Standing> standings_;
  std::atomic<bool> settled_{false};    // `done` has been, or is being, called.
  storage::Callback<std::shared_ptr<KeyLocks>> done_;
};

}  // namespace freshet::consistency
