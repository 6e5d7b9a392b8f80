// Writes: evict, mark what they overlap, send under the guard's token, cache what may be cached.
#include "consistency/write.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

namespace freshet::consistency {

WritePart GuardedCollection::part_of_key(const std::string& key) {
  return {key, base::hash_of(key), base::slot_of(key), nullptr, false, {}};
}

void GuardedCollection::write(std::vector<storage::Mutation> mutations, bool all_or_nothing, base::Nanoseconds deadline,
                              storage::Callback<storage::WriteReply> done) {
  auto write = std::make_shared<Write>();
  write->all_or_nothing = all_or_nothing;
  if (!needs_locks(mutations)) return begin(write, std::move(mutations), deadline, std::move(done));
  std::set<std::string> keys;
  for (const auto& mutation : mutations) keys.insert(mutation.key);
  lock({keys.begin(), keys.end()}, deadline,
       [this, write, mutations = std::move(mutations), deadline, done](Result<std::shared_ptr<KeyLocks>> locks) mutable {
         if (!locks) return done(std::move(locks).error());
         begin_locked(write, std::move(*locks), std::move(mutations), deadline, std::move(done));
       });
}

// A row's write waits for its turn. One of several keys would let each go again while it waits for the others, and might
// never have its turn at all of them: it takes locks, in the order of the keys, and keeps them.
bool GuardedCollection::needs_locks(const std::vector<storage::Mutation>& mutations) const {
  return mutations.size() > 1 && protections_.key_locks &&
         std::any_of(mutations.begin(), mutations.end(), [&](const auto& mutation) { return takes_turns(mutation.key); });
}

void GuardedCollection::write(std::vector<storage::Mutation> mutations, std::shared_ptr<KeyLocks> locks,
                              base::Nanoseconds deadline, storage::Callback<storage::WriteReply> done) {
  auto write = std::make_shared<Write>();
  for (const auto& key : locks->keys()) {
    const bool is_written = std::any_of(mutations.begin(), mutations.end(), [&](const auto& m) { return m.key == key; });
    if (!is_written) write->read_parts.push_back(part_of_key(key));
  }
  begin_locked(write, std::move(locks), std::move(mutations), deadline, std::move(done));
}

void GuardedCollection::begin_locked(const WriteRef& write, std::shared_ptr<KeyLocks> locks,
                                     std::vector<storage::Mutation> mutations, base::Nanoseconds deadline,
                                     storage::Callback<storage::WriteReply> done) {
  write->locks = std::move(locks);
  // The locks end here, and not when the last callback that knows the write is destroyed.
  auto unlock = [raw = write.get(), done = std::move(done)](Result<storage::WriteReply> reply) {
    raw->locks.reset();
    done(std::move(reply));
  };
  begin(write, std::move(mutations), deadline, std::move(unlock));
}

void GuardedCollection::begin(const WriteRef& write, std::vector<storage::Mutation> mutations, base::Nanoseconds deadline,
                              storage::Callback<storage::WriteReply> done) {
  counters_.writes.fetch_add(1, std::memory_order_relaxed);
  std::unordered_map<std::string_view, std::size_t> places;
  write->parts.reserve(mutations.size());
  write->part_of.reserve(mutations.size());
  for (const auto& mutation : mutations) {
    const auto [place, is_new] = places.try_emplace(mutation.key, write->parts.size());
    if (is_new) write->parts.push_back(part_of_key(mutation.key));
    write->part_of.push_back(place->second);
  }
  write->mutations = std::move(mutations);
  write->deadline = deadline;
  write->done = std::move(done);
  start(write);
}

void GuardedCollection::start(const WriteRef& write) {
  if (stopped_) return write->done(stopping());
  if (base::now() >= write->deadline) {
    return write->done(Error::of(ErrorCode::deadline_exceeded, "the deadline passed; nothing was written", "retry"));
  }
  if (++write->attempts > limits_.write_attempts_max) {
    return write->done(Error::of(ErrorCode::guard_mismatch,
                                 fmt::format("storage refused the write's guard {} times; nothing was written",
                                             limits_.write_attempts_max),
                                 "retry; see whether two nodes believe to own the same slots"));
  }
  if (!register_parts(write)) return;
  write->lent ? write->lent() : send(write);
}

// Registers every key of the write. False: it waits, for a guard or for another write's outcome, and starts again later.
bool GuardedCollection::register_parts(const WriteRef& write) {
  for (std::size_t i = 0; i < write->parts.size(); ++i) {
    auto& part = write->parts[i];
    if (register_part(part, *write)) continue;
    // Never sent: the keys registered so far are let go, before anybody else can start this write again. That they were
    // evicted and marked overlapped costs a fill.
    for (std::size_t j = 0; j < i; ++j) settle(write->parts[j], nullptr, true, false);
    if (!write->locks && is_retired(part.key)) {
      write->done(moved(part.key));
      return false;
    }
    if (hold_back(write, part)) return false;
    --write->attempts;
    wait_for_guard(write, part.slot);
    return false;
  }
  for (auto& part : write->read_parts) {
    part.guard = guards_.current(part.slot, base::now());
    if (part.guard) continue;
    settle_all(write, true, false);
    --write->attempts;
    wait_for_guard(write, part.slot);
    return false;
  }
  if (!protections_.bound_locks || falls_under_its_locks(*write)) return true;
  settle_all(write, true, false);
  write->done(Error::of(ErrorCode::not_owner,
                        "since the transaction has read its keys this node has lost one, or SQL of somebody else's may have "
                        "written beside it; nothing was written", "retry"));
  return false;
}

// Locks know nothing of other nodes: what was read in one period of ownership says nothing in a later one. Nor do they know
// of plain SQL. The guards were taken before the marks are compared: one that comes later fences this write.
bool GuardedCollection::falls_under_its_locks(const Write& write) const {
  if (!write.locks) return true;
  const auto allows = [&](const WritePart& part) {
    return write.locks->allows(part.key, {part.guard->slice(), outside_mark(part.key, part.slot)});
  };
  return std::all_of(write.parts.begin(), write.parts.end(), allows) &&
         std::all_of(write.read_parts.begin(), write.read_parts.end(), allows);
}

// The write starts again once the slot has a guard.
void GuardedCollection::wait_for_guard(const WriteRef& write, base::Slot slot) {
  guards_.wait(slot, write->deadline, [this, write](Result<GuardRef> guard) {
    guard ? start(write) : write->done(std::move(guard).error());
  });
}

// False: there is no guard, a write of the key has an outcome that is being found out, another one holds its lock, or its
// collection is retired; a transaction whose locks are older goes on.
bool GuardedCollection::register_part(WritePart& part, const Write& write) {
  auto& shard = shard_of(part.hash);
  std::lock_guard lock(shard.mutex);
  auto& operations = shard.at(part.key);
  part.guard = guards_.current(part.slot, base::now());
  part.overlapped = false;
  const bool refused = !write.locks && is_retired(part.key);
  if (!refused && may_begin(operations, part.key, write) && part.guard) {
    note_before(part);
    table_.erase(part.key, part.hash);
    begin_write(operations, part);
    if (is_open_to_others(part.key, part.slot) || is_unsealed(part.key)) begin_outside_write(operations);
    ++shard.writes_begun;
    return true;
  }
  shard.remove_if_idle(part.key);
  return false;
}

// A row does not say who wrote it, or in what order: its writes take turns, as they would in the database. Whoever comes
// does not pass those that wait.
bool GuardedCollection::may_begin(const KeyOperations& operations, const std::string& key, const Write& write) const {
  if (!operations.admits(write.locks.get(), write.had_its_turn)) return false;
  if (!takes_turns(key)) return true;
  return operations.writes.empty() && (operations.held.empty() || write.had_its_turn || write.locks);
}

void GuardedCollection::note_before(WritePart& part) {
  part.before.reset();
  if (!is_row(part.key)) return;
  table_.inspect(part.key, part.hash, [&](const memory::Entry& entry) {
    if (!is_proven(entry, base::now())) return;
    part.before = storage::KeyState{entry.present(), std::string(entry.value()), entry.version(), {}, entry.expires_at_ms()};
  });
}

// Queues the write behind what it has to wait for on the key of `part`; true if there is something (the write is then
// taken care of). It starts again when that has ended, or ends at its own deadline.
bool GuardedCollection::hold_back(const WriteRef& write, const WritePart& part) {
  const auto taken = std::make_shared<std::atomic<bool>>(false);
  bool full;
  {
    auto& shard = shard_of(part.hash);
    std::lock_guard lock(shard.mutex);
    auto* operations = shard.find(part.key);
    if (!operations || may_begin(*operations, part.key, *write)) return false;
    full = operations->held.size() >= limits_.held_writes_max;
    if (!full) {
      --write->attempts;  // Waiting is bounded by the deadline, not by attempts.
      write->had_its_turn = false;
      operations->held.push_back({++operations->last_ticket, [this, write, taken] {
                                    if (taken->exchange(true)) return;
                                    write->had_its_turn = true;
                                    start(write);
                                  }});
    }
  }
  if (full) {
    write->done(Error::of(ErrorCode::busy, "too many writes wait for one key; nothing was written", "retry later"));
    return true;
  }
  counters_.held_writes.fetch_add(1, std::memory_order_relaxed);
  loop_.after(std::max<base::Nanoseconds>(write->deadline - base::now(), 0), [write, taken] {
    if (taken->exchange(true)) return;
    write->done(Error::of(ErrorCode::deadline_exceeded,
                          "another write held the key until the deadline; nothing was written", "retry"));
  });
  return true;
}

void GuardedCollection::send(const WriteRef& write) {
  const auto now = base::now();
  storage::WriteRequest request;
  write->operation = storage::OperationId::make();
  request.operation = write->operation;
  request.all_or_nothing = write->all_or_nothing;
  request.mutations = write->mutations;
  for (std::size_t i = 0; i < request.mutations.size(); ++i) {
    request.mutations[i].token = write->parts[write->part_of[i]].guard->token();
  }
  tell_before(*write, request.mutations);
  for (const auto& part : write->read_parts) request.also.push_back({part.key, part.guard->token()});
  // An attempt gets half of the time that is left: if its answer is lost, the other half serves to find its outcome.
  request.deadline = write->deadline == base::kForever ? write->deadline : now + (write->deadline - now) / 2;
  storage_.write(std::move(request),
                 [this, write](Result<storage::WriteReply> reply) { on_written(write, std::move(reply)); });
}

void GuardedCollection::on_written(const WriteRef& write, Result<storage::WriteReply> reply) {
  if (reply) return on_applied(write, std::move(*reply));
  switch (reply.error().code) {
    case ErrorCode::guard_mismatch: {
      counters_.guard_mismatches.fetch_add(1, std::memory_order_relaxed);
      std::vector<std::pair<base::Slot, GuardRef>> refused;
      for (const auto& part : write->parts) refused.emplace_back(part.slot, part.guard);
      for (const auto& part : write->read_parts) refused.emplace_back(part.slot, part.guard);
      // First the guards: who waits for this write must not be sent under those that were just refused.
      for (const auto& [slot, guard] : refused) guards_.renew(slot, guard);
      settle_all(write, true, false);
      return start(write);
    }
    case ErrorCode::unknown_outcome:
      return resolve(write);
    default:
      settle_all(write, true, false);
      return write->done(std::move(reply).error());
  }
}

// What is known of rows before they are written, storage need not look up: of each the first mutation.
void GuardedCollection::tell_before(const Write& write, std::vector<storage::Mutation>& mutations) const {
  std::vector<bool> seen(write.parts.size());
  for (std::size_t i = 0; i < mutations.size(); ++i) {
    const auto& before = write.parts[write.part_of[i]].before;
    if (seen[write.part_of[i]] || !before) continue;
    seen[write.part_of[i]] = true;
    mutations[i].was_present = before->present;
    if (mutations[i].kind == storage::MutationKind::put || mutations[i].kind == storage::MutationKind::change) {
      mutations[i].want_before = false;
    }
  }
}

// Completes the answer by what storage was not asked for.
void GuardedCollection::add_before(const Write& write, storage::WriteReply& reply) {
  for (std::size_t i = 0; i < reply.size(); ++i) {
    if (!write.mutations[i].want_before || !reply[i] || reply[i]->before) continue;
    const auto& before = write.parts[write.part_of[i]].before;
    if (reply[i]->applied && before) {
      reply[i]->before = *before;
    } else if (!reply[i]->applied && reply[i]->after_known) {
      reply[i]->before = reply[i]->after;
    }
  }
}

void GuardedCollection::on_applied(const WriteRef& write, storage::WriteReply reply) {
  add_before(*write, reply);
  std::vector<const storage::KeyState*> states(write->parts.size(), nullptr);
  for (std::size_t i = 0; i < reply.size(); ++i) {
    states[write->part_of[i]] = reply[i] && reply[i]->after_known ? &reply[i]->after : nullptr;
  }
  for (std::size_t i = 0; i < write->parts.size(); ++i) settle(write->parts[i], states[i], true, false);
  write->done(std::move(reply));
}

void GuardedCollection::settle_all(const WriteRef& write, bool definite, bool was_unknown) {
  for (auto& part : write->parts) settle(part, nullptr, definite, was_unknown);
}

void GuardedCollection::settle(WritePart& part, const storage::KeyState* state, bool definite, bool was_unknown) {
  std::vector<std::function<void()>> released;
  {
    auto& shard = shard_of(part.hash);
    std::lock_guard lock(shard.mutex);
    auto& operations = shard.at(part.key);
    if (was_unknown) --operations.unknown;
    auto settled = end_write(operations, part, state, definite);
    if (!protections_.overlapped && state) settled = {*state, part.guard->slice()};
    if (settled.cache) cache_write(part, settled);
    released = next_of(part.key, operations);
    if (settled.cache) operations.tombstone = settled.cache->present ? 0 : settled.cache->version;
    leave_if_idle(shard, part.key, operations);
  }
  go_on(std::move(released));
}

void GuardedCollection::cache_write(const WritePart& part, const Settled& settled) {
  if (protections_.lease_check && !settled.slice->is_still_assigned(base::now())) return;
  const auto& state = *settled.cache;
  if (table_.insert({.key = part.key,
                     .hash = part.hash,
                     .present = state.present,
                     .value = state.value,
                     .version = state.version,
                     .expires_at_ms = state.expires_at_ms,
                     .witness = settled.slice,
                     .written = true,
                     .kind = state.kind})) {
    counters_.writes_cached.fetch_add(1, std::memory_order_relaxed);
  }
}

// Once no operation is in flight on the key, nobody will ask for its tombstone's operation or version any more.
void GuardedCollection::leave_if_idle(OperationShard& shard, const std::string& key, const KeyOperations& operations) {
  if (!operations.idle()) return;
  const auto version = operations.tombstone;
  if (version != 0) note_tombstone({key, version});
  shard.remove_if_idle(key);
  if (clearing_ != 0) tell_cleared();
}

void GuardedCollection::note_tombstone(storage::Tombstone tombstone) {
  std::lock_guard lock(tombstones_mutex_);
  if (tombstones_.size() >= limits_.tombstones_max) return;
  tombstones_.push_back(std::move(tombstone));
  if (forget_armed_) return;
  forget_armed_ = true;
  loop_.after(limits_.forget_period, [this] { forget_tombstones(); });
}

void GuardedCollection::forget_tombstones() {
  std::vector<storage::Tombstone> tombstones;
  {
    std::lock_guard lock(tombstones_mutex_);
    forget_armed_ = false;
    tombstones.swap(tombstones_);
  }
  if (!stopped_) storage_.forget(std::move(tombstones));
}

}  // namespace freshet::consistency
