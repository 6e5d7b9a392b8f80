// The protections of the design, each with a switch in test builds: a test takes one away and must then find the anomaly
// that it rules out. In a release they are constants, and the code that asks for them disappears.
#pragma once

namespace freshet::consistency {

#if FRESHET_PROTECTION_SWITCHES
#define FRESHET_PROTECTION bool
#else
#define FRESHET_PROTECTION static constexpr bool
#endif

struct Protections {
  // Rule 1: a guard counts only if its set_guard call began and ended inside one ownership period.
  FRESHET_PROTECTION ownership_contained = true;
  // Rule 2: at most one outstanding set_guard a key within a period: a call given up is never installed.
  FRESHET_PROTECTION non_overlapping = true;
  // Rule 3: every set_guard call, retries included, uses a fresh token.
  FRESHET_PROTECTION unique_tokens = true;
  // An operation that overlapped a write on its key is not cached.
  FRESHET_PROTECTION overlapped = true;
  // A hit, and what is cached, need the slice to be still assigned by the clock.
  FRESHET_PROTECTION lease_check = true;
  // A write of unknown outcome is fenced by a fresh guard before anything is concluded about it.
  FRESHET_PROTECTION fence_unknown = true;
  // While a transaction holds its keys' locks, nobody else writes them.
  FRESHET_PROTECTION key_locks = true;
  // Writes of one row go one after the other: each knows what the row was before it.
  FRESHET_PROTECTION rows_in_turn = true;
  // What a transaction writes falls under the ownership under which it has read.
  FRESHET_PROTECTION bound_locks = true;
  // Before a table is no longer guarded, what is under way on its rows has ended, nothing new begins, and nothing of them is
  // cached.
  FRESHET_PROTECTION retire_first = true;
  // What transactions of plain SQL may be writing is not cached.
  FRESHET_PROTECTION outside_marks = true;
  // Transactions that have read before such a one was let in are refused: by the database, under their guard's old token.
  FRESHET_PROTECTION outside_fence = true;
};

// Of observed collections.
struct ObservedProtections {
  // A change is applied only once a snapshot shows it.
  FRESHET_PROTECTION hold_until_visible = true;
  // A fill collects the changes of its keys that are held or arrive while it is in flight.
  FRESHET_PROTECTION collect_during_fill = true;
  // A read waits for a probe that was sent after it arrived.
  FRESHET_PROTECTION probe_after_read = true;
  // Changes that an entry's own fill already showed are not applied to it again.
  FRESHET_PROTECTION ignore_what_fill_shows = true;
  // A different catalog fingerprint drops what it concerns.
  FRESHET_PROTECTION fingerprint = true;
  // A stream that does not reach a probe's position is nudged.
  FRESHET_PROTECTION nudge = true;
  // The slot is confirmed only up to the first held change.
  FRESHET_PROTECTION bounded_confirmation = true;
};

#undef FRESHET_PROTECTION

}  // namespace freshet::consistency
