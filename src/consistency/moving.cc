// Collections that are no longer guarded: nothing begins on their rows, and what has begun comes to its end.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "consistency/guarded_collection.h"

namespace freshet::consistency {

Error GuardedCollection::moved(std::string_view key) {
  return Error::of(ErrorCode::not_owner,
                   fmt::format("writes of {} no longer go through Freshet, since just now; nothing was written",
                               storage::prefix_of(key)),
                   "retry: reads go on, and writes are for SQL");
}

bool GuardedCollection::any_in_flight(std::string_view collection) {
  bool any = false;
  for (auto& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    shard.for_each([&](const std::string& key, const KeyOperations&) { any |= storage::prefix_of(key) == collection; });
    if (any) break;
  }
  return any;
}

// Called with a shard's mutex held: whoever waits looks into the shards without this one.
void GuardedCollection::tell_cleared() {
  {
    std::lock_guard lock(cleared_mutex_);
    ++left_;
  }
  cleared_.notify_all();
}

void GuardedCollection::stop_clearing() {
  stopped_clearing_ = true;
  tell_cleared();
}

// False: the deadline passed. Whoever leaves while this looks is counted, and it looks again.
bool GuardedCollection::await_end_of(std::string_view collection, base::Nanoseconds deadline) {
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::nanoseconds(std::max<base::Nanoseconds>(deadline - base::now(), 0));
  std::unique_lock lock(cleared_mutex_);
  while (!stopped_clearing_) {
    const auto seen = left_;
    lock.unlock();
    const bool any = any_in_flight(collection);
    lock.lock();
    if (!any) return true;
    if (!cleared_.wait_until(lock, end, [&] { return stopped_clearing_ || left_ != seen; })) return false;
  }
  return false;
}

// The collection is retired already. Who registers from now on, under a shard's mutex, sees that; who did before is found
// there. What they cache on their way leaves last.
Result<void> GuardedCollection::clear_retired(std::string_view collection, base::Nanoseconds deadline) {
  if (!protections_.retire_first) return {};
  ++clearing_;
  const bool cleared = await_end_of(collection, deadline);
  --clearing_;
  if (stopped_clearing_) return stopping();
  if (!cleared) {
    return Error::of(ErrorCode::deadline_exceeded,
                     fmt::format("writes of {} are still under way: transactions, or SQL that holds a guard", collection),
                     "Try again when they have ended.");
  }
  drop_bypassed_of(collection);
  return {};
}

}  // namespace freshet::consistency
