// Writes: straight ones, and those that read and decide first.
#include "cache/composed_engine.h"

#include <algorithm>

#include <fmt/format.h>

#include "cache/transaction.h"

namespace freshet::cache {
namespace {

// Times that an update reads, decides and writes before it answers that others are always faster.
constexpr int kUpdateAttemptsMax = 64;

Error too_long(const std::string& key) {
  return Error::of(ErrorCode::out_of_range,
                   fmt::format("a key of {} bytes; at most {} are allowed", key.size(), storage::kKeyBytesMax));
}

std::optional<Error> check(const std::vector<Mutation>& mutations) {
  if (mutations.empty()) return Error::of(ErrorCode::invalid_argument, "a write without keys");
  if (mutations.size() > storage::kBatchKeysMax) {
    return Error::of(ErrorCode::invalid_argument,
                     fmt::format("a write of {} keys; at most {} go into one", mutations.size(), storage::kBatchKeysMax),
                     "send several smaller writes");
  }
  for (const auto& mutation : mutations) {
    if (mutation.key.size() > storage::kKeyBytesMax) return too_long(mutation.key);
    if (mutation.value.size() > storage::kValueBytesMax) {
      return Error::of(ErrorCode::out_of_range,
                       fmt::format("a value of {} bytes; at most {} are allowed", mutation.value.size(),
                                 storage::kValueBytesMax));
    }
  }
  std::vector<std::string_view> keys;
  for (const auto& mutation : mutations) keys.push_back(mutation.key);
  std::sort(keys.begin(), keys.end());
  if (std::adjacent_find(keys.begin(), keys.end()) != keys.end()) {
    return Error::of(ErrorCode::invalid_argument, "one write names a key twice", "name each key once");
  }
  return std::nullopt;
}

}  // namespace

void ComposedEngine::write(std::vector<Mutation> mutations, bool all_or_nothing, base::Nanoseconds deadline,
                           Callback<storage::WriteReply> done) {
  if (released_) return done(stopping());
  if (auto error = check(mutations)) return done(std::move(*error));
  for (const auto& mutation : mutations) {
    if (observes(mutation.key)) return done(read_only(mutation.key, kind_of(mutation.key)));
    if (!guards(mutation.key)) return done(no_key_value(mutation.key));
  }
  if (watched_) done = telling_watcher(mutations, std::move(done));
  collection_->write(std::move(mutations), all_or_nothing, write_deadline(deadline), std::move(done));
}

// Whatever became of the write, it may have changed its keys.
Callback<storage::WriteReply> ComposedEngine::telling_watcher(const std::vector<Mutation>& mutations,
                                                              Callback<storage::WriteReply> done) {
  std::vector<std::string> keys;
  keys.reserve(mutations.size());
  for (const auto& mutation : mutations) keys.push_back(mutation.key);
  return [this, keys = std::move(keys), done = std::move(done)](Result<storage::WriteReply> reply) {
    for (const auto& key : keys) on_changed(key);
    done(std::move(reply));
  };
}

struct ComposedEngine::Update {
  std::string key;
  Decide decide;
  base::Nanoseconds deadline = 0;
  Callback<UpdateOutcome> done;
  bool locked = false;
  KeyState current;
  int attempts = 0;
};

void ComposedEngine::update(std::string key, Decide decide, base::Nanoseconds deadline, Callback<UpdateOutcome> done) {
  start_update(std::move(key), std::move(decide), deadline, std::move(done), false);
}

void ComposedEngine::update_locked(std::string key, Decide decide, base::Nanoseconds deadline,
                                   Callback<UpdateOutcome> done) {
  start_update(std::move(key), std::move(decide), deadline, std::move(done), true);
}

void ComposedEngine::start_update(std::string key, Decide decide, base::Nanoseconds deadline, Callback<UpdateOutcome> done,
                                  bool locked) {
  if (key.size() > storage::kKeyBytesMax) return done(too_long(key));
  auto update = std::make_shared<Update>();
  update->key = std::move(key);
  update->decide = std::move(decide);
  update->deadline = write_deadline(deadline);
  update->done = std::move(done);
  update->locked = locked;
  attempt(update);
}

void ComposedEngine::attempt(const std::shared_ptr<Update>& update) {
  if (++update->attempts > kUpdateAttemptsMax) {
    return update->done(Error::of(ErrorCode::busy,
                                  fmt::format("other writers came first {} times; nothing was written", kUpdateAttemptsMax),
                                  "retry later"));
  }
  if (update->locked) {
    return begin({update->key}, update->deadline, [this, update](Result<std::shared_ptr<Transaction>> transaction) {
      if (!transaction) return update->done(std::move(transaction).error());
      note_current(*update, (*transaction)->readings().at(update->key));
      decide_and_write(update, *transaction);
    });
  }
  get(update->key, {Level::linearizable, 0, {}, update->deadline}, [this, update](Result<Reading> reading) {
    if (!reading) return update->done(std::move(reading).error());
    note_current(*update, *std::move(reading));
    decide_and_write(update, nullptr);
  });
}

void ComposedEngine::note_current(Update& update, Reading reading) const {
  const auto* const rows = reading.present ? rows_of_shape(update.key, reading.shape.get()) : nullptr;
  if (rows) reading.value = rows->value_of(reading.value);
  update.current = KeyState{reading.present, std::move(reading.value), reading.version, {}, reading.expires_at_ms,
                            reading.kind};
}

// The condition tells of other writers, and also under the key's lock of a deadline that has passed since the reading.
void ComposedEngine::decide_and_write(const std::shared_ptr<Update>& update,
                                      const std::shared_ptr<Transaction>& transaction) {
  auto decision = update->decide(update->current, database_now_ms());
  if (!decision) return update->done(std::move(decision).error());
  if (!*decision) return update->done(UpdateOutcome{false, update->current, update->current});
  auto mutation = std::move(**decision);
  mutation.key = update->key;
  mutation.condition = update->current.present ? storage::Condition::if_version : storage::Condition::if_absent;
  mutation.version = update->current.version;
  std::vector<Mutation> mutations;
  mutations.push_back(std::move(mutation));
  const auto written = [this, update](Result<storage::WriteReply> reply) {
    if (!reply) return update->done(std::move(reply).error());
    auto& outcome = reply->front();
    if (!outcome) return update->done(std::move(outcome).error());
    if (!outcome->applied) {
      evict(update->key);  // An entry whose deadline has just passed would decide the same again.
      return attempt(update);
    }
    update->done(UpdateOutcome{true, std::move(update->current), std::move(outcome->after)});
  };
  if (transaction) return transaction->commit(std::move(mutations), update->deadline, written);
  write(std::move(mutations), false, update->deadline, written);
}

}  // namespace freshet::cache
