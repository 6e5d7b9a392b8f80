// Locks of keys: taking them one by one, and letting them go.
#include "consistency/key_locks.h"

namespace freshet::consistency {
namespace {

// Who goes on when a lock ends may end at once, too, and let the next one go on: so deep on one thread's stack.
constexpr int kNestedReleasesMax = 16;
thread_local int nested_releases = 0;

}  // namespace

KeyLocks::~KeyLocks() { collection_.release(*this); }

void GuardedCollection::lock(std::vector<std::string> keys, base::Nanoseconds deadline,
                             storage::Callback<std::shared_ptr<KeyLocks>> done) {
  if (stopped_) return done(stopping());
  auto locks = std::make_shared<KeyLocks>(*this, std::move(keys), deadline, std::move(done));
  if (!protections_.key_locks) return locks->answer(locks);
  await_guards(locks, 0);
  if (locks->settled_) return;
  loop_.after(std::max<base::Nanoseconds>(deadline - base::now(), 0), [weak = std::weak_ptr<KeyLocks>(locks)] {
    const auto late = weak.lock();
    if (!late) return;
    late->answer(Error::of(ErrorCode::deadline_exceeded,
                           "other writers held the keys until the deadline; nothing was written", "retry"));
  });
}

// A node that does not own a key yet waits, as a write would; and for the end of whoever writes rows outside of it.
void GuardedCollection::await_guards(const std::shared_ptr<KeyLocks>& locks, std::size_t place) {
  const auto& keys = locks->keys_;
  while (place < keys.size() && guard_of(keys[place]) && !is_open_to_others(keys[place])) ++place;
  if (place == keys.size()) return take_next(locks);
  if (is_open_to_others(keys[place])) {
    if (outside_->wait(base::slot_of(keys[place]), [this, locks, place] { await_guards(locks, place); })) return;
    const auto full = Error::of(ErrorCode::busy, "too many transactions wait for plain SQL to end; nothing was written",
                                "retry later");
    return locks->answer(stopped_ ? stopping() : full);
  }
  guards_.wait(base::slot_of(locks->keys_[place]), locks->deadline_, [this, locks, place](Result<GuardRef> guard) {
    if (guard) return await_guards(locks, place + 1);
    locks->answer(std::move(guard).error());
  });
}

// Goes on while keys are free; else the locks are among those that wait for the next one, and go on from there.
void GuardedCollection::take_next(const std::shared_ptr<KeyLocks>& locks) {
  while (locks->held_ < locks->keys_.size()) {
    const auto& key = locks->keys_[locks->held_];
    auto& shard = shard_of(base::hash_of(key));
    std::unique_lock lock(shard.mutex);
    if (is_retired(key)) {
      lock.unlock();
      return locks->answer(moved(key));
    }
    auto& operations = shard.at(key);
    if (locks->settled_) return shard.remove_if_idle(key);
    if (!operations.may_be_locked() || !operations.lockers.empty()) {
      operations.lockers.push_back({++operations.last_ticket, locks});
      return;
    }
    operations.locked_by = locks.get();
    ++locks->held_;
  }
  locks->answer(locks);
}

// Whoever waits for the key and may go on now, in the order in which they came: writes, side by side (of rows: one), or one
// transaction.
// The shard's mutex is held; what is returned runs without it.
std::vector<std::function<void()>> GuardedCollection::next_of(const std::string& key, KeyOperations& operations) {
  std::vector<std::function<void()>> next;
  if (operations.unknown > 0 || operations.locked_by != nullptr) return next;
  const bool in_turn = takes_turns(key);
  if (in_turn && !operations.writes.empty()) return next;
  auto& held = operations.held;
  auto& lockers = operations.lockers;
  while (!held.empty() && (lockers.empty() || held.front().ticket < lockers.front().ticket)) {
    next.push_back(std::move(held.front().run));
    held.pop_front();
    if (in_turn) break;
  }
  if (lockers.empty() && (held.empty() || next.empty())) return next;
  if (!next.empty()) {
    // None of these may be sent in the end (its deadline has passed): then nobody else would come back here.
    next.push_back([this, key] { look_for_next(key); });
    return next;
  }
  if (!operations.may_be_locked()) return next;
  auto locks = std::move(lockers.front().locks);
  lockers.pop_front();
  if (locks->settled_) {  // Its deadline passed. It ends, and lets its other keys go, once the mutex is free.
    next.push_back([this, key, locks = std::move(locks)] { look_for_next(key); });
    return next;
  }
  operations.locked_by = locks.get();
  ++locks->held_;
  next.push_back([this, locks = std::move(locks)] { take_next(locks); });
  return next;
}

void GuardedCollection::look_for_next(const std::string& key) {
  std::vector<std::function<void()>> next;
  {
    auto& shard = shard_of(base::hash_of(key));
    std::lock_guard lock(shard.mutex);
    auto* operations = shard.find(key);
    if (!operations) return;
    next = next_of(key, *operations);
    leave_if_idle(shard, key, *operations);
  }
  go_on(std::move(next));
}

void GuardedCollection::release(const KeyLocks& locks) {
  for (std::size_t i = 0; i < locks.held_; ++i) {
    const auto& key = locks.keys_[i];
    std::vector<std::function<void()>> next;
    {
      auto& shard = shard_of(base::hash_of(key));
      std::lock_guard lock(shard.mutex);
      auto& operations = shard.at(key);
      operations.locked_by = nullptr;
      next = next_of(key, operations);
      leave_if_idle(shard, key, operations);
    }
    go_on(std::move(next));
  }
}

// On this thread, or once that is too deep in others' ends, on the loop's.
void GuardedCollection::go_on(std::vector<std::function<void()>> next) {
  for (auto& run : next) {
    if (nested_releases == kNestedReleasesMax) {
      loop_.post(std::move(run));
      continue;
    }
    ++nested_releases;
    run();
    run = nullptr;  // It may hold the last of the locks.
    --nested_releases;
  }
}

}  // namespace freshet::consistency
