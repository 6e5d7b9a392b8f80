// Guards in the hands of a transaction that somebody else runs: an application, with SQL of its own. Its keys are locked,
// and are not cached, until it says how it ended. If it never says so, or does not know, the transaction is fenced: once
// the database has replaced the guards it has committed, or never will.
//
// May use consistency. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "consistency/guarded_collection.h"

namespace freshet::consistency {

// Destroyed, it ends as unknown. The collection must outlive it.
class LentGuards {
 public:
  enum class Outcome : std::uint8_t { committed, rolled_back, unknown };

  LentGuards(GuardedCollection& collection, std::shared_ptr<GuardedCollection::Write> write)
      : collection_(collection), write_(std::move(write)) {}
  ~LentGuards() { end(Outcome::unknown); }
  LentGuards(const LentGuards&) = delete;
  LentGuards& operator=(const LentGuards&) = delete;

  // The keys, and the tokens that the transaction must find.
  std::vector<storage::CheckedKey> keys() const;
  // How it ended; the first call counts. False: it had been given up before, at its limit.
  bool end(Outcome outcome);

 private:
  GuardedCollection& collection_;
  const std::shared_ptr<GuardedCollection::Write> write_;
  std::atomic<bool> ended_{false};
};

}  // namespace freshet::consistency
