// The guard map of this node: which slots it holds a write guard for, and the work of getting guards.
//
// A guard handle says: storage has replaced the slot's token by this one inside the slice's current ownership period, so
// that no write issued under an older token (by an earlier owner, or by this node before) can be applied any more.
//
// The three rules of WriteGuards (OSDI 2026), and where they are kept:
//  1. ownership-contained: a reply installs a handle only on slots that still wait for that very call, and only while the
//     slice handle with which the call began is still assigned. A change of assignment forgets the calls under way.
//  2. non-overlapping: a slot waits for at most one call; a call that was given up is never installed, however late its
//     reply.
//  3. unique: every call makes a fresh token.
//
// The handle of a slot is dropped *before* a renewal is sent. So whatever was sent under an older handle was begun before
// the new set_guard began, and is settled once the new handle is there: applied, or never to be.
//
// May use ownership, storage, net. Thread-safe. Callbacks run without locks held.
#pragma once

#include <array>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <shared_mutex>
#include <vector>

#include "base/function_ref.h"
#include "consistency/protections.h"
#include "net/loop.h"
#include "ownership/ownership.h"
#include "storage/storage.h"

namespace freshet::consistency {

class GuardHandle final : public memory::Witness {
 public:
  GuardHandle(base::SlotRange range, storage::Token token, ownership::SliceRef slice)
      : range_(range), token_(token), slice_(std::move(slice)) {}
  base::SlotRange range() const { return range_; }
  const storage::Token& token() const { return token_; }
  const ownership::SliceRef& slice() const { return slice_; }

 private:
  const base::SlotRange range_;
  const storage::Token token_;
  const ownership::SliceRef slice_;
};

using GuardRef = boost::intrusive_ptr<const GuardHandle>;

struct GuardLimits {
  base::Nanoseconds call_timeout = 3 * base::kSecond;             // For one set_guard call.
  base::Nanoseconds retry_delay_min = 5 * base::kMillisecond;     // Doubles with every failure in a row,
  base::Nanoseconds retry_delay_max = base::kSecond;              // up to this.
  int retry_part_slots = 32 * base::kSlotsPerCell;                // A failed call is tried again in parts, then by cells.
  std::size_t waiters_max = 100'000;                              // Writes that wait for a guard; more are refused.
};

struct GuardStats {
  std::uint64_t set = 0;       // set_guard calls that led to a handle.
  std::uint64_t failed = 0;    // Calls that failed, or came too late.
  std::uint64_t slots = 0;     // Slots with a handle now.
};

// What calls hear that come while, or after, this node gives everything up.
Error stopping();

class Guards {
 public:
  // `loop` runs retries and deadlines. To end: stop(), destroy the storage (it answers every call), destroy the loop, then
  // this object.
  Guards(storage::Storage& storage, net::Loop& loop, Protections protections, GuardLimits limits = {});
  // No call to storage begins after this; waiters get an error.
  void stop();

  // The ownership's listener: drops handles of removed and added slices, then gets guards for the added ones.
  void on_assignment_change(const ownership::AssignmentChange& change);

  // The slot's guard if there is one and its slice is still assigned at `now`; else null.
  GuardRef current(base::Slot slot, base::Nanoseconds now) const;

  // Drops `failed` from a narrow range around the slot (its cell) and gets a fresh guard there. Does nothing if `failed` is
  // not the slot's handle any more.
  void renew(base::Slot slot, const GuardRef& failed);

  // The same of a whole cell, for a reason of the caller's: every guard there is now is replaced. Whatever was sent under
  // them is settled once the slots have guards again.
  void renew_cell(int cell);
  // The same of every slot, calls under way included: no guard that was asked for before `change` counts after it. `change`
  // runs while nobody can get a guard, and must be short.
  void renew_all(base::FunctionRef<void()> change);

  // Calls `done` once, with the slot's guard as soon as there is one, or an error: not_owner when the slot is not assigned,
  // deadline_exceeded, busy. It may run inside the call.
  using Waiter = std::function<void(Result<GuardRef>)>;
  void wait(base::Slot slot, base::Nanoseconds deadline, Waiter done);

  // Called when slices have been removed, after their handles were dropped; set once before use.
  void on_removed(std::function<void()> listener) { removed_listener_ = std::move(listener); }

  GuardStats stats() const;

 private:
  struct Call;
  struct SlotState {
    ownership::SliceRef slice;
    GuardRef guard;
    std::uint64_t pending = 0;  // The call that this slot waits for; 0: none.
  };
  struct Waiting {
    base::Slot slot;
    Waiter done;
  };
  using CallRef = std::shared_ptr<const Call>;
  using Ready = std::vector<std::function<void()>>;

  // The functions with "locked" in their names are called with mutex_ held.
  CallRef begin_call_locked(base::SlotRange range, const ownership::SliceRef& slice, storage::Token token, int failures);
  void send(const std::vector<CallRef>& calls);
  void on_reply(const CallRef& call, const Result<void>& reply);
  void on_timeout(const CallRef& call);
  int install_locked(const Call& call, base::Nanoseconds now);
  int part_after(const Call& call);
  void retry(const CallRef& call, int part_slots);
  std::vector<CallRef> begin_retries_locked(const CallRef& call, int part_slots, base::Nanoseconds now);
  CallRef begin_missing_locked(base::Slot slot);
  Ready take_ready_locked(base::Nanoseconds now);
  void expire_waiters();
  void arm_waiters_locked(base::Nanoseconds now);

  storage::Storage& storage_;
  net::Loop& loop_;
  const Protections protections_;
  const GuardLimits limits_;
  std::function<void()> removed_listener_;

  mutable std::shared_mutex mutex_;
  std::vector<SlotState> slots_;
  std::uint64_t last_call_ = 0;
  std::multimap<base::Nanoseconds, Waiting> waiters_;  // By deadline.
  base::Nanoseconds armed_for_ = base::kForever;       // When expire_waiters runs next.
  bool stopped_ = false;
  GuardStats stats_;
};

}  // namespace freshet::consistency
