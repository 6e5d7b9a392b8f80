// Reads that go to storage: shared fills, what may be cached, and keys whose deadline has passed.
#include "consistency/key_locks.h"

namespace freshet::consistency {

namespace {

bool is_due(const Result<ReadAnswer>& answer) {
  return answer && answer->state.present && answer->state.expires_at_ms != 0 &&
         answer->state.expires_at_ms <= answer->database_ms;
}

}  // namespace

void GuardedCollection::read(std::vector<std::string> keys, base::Nanoseconds deadline, ReadDone done,
                             std::shared_ptr<KeyLocks> locks) {
  const auto shared_keys = std::make_shared<const std::vector<std::string>>(keys);
  read_once(std::move(keys), deadline,
            [this, shared_keys, deadline, locks = std::move(locks), done = std::move(done)](
                std::size_t index, const Result<ReadAnswer>& answer) {
              const auto& key = (*shared_keys)[index];
              // Only the owner may say "absent" of a key that storage still holds, and only after removing it: another's
              // cache may show it for as long as storage does.
              if (!is_due(answer) || !guard_of(key)) return done(index, answer);
              auto tell = [done, index](const Result<ReadAnswer>& settled) { done(index, settled); };
              expire_then_answer(key, *answer, deadline, 1, locks, std::move(tell));
            });
}

void GuardedCollection::expire_then_answer(std::string key, ReadAnswer found, base::Nanoseconds deadline, int round,
                                           std::shared_ptr<KeyLocks> locks,
                                           std::function<void(const Result<ReadAnswer>&)> done) {
  storage::Mutation expire;
  expire.kind = storage::MutationKind::expire;
  expire.key = key;
  std::vector<storage::Mutation> mutations;
  mutations.push_back(std::move(expire));
  const auto removed = [=, this](Result<storage::WriteReply> reply) {
    // The removal failed, or nobody knows: what storage held during this read is its answer.
    if (!reply || !reply->front()) return done(found);
    auto& outcome = *reply->front();
    if (outcome.applied || !outcome.after.present) return done(ReadAnswer{std::move(outcome.after), database_now_ms()});
    // Somebody gave it a new deadline or value in between: that is the answer, unless it is due again.
    read_once({key}, deadline, [=, this](std::size_t, const Result<ReadAnswer>& answer) {
      if (!is_due(answer) || round >= limits_.expiry_rounds_max) return done(answer);
      expire_then_answer(key, *answer, deadline, round + 1, locks, done);
    });
  };
  if (locks) return write(std::move(mutations), locks, deadline, removed);
  write(std::move(mutations), false, deadline, removed);
}

void GuardedCollection::read_once(std::vector<std::string> keys, base::Nanoseconds deadline, ReadDone done) {
  if (stopped_) {
    for (std::size_t index = 0; index < keys.size(); ++index) done(index, stopping());
    return;
  }
  std::vector<std::shared_ptr<Fill>> begun;
  const auto shared_done = std::make_shared<const ReadDone>(std::move(done));
  for (std::size_t index = 0; index < keys.size(); ++index) {
    auto tell = [shared_done, index](const Result<ReadAnswer>& answer) { (*shared_done)(index, answer); };
    switch (join_or_begin(keys[index], ReadWaiter{deadline, std::move(tell)}, begun)) {
      case Begun::joined: counters_.joined_fills.fetch_add(1, std::memory_order_relaxed); break;
      case Begun::refused: (*shared_done)(index, moved(keys[index])); break;
      case Begun::begun: break;
    }
  }
  counters_.misses.fetch_add(keys.size(), std::memory_order_relaxed);
  for (std::size_t first = 0; first < begun.size(); first += storage::kBatchKeysMax) {
    const auto last = std::min(begun.size(), first + storage::kBatchKeysMax);
    std::vector<std::shared_ptr<Fill>> batch(begun.begin() + static_cast<std::ptrdiff_t>(first),
                                             begun.begin() + static_cast<std::ptrdiff_t>(last));
    std::vector<std::string> batch_keys;
    for (const auto& fill : batch) batch_keys.push_back(fill->key);
    storage_.read(std::move(batch_keys), deadline, [this, batch = std::move(batch)](Result<storage::ReadReply> reply) {
      if (reply && reply->database_ms > 0) note_database_clock(reply->database_ms);
      std::vector<const Error*> faults(batch.size(), reply ? nullptr : &reply.error());
      if (reply) {
        for (const auto& [place, fault] : reply->faults) faults[place] = &fault;
      }
      for (std::size_t i = 0; i < batch.size(); ++i) {
        if (faults[i]) {
          on_fill(batch[i], *faults[i]);
        } else {
          on_fill(batch[i], ReadAnswer{std::move(reply->states[i]), reply->database_ms});
        }
      }
    });
  }
}

// Joins a fill in flight, or registers a new one that the caller sends. The guard is taken with the key's lock held:
// a write of unknown outcome leaves the map only after its guard has been dropped, so whoever does not see the write here
// does not see its guard either.
GuardedCollection::Begun GuardedCollection::join_or_begin(const std::string& key, ReadWaiter waiter,
                                                          std::vector<std::shared_ptr<Fill>>& begun) {
  const auto hash = base::hash_of(key);
  auto& shard = shard_of(hash);
  std::lock_guard lock(shard.mutex);
  if (is_retired(key)) return Begun::refused;
  auto& operations = shard.at(key);
  const auto now = base::now();
  for (const auto& fill : operations.fills) {
    if (fill->deadline > waiter.deadline || !fill->may_be_joined(now)) continue;
    fill->waiters.push_back(std::move(waiter));
    return Begun::joined;
  }
  auto fill = std::make_shared<Fill>();
  fill->key = key;
  fill->hash = hash;
  fill->guard = guards_.current(base::slot_of(key), now);
  fill->deadline = waiter.deadline;
  fill->waiters.push_back(std::move(waiter));
  begin_fill(operations, fill);
  if (is_open_to_others(key, base::slot_of(key)) || is_unsealed(key)) fill->overlapped = true;
  begun.push_back(std::move(fill));
  return Begun::begun;
}

void GuardedCollection::on_fill(const std::shared_ptr<Fill>& fill, Result<ReadAnswer> answer) {
  std::vector<ReadWaiter> waiters;
  {
    auto& shard = shard_of(fill->hash);
    std::lock_guard lock(shard.mutex);
    auto& operations = shard.at(fill->key);
    end_fill(operations, fill);
    leave_if_idle(shard, fill->key, operations);
    waiters.swap(fill->waiters);
    // May be cached: a guard was there when the read began (no earlier owner), no write of ours overlapped it, and the slice
    // is still assigned (no later owner).
    const bool alone = !fill->overlapped || !protections_.overlapped;
    const bool assigned = fill->guard && (!protections_.lease_check || fill->guard->slice()->is_still_assigned(base::now()));
    if (answer && alone && assigned) {
      const auto& state = answer->state;
      const bool cached = table_.insert({fill->key, fill->hash, state.present, state.value, state.version,
                                         state.expires_at_ms, fill->guard->slice(), false, state.kind});
      (cached ? counters_.fills_cached : counters_.fills_not_cached).fetch_add(1, std::memory_order_relaxed);
    } else {
      counters_.fills_not_cached.fetch_add(1, std::memory_order_relaxed);
    }
  }
  const auto now = base::now();
  const bool timed_out = !answer && answer.error().code == ErrorCode::deadline_exceeded;
  for (auto& waiter : waiters) {
    if (timed_out && waiter.deadline > now && !stopped_) {
      // It joined a fill with less time than its own: it still has some.
      read_once({fill->key}, waiter.deadline, [done = std::move(waiter.done)](std::size_t, const Result<ReadAnswer>& again) {
        done(again);
      });
    } else {
      waiter.done(answer);
    }
  }
}

}  // namespace freshet::consistency
