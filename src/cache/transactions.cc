// Beginning transactions: locks at the owner, and readings under them.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "cache/gathering.h"
#include "cache/transaction.h"
#include "consistency/key_locks.h"
#include "consistency/lent_guards.h"

namespace freshet::cache {
namespace {

Error not_owned() {
  return Error::of(ErrorCode::not_owner, "this node does not own every key of the transaction; nothing was written",
                   "retry");
}

Error written_outside(const std::string& key) {
  return Error::of(ErrorCode::busy,
                   fmt::format("a transaction of plain SQL (freshet.pass) may be writing '{}'; nothing was written", key),
                   "retry when it has ended");
}

}  // namespace

class ComposedEngine::LockedTransaction final : public Transaction {
 public:
  LockedTransaction(ComposedEngine& engine, std::shared_ptr<consistency::KeyLocks> locks)
      : engine_(engine), locks_(std::move(locks)) {}

  const std::map<std::string, Reading, std::less<>>& readings() const override { return readings_; }
  std::map<std::string, Reading, std::less<>> take_readings() override { return std::exchange(readings_, {}); }

  void commit(std::vector<Mutation> mutations, base::Nanoseconds deadline, Callback<storage::WriteReply> done) override {
    if (engine_.watched_) done = engine_.telling_watcher(mutations, std::move(done));
    engine_.collection_->write(std::move(mutations), std::exchange(locks_, nullptr), engine_.write_deadline(deadline),
                               std::move(done));
  }

  const std::vector<std::string>& keys() const { return locks_->keys(); }
  const std::shared_ptr<consistency::KeyLocks>& locks() const { return locks_; }
  void take(std::vector<Reading> readings, std::vector<consistency::KeyLocks::Standing> standings) {
    locks_->bind(std::move(standings));
    for (std::size_t i = 0; i < readings.size(); ++i) readings_.emplace(keys()[i], std::move(readings[i]));
  }

 private:
  ComposedEngine& engine_;
  std::shared_ptr<consistency::KeyLocks> locks_;
  std::map<std::string, Reading, std::less<>> readings_;
};

std::optional<Error> ComposedEngine::prepare_keys(std::vector<std::string>& keys) const {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  if (keys.size() > storage::kBatchKeysMax) {
    return Error::of(ErrorCode::invalid_argument,
                     fmt::format("a transaction of {} keys; at most {} go into one", keys.size(), storage::kBatchKeysMax));
  }
  for (const auto& key : keys) {
    if (observes(key)) return read_only(key, kind_of(key));
    if (!guards(key)) return no_key_value(key);
  }
  return std::nullopt;
}

void ComposedEngine::begin(std::vector<std::string> keys, base::Nanoseconds deadline,
                           Callback<std::shared_ptr<Transaction>> done) {
  if (released_) return done(stopping());
  if (auto error = prepare_keys(keys)) return done(std::move(*error));
  if (!collection_) return done(std::shared_ptr<Transaction>());
  deadline = write_deadline(deadline);
  collection_->lock(std::move(keys), deadline, [this, deadline, done](Result<std::shared_ptr<consistency::KeyLocks>> locks) {
    if (!locks) return done(std::move(locks).error());
    read_locked(std::make_shared<LockedTransaction>(*this, std::move(*locks)), deadline, done);
  });
}

// Clients that keep what they read are told when it ends, however that is.
class ComposedEngine::LentTransaction final : public SqlGuard {
 public:
  LentTransaction(ComposedEngine& engine, std::shared_ptr<consistency::LentGuards> guards, std::string statement)
      : engine_(engine), guards_(std::move(guards)), statement_(std::move(statement)) {}
  ~LentTransaction() override { end(Outcome::unknown); }

  const std::string& statement() const override { return statement_; }
  bool end(Outcome outcome) override {
    using Lent = consistency::LentGuards::Outcome;
    const bool first = guards_->end(outcome == Outcome::committed     ? Lent::committed
                                    : outcome == Outcome::rolled_back ? Lent::rolled_back
                                                                      : Lent::unknown);
    if (first && engine_.watched_) {
      for (const auto& key : guards_->keys()) engine_.on_changed(key.key);
    }
    return first;
  }

 private:
  ComposedEngine& engine_;
  const std::shared_ptr<consistency::LentGuards> guards_;
  const std::string statement_;
};

void ComposedEngine::guard_sql(std::vector<std::string> keys, base::Nanoseconds deadline, base::Nanoseconds limit,
                               Callback<std::shared_ptr<SqlGuard>> done) {
  if (released_) return done(stopping());
  if (auto error = prepare_keys(keys)) return done(std::move(*error));
  if (keys.empty() || !collection_) return done(Error::of(ErrorCode::invalid_argument, "no rows are named"));
  // What cannot be said in SQL is refused before anything is locked.
  std::vector<storage::CheckedKey> named;
  for (const auto& key : keys) named.push_back({key, {}});
  if (auto sayable = storage_->guard_statement(named); !sayable) return done(std::move(sayable).error());
  collection_->lend(std::move(keys), write_deadline(deadline), limit,
                    [this, done = std::move(done)](Result<std::shared_ptr<consistency::LentGuards>> lent) {
                      if (!lent) return done(std::move(lent).error());
                      auto statement = storage_->guard_statement((*lent)->keys());
                      if (!statement) return done(std::move(statement).error());
                      std::shared_ptr<SqlGuard> guard =
                          std::make_shared<LentTransaction>(*this, std::move(*lent), *std::move(statement));
                      done(std::move(guard));
                    });
}

// Every key is read while all are locked. No other node wrote one of them meanwhile if this one owned them throughout, and
// no transaction of plain SQL if none was let in: then all readings hold at the end of the last one.
void ComposedEngine::read_locked(const std::shared_ptr<LockedTransaction>& transaction, base::Nanoseconds deadline,
                                 Callback<std::shared_ptr<Transaction>> done) {
  auto owned = marks_of(transaction->keys());
  const auto read = [this, transaction, owned = std::move(owned), done = std::move(done)](
                        Result<std::vector<Reading>> readings) {
    if (!readings) return done(std::move(readings).error());
    const auto still = marks_of(transaction->keys());
    std::vector<consistency::KeyLocks::Standing> standings;
    standings.reserve(owned.size());
    for (std::size_t i = 0; i < owned.size(); ++i) {
      const auto& key = transaction->keys()[i];
      if (!owned[i] || !still[i] || owned[i]->slice != still[i]->slice || owned[i]->outside != still[i]->outside) {
        return done(collection_->is_open_to_others(key) ? written_outside(key) : not_owned());
      }
      standings.push_back({owned[i]->slice, owned[i]->outside});
    }
    transaction->take(std::move(*readings), std::move(standings));
    done(std::shared_ptr<Transaction>(transaction));
  };
  auto gathering = std::make_shared<Gathering>();
  gathering->readings.resize(transaction->keys().size());
  gathering->done = read;
  const auto now = base::now();
  std::vector<std::string> misses;
  for (std::size_t i = 0; i < transaction->keys().size(); ++i) {
    const auto& key = transaction->keys()[i];
    if (serve_from_memory(key, {Level::linearizable, 0, {}, deadline}, now, gathering->readings[i])) continue;
    gathering->places.push_back(i);
    misses.push_back(key);
  }
  gathering->missing = misses.size();
  if (misses.empty()) return read(std::move(gathering->readings));
  read_guarded(std::move(misses), deadline, gathering, transaction->locks());
}

}  // namespace freshet::cache
