// Beginning transactions: locks at the owner, and readings under them.
#include <algorithm>

#include <fmt/format.h>

#include "cache/composed_engine.h"
#include "cache/transaction.h"
#include "consistency/key_locks.h"

namespace freshet::cache {
namespace {

Error not_owned() {
  return Error::of(ErrorCode::not_owner, "this node does not own every key of the transaction; nothing was written",
                   "retry");
}

}  // namespace

class ComposedEngine::LockedTransaction final : public Transaction {
 public:
  LockedTransaction(ComposedEngine& engine, std::shared_ptr<consistency::KeyLocks> locks)
      : engine_(engine), locks_(std::move(locks)) {}

  const std::map<std::string, Reading, std::less<>>& readings() const override { return readings_; }

  void commit(std::vector<Mutation> mutations, base::Nanoseconds deadline, Callback<storage::WriteReply> done) override {
    if (engine_.watched_) done = engine_.telling_watcher(mutations, std::move(done));
    engine_.collection_->write(std::move(mutations), std::exchange(locks_, nullptr), engine_.write_deadline(deadline),
                               std::move(done));
  }

  const std::vector<std::string>& keys() const { return locks_->keys(); }
  void take(std::vector<Reading> readings) {
    for (std::size_t i = 0; i < readings.size(); ++i) readings_.emplace(keys()[i], std::move(readings[i]));
  }

 private:
  ComposedEngine& engine_;
  std::shared_ptr<consistency::KeyLocks> locks_;
  std::map<std::string, Reading, std::less<>> readings_;
};

void ComposedEngine::begin(std::vector<std::string> keys, base::Nanoseconds deadline,
                           Callback<std::shared_ptr<Transaction>> done) {
  if (released_) return done(stopping());
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  if (keys.size() > storage::kBatchKeysMax) {
    return done(Error::of(ErrorCode::invalid_argument,
                          fmt::format("a transaction of {} keys; at most {} go into one", keys.size(),
                                      storage::kBatchKeysMax)));
  }
  for (const auto& key : keys) {
    if (observes(key)) return done(read_only(key, kind_of(key)));
    if (!guards(key)) return done(no_key_value(key));
  }
  if (!collection_) return done(std::shared_ptr<Transaction>());
  deadline = write_deadline(deadline);
  collection_->lock(std::move(keys), deadline, [this, deadline, done](Result<std::shared_ptr<consistency::KeyLocks>> locks) {
    if (!locks) return done(std::move(locks).error());
    read_locked(std::make_shared<LockedTransaction>(*this, std::move(*locks)), deadline, done);
  });
}

// Every key is read while all are locked. No other node wrote one of them meanwhile if this one owned them throughout: then
// all readings hold at the end of the last one.
void ComposedEngine::read_locked(const std::shared_ptr<LockedTransaction>& transaction, base::Nanoseconds deadline,
                                 Callback<std::shared_ptr<Transaction>> done) {
  auto owned = marks_of(transaction->keys());
  get_many(transaction->keys(), {Level::linearizable, 0, {}, deadline},
           [this, transaction, owned = std::move(owned), done = std::move(done)](Result<std::vector<Reading>> readings) {
             if (!readings) return done(std::move(readings).error());
             const auto still = marks_of(transaction->keys());
             for (std::size_t i = 0; i < owned.size(); ++i) {
               if (!owned[i] || !still[i] || owned[i]->slice != still[i]->slice) return done(not_owned());
             }
             transaction->take(std::move(*readings));
             done(std::shared_ptr<Transaction>(transaction));
           });
}

}  // namespace freshet::cache
