// Getting, renewing and dropping write guards.
#include "consistency/guards.h"

#include <algorithm>
#include <mutex>

#include <fmt/format.h>

namespace freshet::consistency {

// One set_guard call. Immutable once sent.
struct Guards::Call {
  std::uint64_t id;
  base::SlotRange range;
  ownership::SliceRef slice;
  storage::Token token;
  int failures;  // Calls in a row that failed before this one.
};

namespace {

Error not_owner(base::Slot slot) {
  return Error::of(ErrorCode::not_owner, fmt::format("this node does not own slot {} now", slot),
                   "retry; if it lasts, see which node holds the lease (INFO, FRESHET.STATS)");
}

base::SlotRange intersection(base::SlotRange a, base::SlotRange b) {
  return {std::max(a.first, b.first), std::min(a.last, b.last)};
}

// The run of slots around `slot`, within `limits`, for which `belongs` holds (as it does for the slot itself).
template <typename Belongs>
base::SlotRange run_around(base::Slot slot, base::SlotRange limits, Belongs belongs) {
  base::SlotRange range{slot, slot};
  while (range.first > limits.first && belongs(range.first - 1u)) --range.first;
  while (range.last < limits.last && belongs(range.last + 1u)) ++range.last;
  return range;
}

}  // namespace

Error stopping() {
  return Error::of(ErrorCode::unavailable, "this node is stopping", "retry against another node");
}

Guards::Guards(storage::Storage& storage, net::Loop& loop, Protections protections, GuardLimits limits)
    : storage_(storage), loop_(loop), protections_(protections), limits_(limits), slots_(base::kSlots) {}

void Guards::stop() {
  std::multimap<base::Nanoseconds, Waiting> waiters;
  {
    std::unique_lock lock(mutex_);
    stopped_ = true;
    waiters.swap(waiters_);
  }
  for (auto& [deadline, waiting] : waiters) {
    waiting.done(stopping());
  }
}

void Guards::on_assignment_change(const ownership::AssignmentChange& change) {
  std::vector<CallRef> calls;
  Ready ready;
  {
    std::unique_lock lock(mutex_);
    const auto now = base::now();
    const auto drop = [this](const ownership::SliceRef& slice, const ownership::SliceRef& now_assigned) {
      for (int slot = slice->range().first; slot <= slice->range().last; ++slot) {
        auto& state = slots_[static_cast<std::size_t>(slot)];
        if (!now_assigned && state.slice != slice) continue;
        state.slice = now_assigned;
        state.guard = nullptr;
        if (protections_.ownership_contained) state.pending = 0;
      }
    };
    for (const auto& slice : change.removed) drop(slice, nullptr);
    for (const auto& slice : change.added) drop(slice, slice);
    for (const auto& slice : change.added) {
      if (!protections_.ownership_contained && slots_[slice->range().first].pending != 0) continue;
      calls.push_back(begin_call_locked(slice->range(), slice, storage::Token::make(), 0));
    }
    ready = take_ready_locked(now);
  }
  if (!change.removed.empty() && removed_listener_) removed_listener_();
  for (auto& run : ready) run();
  send(calls);
}

Guards::CallRef Guards::begin_call_locked(base::SlotRange range, const ownership::SliceRef& slice, storage::Token token,
                                          int failures) {
  auto call = std::make_shared<const Call>(Call{++last_call_, range, slice, token, failures});
  for (int slot = range.first; slot <= range.last; ++slot) {
    auto& state = slots_[static_cast<std::size_t>(slot)];
    state.guard = nullptr;
    state.pending = call->id;
  }
  return call;
}

void Guards::send(const std::vector<CallRef>& calls) {
  for (const auto& call : calls) {
    {
      std::shared_lock lock(mutex_);
      if (stopped_) return;
    }
    // Given up by our own clock: how long storage takes to notice decides nothing here.
    loop_.after(limits_.call_timeout, [this, call] { on_timeout(call); });
    storage_.set_guard(call->range, call->token, base::deadline_after(base::now(), limits_.call_timeout),
                       [this, call](Result<void> reply) { on_reply(call, reply); });
  }
}

void Guards::on_reply(const CallRef& call, const Result<void>& reply) {
  Ready ready;
  bool retries = false;
  const bool out_of_reach = !reply && reply.error().code == ErrorCode::unavailable;
  {
    std::unique_lock lock(mutex_);
    const auto now = base::now();
    if (reply) {
      install_locked(*call, now) > 0 ? ++stats_.set : ++stats_.failed;
      ready = take_ready_locked(now);
    } else {
      ++stats_.failed;
      retries = !stopped_;
    }
  }
  for (auto& run : ready) run();
  if (!retries) return;
  const auto delay = std::min(limits_.retry_delay_max, limits_.retry_delay_min << std::min(call->failures, 20));
  loop_.after(delay, [this, call, out_of_reach] { retry(call, out_of_reach ? base::kSlots : part_after(*call)); });
}

// A lock that somebody sits on must not leave a whole slice without guards: after a failure the range is tried in parts,
// then cell by cell. How many slots a part has.
int Guards::part_after(const Call& call) {
  return call.failures == 0 ? limits_.retry_part_slots : base::kSlotsPerCell;
}

// Rules 1 and 2 are these two conditions. Returns how many slots took the guard.
int Guards::install_locked(const Call& call, base::Nanoseconds now) {
  GuardRef handle;
  int installed = 0;
  for (int slot = call.range.first; slot <= call.range.last; ++slot) {
    auto& state = slots_[static_cast<std::size_t>(slot)];
    const bool awaited = state.pending == call.id;
    const bool contained = state.slice == call.slice && call.slice->is_still_assigned(now);
    if (awaited) state.pending = 0;
    if (!awaited && protections_.non_overlapping) continue;
    if (!contained && (protections_.ownership_contained || !state.slice)) continue;
    if (!handle || handle->slice() != state.slice) handle = GuardRef(new GuardHandle(call.range, call.token, state.slice));
    state.guard = handle;
    ++installed;
  }
  return installed;
}

void Guards::on_timeout(const CallRef& call) {
  {
    std::shared_lock lock(mutex_);
    const auto waits = [&](const SlotState& state) { return state.pending == call->id; };
    if (std::none_of(slots_.begin() + call->range.first, slots_.begin() + call->range.last + 1, waits)) return;
  }
  retry(call, part_after(*call));
}

void Guards::retry(const CallRef& call, int part_slots) {
  std::vector<CallRef> calls;
  {
    std::unique_lock lock(mutex_);
    if (stopped_) return;
    calls = begin_retries_locked(call, part_slots, base::now());
  }
  send(calls);
}

// New calls for the slots that still wait for the old one, by runs within aligned parts. Where the slice is not assigned any
// more, nobody waits: the next period begins with calls of its own.
std::vector<Guards::CallRef> Guards::begin_retries_locked(const CallRef& call, int part_slots, base::Nanoseconds now) {
  std::vector<CallRef> calls;
  const auto waits = [&](int slot) {
    return slot <= call->range.last && slots_[static_cast<std::size_t>(slot)].pending == call->id;
  };
  for (int slot = call->range.first; slot <= call->range.last; ++slot) {
    if (!waits(slot)) continue;
    const int first = slot;
    while (waits(slot + 1) && (slot + 1) % part_slots != 0) ++slot;
    const auto slice = slots_[static_cast<std::size_t>(first)].slice;
    if (!slice || !slice->is_still_assigned(now)) {
      for (int s = first; s <= slot; ++s) slots_[static_cast<std::size_t>(s)].pending = 0;
      continue;
    }
    const auto token = protections_.unique_tokens ? storage::Token::make() : call->token;
    const base::SlotRange range{static_cast<base::Slot>(first), static_cast<base::Slot>(slot)};
    calls.push_back(begin_call_locked(range, slice, token, call->failures + 1));
  }
  return calls;
}

GuardRef Guards::current(base::Slot slot, base::Nanoseconds now) const {
  std::shared_lock lock(mutex_);
  const auto& state = slots_[slot];
  if (!state.guard) return nullptr;
  if (protections_.lease_check && !state.guard->slice()->is_still_assigned(now)) return nullptr;
  return state.guard;
}

void Guards::renew(base::Slot slot, const GuardRef& failed) {
  std::vector<CallRef> calls;
  {
    std::unique_lock lock(mutex_);
    auto& state = slots_[slot];
    if (stopped_ || !failed || state.guard != failed) return;
    const bool assigned = state.slice && state.slice->is_still_assigned(base::now());
    // The neighbours within the cell that share the handle: one cell is the narrowest range that storage locks.
    const auto cell = intersection(base::range_of_cell(base::cell_of(slot)), failed->range());
    const auto range = run_around(slot, cell, [&](unsigned s) { return slots_[s].guard == failed; });
    if (assigned) {
      calls.push_back(begin_call_locked(range, state.slice, storage::Token::make(), 0));
    } else {
      for (int s = range.first; s <= range.last; ++s) slots_[static_cast<std::size_t>(s)].guard = nullptr;
    }
  }
  send(calls);
}

void Guards::renew_cell(int cell) {
  std::vector<CallRef> calls;
  {
    std::unique_lock lock(mutex_);
    if (stopped_) return;
    const auto now = base::now();
    const auto limits = base::range_of_cell(cell);
    for (int slot = limits.first; slot <= limits.last; ++slot) {
      const auto& state = slots_[static_cast<std::size_t>(slot)];
      if (!state.guard || !state.slice || !state.slice->is_still_assigned(now)) continue;
      const auto slice = state.slice;
      const auto range = run_around(static_cast<base::Slot>(slot), limits,
                                    [&](unsigned s) { return slots_[s].guard && slots_[s].slice == slice; });
      calls.push_back(begin_call_locked(range, slice, storage::Token::make(), 0));
      slot = range.last;
    }
  }
  send(calls);
}

void Guards::renew_all(base::FunctionRef<void()> change) {
  std::vector<CallRef> calls;
  {
    std::unique_lock lock(mutex_);
    change();
    const auto now = base::now();
    for (int slot = 0; slot < base::kSlots; ++slot) {
      auto& state = slots_[static_cast<std::size_t>(slot)];
      const auto slice = state.slice;
      if (stopped_ || !slice || !slice->is_still_assigned(now)) {
        state.guard = nullptr;
        state.pending = 0;
        continue;
      }
      const auto range = run_around(static_cast<base::Slot>(slot), slice->range(),
                                    [&](unsigned s) { return static_cast<int>(s) >= slot && slots_[s].slice == slice; });
      calls.push_back(begin_call_locked(range, slice, storage::Token::make(), 0));
      slot = range.last;
    }
  }
  send(calls);
}

// A call for the slot's cell, where nobody waits for one: its call ended at the very moment of a late renewal of the lease.
Guards::CallRef Guards::begin_missing_locked(base::Slot slot) {
  const auto slice = slots_[slot].slice;
  const auto cell = intersection(base::range_of_cell(base::cell_of(slot)), slice->range());
  const auto range = run_around(slot, cell, [&](unsigned s) {
    return slots_[s].slice == slice && !slots_[s].guard && slots_[s].pending == 0;
  });
  return begin_call_locked(range, slice, storage::Token::make(), 0);
}

void Guards::wait(base::Slot slot, base::Nanoseconds deadline, Waiter done) {
  Result<GuardRef> answer = GuardRef();
  std::vector<CallRef> calls;
  bool waits = false;
  {
    std::unique_lock lock(mutex_);
    const auto now = base::now();
    const auto& state = slots_[slot];
    if (stopped_) {
      answer = stopping();
    } else if (!state.slice || !state.slice->is_still_assigned(now)) {
      answer = not_owner(slot);
    } else if (state.guard) {
      answer = state.guard;
    } else if (waiters_.size() >= limits_.waiters_max) {
      answer = Error::of(ErrorCode::busy, fmt::format("{} writes already wait for write guards", waiters_.size()),
                         "retry later; see whether storage is slow to set guards");
    } else {
      waiters_.emplace(deadline, Waiting{slot, std::move(done)});
      arm_waiters_locked(now);
      waits = true;
      if (state.pending == 0) calls.push_back(begin_missing_locked(slot));
    }
  }
  if (!waits) return done(std::move(answer));
  send(calls);
}

// Takes the waiters whose slot has a guard now, or is not assigned any more.
Guards::Ready Guards::take_ready_locked(base::Nanoseconds now) {
  Ready ready;
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    const auto& state = slots_[it->second.slot];
    const bool assigned = state.slice && state.slice->is_still_assigned(now);
    if (assigned && !state.guard) {
      ++it;
      continue;
    }
    Result<GuardRef> answer = not_owner(it->second.slot);
    if (assigned) answer = state.guard;
    ready.push_back([done = std::move(it->second.done), answer = std::move(answer)] { done(answer); });
    it = waiters_.erase(it);
  }
  return ready;
}

void Guards::arm_waiters_locked(base::Nanoseconds now) {
  if (waiters_.empty() || waiters_.begin()->first >= armed_for_) return;
  armed_for_ = waiters_.begin()->first;
  loop_.after(std::max<base::Nanoseconds>(armed_for_ - now, 0), [this] { expire_waiters(); });
}

void Guards::expire_waiters() {
  std::vector<Waiting> expired;
  {
    std::unique_lock lock(mutex_);
    const auto now = base::now();
    armed_for_ = base::kForever;
    while (!waiters_.empty() && waiters_.begin()->first <= now) {
      expired.push_back(std::move(waiters_.begin()->second));
      waiters_.erase(waiters_.begin());
    }
    arm_waiters_locked(now);
  }
  for (auto& waiting : expired) {
    waiting.done(Error::of(ErrorCode::deadline_exceeded,
                           fmt::format("no write guard for slot {} within the deadline; nothing was written", waiting.slot),
                           "retry; storage may be slow or out of reach"));
  }
}

GuardStats Guards::stats() const {
  std::shared_lock lock(mutex_);
  auto stats = stats_;
  stats.slots = static_cast<std::uint64_t>(
      std::count_if(slots_.begin(), slots_.end(), [](const SlotState& state) { return state.guard != nullptr; }));
  return stats;
}

}  // namespace freshet::consistency
